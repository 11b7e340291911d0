"""The Python processes that we start: they import this program, wherever it is called from and whatever lies there."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds our packages."""


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module; nothing is imported from the current folder (`-P`)."""
    return [sys.executable, "-P", "-m", module, *arguments]


def path() -> str:
    """Return the `PYTHONPATH` of such a process: our own folder, then what this process imports from."""
    return os.pathsep.join(dict.fromkeys([str(ROOT), *(os.path.abspath(place) for place in sys.path if place)]))


def variables() -> dict[str, str]:
    """Return what makes a Python process and those that it starts import as this one does."""
    return {"PYTHONPATH": path(), "PYTHONSAFEPATH": "1"}
