"""Locks of jobs: one process at a time writes the documents of a job."""

import contextlib
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from models.errors import StorageUnavailable

BUSY_SECONDS = 60.0
"""How long a lock is waited for: its holder may be stopped in its tracks, and the other jobs have to go on."""

LOOK_SECONDS = 0.01
"""How often a lock that another process has is asked for."""

SHARDS = 64
"""As many jobs can be written at once; the others share a lock with one of them."""


class Locks(Protocol):
    """Whoever may exclude others from the documents of a job."""

    def held(self, job_id: str) -> contextlib.AbstractContextManager[None]:
        """Hold the lock of a job while the block runs.

        Raises:
            StorageUnavailable: somebody else did not give it back in time.
            LogUnavailable: whoever keeps the locks cannot be reached.
        """

    def alone(self, what: str) -> contextlib.AbstractContextManager[bool]:
        """Hold the right to do something that no two should do at once; yield False where somebody else has it.

        Raises:
            LogUnavailable: whoever keeps the locks cannot be reached.
        """


class JobLocks:
    """Locks of one machine: between the threads of this process and, by files in a folder, between processes.

    A process that is killed gives its locks back.

    Args:
        folder: is made when it is first needed; None locks within this process only.
        busy_seconds: how long a lock is waited for.
    """

    def __init__(self, folder: Path | None = None, busy_seconds: float = BUSY_SECONDS) -> None:
        self._folder = folder
        self._busy_seconds = busy_seconds
        self._threads = [threading.Lock() for _ in range(SHARDS)]

    @contextlib.contextmanager
    def held(self, job_id: str) -> Iterator[None]:
        """Hold the lock of a job while the block runs."""
        shard = zlib.crc32(job_id.encode()) % SHARDS
        if not self._threads[shard].acquire(timeout=self._busy_seconds):
            raise _busy(job_id)
        try:
            with self._file_lock(self._folder / f"{shard:02d}", job_id) if self._folder else contextlib.nullcontext():
                yield
        finally:
            self._threads[shard].release()

    @contextlib.contextmanager
    def alone(self, what: str) -> Iterator[bool]:
        """Hold the right to do something that no two should do at once; yield False where somebody else has it."""
        with contextlib.ExitStack() as held:
            try:
                if self._folder:
                    held.enter_context(_lock(self._folder / what, 0))
            except Timeout:
                yield False
                return
            yield True

    def _file_lock(self, path: Path, job_id: str) -> contextlib.AbstractContextManager[object]:
        """Take the lock of a file, for whoever enters and leaves what is returned."""
        try:
            return _lock(path, self._busy_seconds)
        except Timeout:
            raise _busy(job_id) from None


def _lock(path: Path, seconds: float) -> contextlib.AbstractContextManager[object]:
    # A new one each time: one that was made before a fork is of no use in the child. The kernel keeps the lock (the
    # file stays), so processes of other releases are excluded too.
    return FileLock(
        path, seconds, mode=0o600, poll_interval=LOOK_SECONDS, fallback_to_soft=False, thread_local=False
    ).acquire()


def _busy(job_id: str) -> StorageUnavailable:
    return StorageUnavailable(f"another process has been writing the documents of job {job_id} for too long")
