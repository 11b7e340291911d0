"""Results as tables."""

import csv
import io
from typing import Any

import pandas as pd

from deployments.csv_text import csv_of
from deployments.frames import counts_frame
from deployments.result_rows import value_rows


def experiment(name: str, *memory: str) -> dict[str, Any]:
    """Return the result of one experiment."""
    return {"header": {"name": name}, "shots": len(memory), "data": {"memory": list(memory)}}


def test_counts_are_read_back_as_they_were():
    """An outcome is text, as docs and README say it is to be read: `0` is no number, and `01` keeps its zero."""
    counts = counts_frame({"results": [experiment("experiment_0", "0", "10", "0", "2"), experiment("b", "01", "1 0")]})
    text = counts.to_csv(index=False)
    assert text.startswith("experiment,outcome,count,frequency\nexperiment_0,0,2,0.5\nexperiment_0,2,1,0.25\n")
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(text), dtype={"outcome": str}), counts)
    assert list(counts["outcome"]) == ["0", "2", "10", "01", "1 0"]


def test_no_text_is_a_formula_in_a_spreadsheet():
    """It gets an apostrophe, also as the name of a column; numbers, outcomes and `+x` stay as they are."""
    formulas = ["=1+1", "@SUM(1)", "+1+cmd|' /C calc'!A0", "-2+3", "-A1*2"]
    plain = ["+x", "-y", "-1.5", "-1e-05", "+.5", "A7=", "00 1"]
    text = csv_of(pd.DataFrame({"=x": [*formulas, *plain], "n": range(-6, 6)}))
    head, *rows = csv.reader(io.StringIO(text))
    assert head == ["'=x", "n"]
    assert [row[0] for row in rows] == [*(f"'{each}" for each in formulas), *plain]
    assert rows[0][1] == "-6"
    assert csv_of(pd.DataFrame(["\x1b[2J=1"], columns=["\r=x"])) == "\\u000d=x\n\\u001b[2J=1\n"
    same = pd.DataFrame([["=a", "=b"]], columns=["one", "one"])
    assert csv_of(same) == "one,one\n'=a,'=b\n"


def test_no_text_behind_a_semicolon_is_a_formula():
    """Where a spreadsheet of another language begins a cell there, quotes or not; numbers stay what they are."""
    text = csv_of(pd.DataFrame({"a;=x": ["a;=1+1", 'b; "@SUM(1)', "c;+1;-2", "=1;x", "d; e=1", "1;2"], "n": [-1] * 6}))
    head, *rows = csv.reader(io.StringIO(text))
    assert head == ["a;'=x", "n"]
    assert rows == [[cell, "-1"] for cell in ("a;'=1+1", "b; \"'@SUM(1)", "c;'+1;'-2", "'=1;x", "d; e=1", "1;2")]


def test_values_that_a_backend_says_as_whole_numbers_are_numbers():
    """Else Parquet would refuse those beyond 2^53, and the whole table with them."""
    large = {"header": {"name": "e"}, "shots": 1, "data": {"memory": [], "exp_value": 2**53 + 1, "stds": 0}}
    (row,) = value_rows({"results": [large]})
    assert (type(row.exp_value), type(row.std)) == (float, float)
