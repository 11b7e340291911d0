"""Which flow runs are alive on this machine: each holds a lock on a file of its own, which ends with its process."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

FOLDER = "runs"
# By hand: FileLock would create the file that `is_orphaned` looks for, so a run that has just ended would seem dead.


@contextlib.contextmanager
def present(home: Path, run_id: str) -> Iterator[None]:
    """Hold the lock of a run while the block runs."""
    path = _path(home, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
        with contextlib.suppress(OSError):
            path.unlink()
    finally:
        os.close(handle)


def is_orphaned(home: Path, run_id: str) -> bool:
    """Return whether the run was under way on this machine and its process is gone."""
    path = _path(home, run_id)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def forget(home: Path, run_id: str) -> None:
    """Remove the lock file of a run whose process is gone."""
    with contextlib.suppress(OSError):
        _path(home, run_id).unlink()


def _path(home: Path, run_id: str) -> Path:
    return home / FOLDER / run_id
