"""A module of ours that is run once in a process of its own: what is long holds up no thread of this one."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHUNK = 1 << 20


def answer_of(module: str, *parts: bytes) -> bytes:
    """Run a module with these parts as its standard input, one after the other.

    Returns:
        Its standard output; nothing where it failed, or was ended.
    """
    environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=environment | {"PYTHONPATH": str(ROOT)},
        bufsize=0,
    ) as process:
        assert process.stdin is not None  # noqa: S101 - it was made with pipes
        assert process.stdout is not None  # noqa: S101 - as above
        answer = b""
        with contextlib.suppress(OSError):  # it ended before it had read all: its exit code says so
            for part in parts:
                _write(process.stdin.fileno(), part)
            process.stdin.close()
            answer = process.stdout.read()
    return b"" if process.returncode else answer


def _write(pipe: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(pipe, view[:CHUNK]) :]
