"""How far a job has come, shown on a terminal or in a notebook while it is waited for."""

import contextlib
import sys
from collections.abc import Iterator
from time import monotonic
from typing import Any, TextIO

from quledger_client.views import FINAL, STATES, View
from quledger_client.waiting import LONG_POLL

SHOWN_POLL = 2.0
"""Seconds after which the time that has gone by is shown anew."""

WIDTH = len(STATES) - 1


class Progress:
    """Shows nothing; what shows something is made of it.

    Attributes:
        poll: seconds after which it wants to be told that nothing has changed.
    """

    poll = LONG_POLL

    def seen(self, view: View) -> None:
        """Show where the job stands."""

    def trouble(self, why: str) -> None:
        """Show why nothing is known now."""

    def close(self) -> None:
        """Leave what is shown as it is."""


class _Line(Progress):
    poll = SHOWN_POLL

    def __init__(self, name: str) -> None:
        self._name, self._begun, self._last = name, monotonic(), ""

    def seen(self, view: View) -> None:
        state = str(view["state"])
        self._last = f"{self._name} {bar_of(state)} {state}"
        self._show(self._last)

    def trouble(self, why: str) -> None:
        self._show(f"{self._last or self._name} (asking again: {why})")

    def _show(self, text: str) -> None:
        self.write(f"{text} {monotonic() - self._begun:.0f} s")

    def write(self, text: str) -> None:
        """Put this in the place of what was shown."""


class TerminalLine(_Line):
    """One line of a terminal."""

    def __init__(self, name: str, terminal: TextIO) -> None:
        super().__init__(name)
        self._terminal, self._length = terminal, 0

    def write(self, text: str) -> None:
        """Write over what the line held."""
        with contextlib.suppress(OSError, ValueError, UnicodeError):  # nobody reads it any more: no job ends for that
            self._terminal.write("\r" + text.ljust(self._length))
            self._terminal.flush()
        self._length = len(text)

    def close(self) -> None:
        """Begin a new line."""
        with contextlib.suppress(OSError, ValueError):
            self._terminal.write("\n")
            self._terminal.flush()


class NotebookLine(_Line):
    """One output of a notebook, which is changed in its place."""

    def __init__(self, name: str, display: Any) -> None:
        super().__init__(name)
        self._handle = display({"text/plain": name}, raw=True, display_id=True)

    def write(self, text: str) -> None:
        """Change the output."""
        self._handle.update({"text/plain": text}, raw=True)


@contextlib.contextmanager
def shown(job: Any, *, wanted: bool) -> Iterator[Progress]:
    """Yield what shows a job while the block runs: nothing where nobody would see it."""
    progress = _progress(f"job {job.id[:8]} on {job.backend}") if wanted else Progress()
    try:
        yield progress
    finally:
        progress.close()


def _progress(name: str) -> Progress:
    display = notebook_display()
    if display is not None:
        return NotebookLine(name, display)
    try:
        is_terminal = sys.stderr.isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        is_terminal = False
    return TerminalLine(name, sys.stderr) if is_terminal else Progress()


def notebook_display() -> Any:
    """Return what displays something in the notebook that runs this; None elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display  # noqa: PLC0415 - it is there already

    return display


def bar_of(state: str) -> str:
    """Return a bar that says how far a job in this state has come; its end is the end of the job."""
    done = WIDTH if state in FINAL else STATES.index(state) if state in STATES else 0
    return f"[{'#' * done}{'.' * (WIDTH - done)}]"
