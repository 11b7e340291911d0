"""What is shown while a job is waited for: on a terminal, in a notebook, and nowhere else."""

import io
import sys
import types
from typing import Any

import pytest

from quledger_client.progress import bar_of, shown


class Job:
    id, backend = "0123456789abcdef", "rydberg"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def wait(*states: str) -> None:
    """Show a job that comes through these states."""
    with shown(Job(), wanted=True) as progress:
        for state in states:
            progress.seen({"state": state})
        progress.trouble("no answer")


def test_a_bar_goes_from_one_end_to_the_other():
    bars = [bar_of(state) for state in ("QUEUED", "EXECUTED", "DONE", "ERROR", "SOMETHING NEW")]
    assert bars == ["[......]", "[####..]", "[######]", "[######]", "[......]"]


def test_a_terminal_has_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    wait("EXECUTED", "DONE")
    said = [line.rstrip() for line in terminal.getvalue().split("\r")]
    assert said[1:] == [
        "job 01234567 on rydberg [####..] EXECUTED 0 s",
        "job 01234567 on rydberg [######] DONE 0 s",
        "job 01234567 on rydberg [######] DONE (asking again: no answer) 0 s",
    ]
    assert terminal.getvalue().endswith("\n")


def test_nobody_is_told_where_nobody_looks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    wait("DONE")
    assert file.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", None)
    wait("DONE")


def test_a_terminal_that_has_gone_ends_no_wait(monkeypatch: pytest.MonkeyPatch):
    class Gone(Terminal):
        def write(self, _text: str) -> int:
            raise OSError

    monkeypatch.setattr(sys, "stderr", Gone())
    wait("QUEUED", "DONE")


def test_a_notebook_has_one_output(monkeypatch: pytest.MonkeyPatch):
    found: list[str] = []

    class Handle:
        def update(self, data: dict[str, str], *, raw: bool) -> None:
            assert raw
            found.append(data["text/plain"])

    def display(data: dict[str, str], **_options: Any) -> Handle:
        found.append(data["text/plain"])
        return Handle()

    ipython, of_display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=1)  # type: ignore[attr-defined]
    of_display.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", of_display)
    wait("QUEUED", "DONE")
    assert found == [
        "job 01234567 on rydberg",
        "job 01234567 on rydberg [......] QUEUED 0 s",
        "job 01234567 on rydberg [######] DONE 0 s",
        "job 01234567 on rydberg [######] DONE (asking again: no answer) 0 s",
    ]
