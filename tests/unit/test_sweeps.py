"""Sweeps: places in a template, cells of a table, which rows are there already."""

import json
import time
from typing import Any

import pytest

from deployments.api.v1.groups import SweepIn
from deployments.cli.sweep_table import read_table
from models.errors import Fault, InputError, JobRejected
from models.groups import MAX_ROWS
from models.sweeps import (
    BadSweep,
    Row,
    RowFault,
    Template,
    cell_of,
    key_of_rows,
    made_name,
    missing,
    of_experiments,
    row_keys,
)

DOCUMENT = {
    "experiment_0": {
        "instructions": [["load", [0], ["{atoms}"]], ["rlx", ["{wire}"], ["{theta}"]], ["measure", [0], []]],
        "shots": "{shots}",
        "note": "at {theta} rad, {{x}}, { y }",
        "program": "gate g a { x a; } rx({theta}) q[0]; // {flag}",
    }
}
TEMPLATE = Template(json.dumps(DOCUMENT).encode())
MADE = b'{"experiment_0": {"x": 1}}'
CELLS = {"atoms": 20, "wire": 0, "theta": 0.1, "shots": 9, "flag": True, "x": "z"}


def test_places_become_cells():
    """A number stays one where the text is the place alone; in a longer text it is written out."""
    assert TEMPLATE.filled(CELLS) == {
        "experiment_0": {
            "instructions": [["load", [0], [20]], ["rlx", [0], [0.1]], ["measure", [0], []]],
            "shots": 9,
            "note": "at 0.1 rad, {z}, { y }",
            "program": "gate g a { x a; } rx(0.1) q[0]; // true",
        }
    }
    assert TEMPLATE.filled({})["experiment_0"] == DOCUMENT["experiment_0"]


def test_template_and_columns_have_to_fit_together():
    """Places without a column and columns without a place are named; but for those that are carried along."""
    assert TEMPLATE.unknown(CELLS) == []
    assert TEMPLATE.unknown(["atoms", "wire", "shots", "flag", "x", "day"], ["night"]) == [
        "the template names '{theta}', and there is no such column",
        "the column 'day' has no place in the template",
        "there is no column 'night' to carry",
    ]
    assert TEMPLATE.unknown([*CELLS, "day"], ["day"]) == []


def test_what_a_template_and_its_rows_make_together_is_bounded(monkeypatch: pytest.MonkeyPatch):
    """Places of a template, columns, characters of a cell, bytes of all documents: nothing of it is made before."""
    with pytest.raises(BadSweep, match="20000 places for cells; at most 10000"):
        Template(json.dumps({"program": "{a}" * 20_000}).encode())
    columns = [f"c{nth}" for nth in range(100_000)]
    assert TEMPLATE.unknown(columns) == ["there are 100000 columns; at most 50 may be"]

    def swept(*rows: dict[str, Any]) -> list[Any]:
        template = {"experiment_0": {"x": "{a}"}}
        body = {"group": "g", "backend": "singlequdit", "template": template, "rows": list(rows)}
        return SweepIn.model_validate(body).requests()[1]

    long, good = swept({"a": "x" * 201}, {"a": 1})
    assert (str(long), good.document) == ("parameters[0].a: a text has at most 200 characters that can be seen", MADE)
    monkeypatch.setattr("deployments.api.v1.groups.MAX_SWEPT", 2 * len(MADE))
    assert len(swept({"a": 1}, {"a": 2})) == 2
    with pytest.raises(BadSweep, match="make several sweeps of it"):
        swept({"a": 1}, {"a": 2}, {"a": 3})


def test_a_fault_of_a_large_template_is_found_at_once():
    """However many places it has."""
    texts = [f"{{c{nth}}}" for nth in range(9_999)]
    template = Template(json.dumps({"experiment_0": {"instructions": texts, "deep": "{a}"}}).encode())
    faults = [Fault(message="", experiment="experiment_0")] * 50
    began = time.process_time()
    for _ in range(200):
        assert template.row_faults(JobRejected(*faults), ["a", "c9"])[0].column == "c9, a"
    assert time.process_time() - began < 2


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"a": 1, "a": 2}', b'"{theta}"'])
def test_what_is_no_document_is_no_template(raw: bytes):
    """In one sentence."""
    with pytest.raises(BadSweep, match="the template") as caught:
        Template(raw)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("fault", "column"),
    [
        (Fault(message="", experiment="experiment_0", instruction=0, field="params[0]"), "atoms"),
        (Fault(message="", experiment="experiment_0", instruction=1, field="wires[0]"), "wire"),
        (Fault(message="", experiment="experiment_0", instruction=1, name="rlx", field="params"), "theta"),
        (Fault(message="", experiment="experiment_0", instruction=1), "wire, theta"),
        (Fault(message="", experiment="experiment_0", instruction=2, field="wires[0]"), ""),
        (Fault(message="", experiment="experiment_0", field="shots"), "shots"),
        (Fault(message="", experiment="experiment_0", field="program"), "theta, flag"),
        (Fault(message="", experiment="experiment_1", field="shots"), ""),
        (Fault(message="too much"), ""),
        (Fault(message="", field="a[.]b[[9"), ""),
    ],
)
def test_a_fault_is_of_the_column_whose_place_is_there(fault: Fault, column: str):
    """Or of none."""
    assert TEMPLATE.row_faults(JobRejected(fault), CELLS) == [RowFault(column, str(fault))]


