"""A process ends with the one that started it, whatever keeps it from that."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.installation import ROOT

PROGRAM = """
import sys, threading, time
from pathlib import Path
from deployments.processes.parent import end_with_parent

told = threading.Event()
end_with_parent(told.set, last={last}, seconds={seconds})
print("begun", flush=True)
told.wait()
Path(sys.argv[1]).write_text("told")
threading.Event().wait({rest})
"""
WAITED = 60


@pytest.mark.parametrize(
    ("last", "seconds", "rest", "code", "said"),
    [
        ("lambda: Path(sys.argv[1]).write_text('given back')", 0.5, None, 1, "given back"),
        ("lambda: 1 / 0", 0.5, None, 1, "told"),
        ("lambda: Path(sys.argv[1]).write_text('given back')", 600, 0, 0, "told"),
    ],
)
def test_its_end_is_bounded(  # noqa: PLR0913 - a case and what comes of it
    tmp_path: Path, last: str, seconds: float, rest: int | None, code: int, said: str
) -> None:
    """What is still to be done is done, if that works; a process that ends by itself is left alone."""
    path = tmp_path / "said"
    program = PROGRAM.format(last=last, seconds=seconds, rest=rest)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"begun\n"
            assert process.poll() is None
            process.stdin.close()
            assert process.wait(WAITED) == code
        finally:
            process.kill()
    assert path.read_text() == said
