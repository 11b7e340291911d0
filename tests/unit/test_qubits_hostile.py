import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.hostile_texts import ACCEPTED, CPU_SECONDS, REFUSED

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent.parent
MAX_MEGABYTES = 700
INTERNAL = re.compile(
    r"Traceback|site-packages|/tmp|/root|/etc|object at 0x|Error\b.*\(|\w+Error:|\w+Literal|FunctionCall|DurationOf"
    r"|SizeOf|'Cast'|Qiskit value|Py[A-Z]\w+|tuple|range\(\)|slice|set_int_max_str_digits|math domain|\\u000a"
    r"|Expr'|unhandled"
)
"""What tells of the inside of this program or of a library, not of the user's text."""


class Reader:
    """A process that reads one text after the other, each in a child of its own."""

    def __init__(self, printed: Path) -> None:
        self.printed = printed
        with printed.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.unit.hostile_texts"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=ROOT,
            )

    def read(self, name: str) -> dict[str, Any]:
        """Return what came of a text, what it took, and what was printed meanwhile."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        before = self.printed.stat().st_size
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer | {"printed": self.printed.read_bytes()[before:].decode()}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A process that reads texts; it is imported once."""
    found = Reader(tmp_path_factory.mktemp("hostile") / "printed")
    yield found
    found.process.communicate()


def check_cost(answer: dict[str, Any]) -> None:
    """Fail if reading took more than any job may have, or printed anything."""
    assert "died" not in answer, answer
    assert answer["cpu"] < CPU_SECONDS, answer
    assert answer["megabytes"] < MAX_MEGABYTES, answer
    assert answer["printed"] == ""


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_text_is_refused(reader: Reader, name: str):
    """A text that was written to do harm is refused by line and column, in words of the language, at little cost."""
    answer = reader.read(name)
    assert "raised" not in answer, answer["raised"]
    check_cost(answer)
    assert not answer["taken"]
    assert answer["marks"]
    for mark in answer["marks"]:
        assert re.match(r"line \d+, column \d+: \S", mark)
        assert not INTERNAL.search(mark), mark


@pytest.mark.parametrize("name", ACCEPTED)
def test_large_text_is_taken(reader: Reader, name: str):
    """A text as large as there may be is read at the cost of any other."""
    answer = reader.read(name)
    check_cost(answer)
    assert answer["taken"], answer
