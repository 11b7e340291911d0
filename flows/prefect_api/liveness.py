"""Which flow runs are alive on this machine: each holds a lock on a file of its own, which ends with its process."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

FOLDER = "runs"
# By hand: a library's lock makes the file that it is to look at, so that a run which has just ended would look dead.


@contextlib.contextmanager
def present(home: Path, run_id: str) -> Iterator[None]:
    """Show that the run is under way while the block runs."""
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
    """Say whether the run was under way on this machine, and its process is gone."""
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
    """Remove what is left of a run that has died."""
    with contextlib.suppress(OSError):
        _path(home, run_id).unlink()


def _path(home: Path, run_id: str) -> Path:
    return home / FOLDER / run_id
