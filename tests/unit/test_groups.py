"""Groups and what is swept in them: which names and values there may be."""

import math

import pytest

from models.groups import Cell, UnknownGroup, cell_fault, column_fault, group_faults, is_group_name

LONG = "x" * 200
NUMBER = "a number is finite, and a whole one has at most 63 bits"
TEXT = "a text has at most 200 characters that can be seen"
COLUMN = "a column has a name of 1 to 200 characters that can be seen, and no blank at an end"


@pytest.mark.parametrize(
    ("name", "may_be"),
    [
        ("a", True),
        ("Sweep_1.b-2", True),
        ("9", True),
        ("x" * 100, True),
        ("x" * 101, False),
        ("", False),
        *((f"{first}a", False) for first in "_.- "),
        *((f"a{wrong}", False) for wrong in ("/", " ", "é", "\n")),
    ],
)
def test_which_name_a_group_may_have(name: str, may_be: bool):  # noqa: FBT001 - a case
    """It stands in URLs, commands and file names."""
    assert is_group_name(name) is may_be


def test_a_group_that_nobody_belongs_to():
    """Which one, and where the others are listed."""
    assert str(UnknownGroup("a\x07")) == (r"no job belongs to a group 'a\x07'; `quledger group` lists the groups")


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        *((good, "") for good in (True, False, 0, 0.5, "", LONG, 2**63 - 1, 1 - 2**63, -1e308)),
        *((wrong, NUMBER) for wrong in (2**63, -(2**63), math.inf, -math.inf, math.nan)),
        *((wrong, TEXT) for wrong in (LONG + "x", "a\x07", "\ud800")),
    ],
)
def test_which_value_a_sweep_may_have(cell: Cell, why: str):
    """What every reader keeps exactly, and what can be seen."""
    assert cell_fault(cell) == why


@pytest.mark.parametrize(
    ("name", "why"),
    [
        *((good, "") for good in ("theta", "two words", "é", LONG)),
        *((wrong, COLUMN) for wrong in ("", LONG + "x", "a\x07", " a", "a ")),
        *((wrong, "the name of a column has no { or } in it") for wrong in ("a{", "}a", "{a}")),
    ],
)
def test_which_name_a_column_may_have(name: str, why: str):
    """It stands between braces in the template."""
    assert column_fault(name) == why


@pytest.mark.parametrize(
    ("group", "rows", "said"),
    [
        ("", [], []),
        ("g", [], []),
        ("g", [{"theta": 0.5}, {}], []),
        ("g", [{f"p{nth}": nth for nth in range(50)}], []),
        ("g", [{}] * 10_000, []),
        (
            "a b",
            [],
            [
                (
                    "group: 'a b' cannot be the name of a group: write at most 100 letters of A-Z and a-z, digits,"
                    " '_', '.' and '-', the first a letter or digit"
                )
            ],
        ),
        ("", [{"theta": 0.5}], ["parameters: they belong to a job of a group; name it"]),
        (
            "g",
            [{}, {f"p{nth}": nth for nth in range(51)}],
            ["parameters[1]: there are 51 parameters; at most 50 may be"],
        ),
        (
            "g",
            [{"ok": 1, "a{": 1, "b": math.inf, "c{": "\x07"}, {"d": LONG + "x"}],
            [
                "parameters[0].a{: the name of a column has no { or } in it",
                f"parameters[0].b: {NUMBER}",
                f"parameters[0].c{{: {TEXT}",
                f"parameters[1].d: {TEXT}",
            ],
        ),
        ("g", [{" a": 1}], [f"parameters[0]. a: {COLUMN}"]),
        ("g", [{"a{": 1}] * 10_001, ["parameters: there are 10001 rows; at most 10000 may be"]),
    ],
)
def test_all_that_is_wrong_with_a_group_is_said(group: str, rows: list[dict[str, Cell]], said: list[str]):
    """Each fault with its field; of too many rows none is looked at."""
    assert [f"{fault.field}: {fault.message}" for fault in group_faults(group, rows)] == said
