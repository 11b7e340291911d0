"""The published sqooler package, which hands in jobs and reads what we write, in an environment of its own."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PEER = ROOT / ".venv-peer" / "bin" / "python"


class Peer:
    """Makes calls of sqooler's, each in a process of its own that has imported it already."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def __call__(self, store: str, *arguments: str, module: str = "client") -> Any:
        """Make one call on a storage and return what it says.

        Args:
            module: of tests/peer, which names the calls and their arguments.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([module, [store, *arguments]]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "raised" not in answer, answer["raised"][-2000:]
        return answer["returned"]


@contextlib.contextmanager
def sqooler_peer(**settings: str) -> Iterator[Peer]:
    """Give the peer, with these variables in its environment.

    The test is skipped where the peer is not installed.
    """
    if not PEER.exists():
        pytest.skip("the peer's environment is missing: make peer")
    script = ROOT / "tests" / "peer" / "serve.py"
    with subprocess.Popen(
        [PEER, script], env=os.environ | settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Peer(process)
