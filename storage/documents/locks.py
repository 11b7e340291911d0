"""Locks of jobs: one process at a time writes the documents of a job."""

import contextlib
import fcntl
import os
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from models.errors import StorageUnavailable

BUSY_SECONDS = 60.0
"""How long a lock is waited for: its holder may be stopped in its tracks, and the other jobs have to go on."""

LOOK_SECONDS = 0.01

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
        self._files: dict[int, int] = {}

    @contextlib.contextmanager
    def held(self, job_id: str) -> Iterator[None]:
        """Hold the lock of a job while the block runs."""
        shard = zlib.crc32(job_id.encode()) % SHARDS
        if not self._threads[shard].acquire(timeout=self._busy_seconds):
            raise _busy(job_id)
        try:
            if self._folder is None:
                yield
                return
            handle = self._file(self._folder, shard)
            self._take(handle, job_id)
            try:
                yield
            finally:
                fcntl.flock(handle, fcntl.LOCK_UN)
        finally:
            self._threads[shard].release()

    def _take(self, handle: int, job_id: str) -> None:
        end = time.monotonic() + self._busy_seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise _busy(job_id) from None
                time.sleep(LOOK_SECONDS)
            else:
                return

    def _file(self, folder: Path, shard: int) -> int:
        if shard not in self._files:
            folder.mkdir(parents=True, exist_ok=True)
            self._files[shard] = os.open(folder / f"{shard:02d}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._files[shard]


def _busy(job_id: str) -> StorageUnavailable:
    return StorageUnavailable(f"another process has been writing the documents of job {job_id} for too long")
