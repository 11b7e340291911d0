"""Of the embedded servers of one home, one is started at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from deployments.processes import prefect_server
from models.settings import Settings

HOLD = (
    "import fcntl, sys; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX);"
    " print('held', flush=True); sys.stdin.read()"
)
"""Holds the lock as release 0.1.0 does."""


def test_a_start_waits_for_the_one_before_and_a_killed_one_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """While another process starts a server, ours waits; the lock of a process that was killed is free at once."""
    settings = Settings(home=tmp_path)
    lock = tmp_path / "prefect" / "start.lock"
    lock.parent.mkdir()
    monkeypatch.setattr(prefect_server, "TURN_SECONDS", 0.3)
    command = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"held\n"
            with (
                pytest.raises(prefect_server.PrefectUnavailable, match="does not come to an end"),
                prefect_server._start_lock(settings),
            ):
                pytest.fail("two servers would be started at once")
        finally:
            other.kill()
    with prefect_server._start_lock(settings):
        assert lock.exists()
    assert lock.exists()  # whoever waits has opened this file, not one of the same name