def test_experiments_are_numbered():
    """Whatever the one of the template is called."""
    assert of_experiments([{"a": 1}, {"a": 2}]) == {"experiment_0": 1, "experiment_1": 2}


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        *(("0", 0), ("-12", -12), ("1.50", 1.5), ("+2", 2.0), ("1e-3", 0.001), (".5", 0.5), ("0.0", 0.0)),
        *(("007", "007"), ("1_000", "1_000"), ("nan", "nan"), ("1,5", "1,5"), ("0x1", "0x1"), ("-007.5", "-007.5")),
        *(("1" * 200_000 + "x", "1" * 200_000 + "x"), ("9" * 5000, "9" * 5000), ("1" * 199 + "x", "1" * 199 + "x")),
        *(("true", True), ("False", False), ("A7", "A7")),
    ],
)
def test_cells_are_numbers_where_they_are_written_as_one(text: str, cell: object):
    """And of the kind that they are written as."""
    assert (cell_of(text), type(cell_of(text))) == (cell, type(cell))


def test_a_row_is_one_key():
    """It follows from group and cells alone, in whatever order; equal rows are repetitions, each with its own."""
    one, same = row_keys("g", [{"a": 1, "b": 2}, {"b": 2, "a": 1}])
    assert row_keys("g", [{"b": 3}, {"b": 2, "a": 1}, {"a": 1, "b": 2}])[1:] == [one, same]
    assert len({one, same, *row_keys("h", [{"a": 1, "b": 2}]), *row_keys("g", [{"a": 1.0, "b": 2}])}) == 4
    assert key_of_rows("g", [{"a": 1}]) not in (*row_keys("g", [{"a": 1}]), key_of_rows("g", [{"a": 2}]))


def test_what_is_there_is_not_missing():
    """Of equal rows as many as there are."""
    rows = [Row(1, {"a": 1}), Row(2, {"a": 2}), Row(3, {"a": 1}), Row(4, {"a": 1})]
    assert [row.number for row in missing(rows, [{"a": 1}, {"a": 1}, {"a": 5}])] == [2, 4]


def test_a_group_without_a_name_gets_the_same_each_time():
    """Of the table's name, and all else that tells groups apart."""
    assert made_name("Rabi (2)", "b", "u") == made_name("Rabi (2)", "b", "u") != made_name("Rabi (2)", "b", "v")
    assert made_name("Rabi (2)", "b").startswith("Rabi-2-")
    assert made_name("é/", "b").startswith("sweep-")


def test_a_table_is_read_row_by_row():
    """A row that cannot be used says why, and the others are used; empty lines are none."""
    columns, rows = read_table("\ufefftheta, name\r\n0.5,a\r\n\r\n,b\r\n1\r\n1,2,3\r\n1e999,\x07\r\n".encode())
    assert columns == ["theta", "name"]
    assert [(row.number, row.cells) for row in rows[:1]] == [(1, {"theta": 0.5, "name": "a"})]
    assert [[fault.column for fault in row.faults] for row in rows[1:]] == [["theta"], [""], [""], ["theta", "name"]]
    assert rows[2].faults[0].message == "it has 1 cell; the heading has 2"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no rows"),
        (b"a,b\n", "has no rows"),
        (b"a;b\n1;2\n", "columns are separated by commas, and 'a;b' has semicolons"),
        (b"a\tb\n1\t2\n", "has tabs"),
        (b"a,a,,{x}\n1,2,3,4\n", "two columns are called 'a'; column 3 is called ''"),
        (b"a\n\xff\n", "not UTF-8"),
        (b'a\n"x\n', "no CSV"),
        (b"a\n" * (MAX_ROWS + 2), "at most 10000"),
        (b",".join(b"c%d" % nth for nth in range(51)) + b"\n1\n", "51 columns"),
    ],
)
def test_what_is_no_table_is_refused(content: bytes, said: str):
    """In one sentence."""
    with pytest.raises(InputError) as caught:
        read_table(content)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
