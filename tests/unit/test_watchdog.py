"""A process whose event loop stands still is ended, whatever holds it, and says to the operator what it was doing."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.installation import ROOT

PROGRAM = """
import asyncio, re, sys, threading
from pathlib import Path
from tasks.watchdog import watched

def held_by_an_expression():
    re.match("(a+)+b", "a" * 60)

def held_by_a_call():
    threading.Event().wait()

async def main():
    async with watched(Path(sys.argv[1]), float(sys.argv[2])):
        print("watched", flush=True)
        action = globals().get(sys.argv[3])
        if action is not None:
            action()
        await asyncio.sleep(float(sys.argv[4]))

asyncio.run(main())
print("ended by itself", flush=True)
"""


def started(folder: Path, seconds: float, action: str, sleep: float = 0.0) -> "subprocess.Popen[str]":
    """Start a process whose loop is watched; it is under way when this returns."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), str(seconds), action, str(sleep)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "watched\n"
    return process


@pytest.mark.parametrize("action", ["held_by_an_expression", "held_by_a_call"])
def test_a_loop_that_stands_still_is_ended(tmp_path: Path, action: str) -> None:
    """Be it code that holds the interpreter; the report names what it was, and standard error says a sentence."""
    process = started(tmp_path, 1.0, action)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    report = (tmp_path / "standstill.log").read_text()
    assert f"the event loop of process {process.pid} stood still for 1 s" in report
    assert f"in {action}" in report
    assert "Traceback" not in errors
    assert f"the event loop of process {process.pid} stood still for 1 s" in errors


def test_a_loop_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    """It may live as long as it likes, and nothing stays when it ends."""
    process = started(tmp_path, 1.0, "nothing", 3.0)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, "ended by itself\n", "")
    assert (tmp_path / "standstill.log").read_text() == ""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is not seen that somebody has stopped a process")
def test_a_process_that_was_stopped_is_left_alone(tmp_path: Path) -> None:
    """Whoever stops it lets it go on later."""
    process = started(tmp_path, 1.0, "nothing", 1.0)
    process.send_signal(signal.SIGSTOP)
    time.sleep(3)  # three times what a loop may stand still
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, "ended by itself\n")
