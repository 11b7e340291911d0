import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.hostile_texts import ACCEPTED, CPU_SECONDS, REFUSED

ROOT = Path(__file__).resolve().parent.parent.parent
MOST_MEGABYTES = 700
INTERNAL = re.compile(
    r"Traceback|site-packages|/tmp|/root|/etc|object at 0x|Error\b.*\(|\w+Error:|\w+Literal|FunctionCall|DurationOf|SizeOf"
    r"|'Cast'|Qiskit value|Py[A-Z]\w+|tuple|range\(\)|slice|set_int_max_str_digits|math domain|\\u000a|Expr'|unhandled"
)
"""What tells of the inside of this program or of a library, not of the user's text."""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What came of each text, and what was printed meanwhile."""
    names = [*REFUSED, *ACCEPTED]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.unit.hostile_texts", *names], capture_output=True, text=True, cwd=ROOT, check=True
    )
    answers = dict(zip(names, map(json.loads, ran.stdout.splitlines()), strict=True))
    return answers | {"stderr": ran.stderr}


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_text_is_refused(found: dict[str, Any], name: str):
    """A text that was written to do harm is refused by line and column, in words of the language."""
    answer = found[name]
    assert "raised" not in answer, answer["raised"]
    assert "died" not in answer, answer
    assert not answer["taken"]
    assert answer["marks"]
    for mark in answer["marks"]:
        assert re.match(r"line \d+, column \d+: \S", mark)
        assert not INTERNAL.search(mark), mark


@pytest.mark.parametrize("name", ACCEPTED)
def test_large_text_is_taken(found: dict[str, Any], name: str):
    """A text as large as there may be is read."""
    assert found[name].get("taken"), found[name]


@pytest.mark.parametrize("name", [*REFUSED, *ACCEPTED])
def test_reading_stays_within_cpu_and_memory(found: dict[str, Any], name: str):
    """Reading a text, whatever it is, takes less CPU time and memory than any job may."""
    assert found[name]["cpu"] < CPU_SECONDS
    assert found[name]["megabytes"] < MOST_MEGABYTES


def test_nothing_is_printed(found: dict[str, Any]):
    """No parser prints what it thinks of a text."""
    assert found["stderr"] == ""
