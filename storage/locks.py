"""Locks of jobs: one process at a time writes the documents of a job."""

import contextlib
import fcntl
import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

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
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._threads = [threading.Lock() for _ in range(SHARDS)]
        self._files: dict[int, int] = {}

    @contextlib.contextmanager
    def held(self, job_id: str) -> Iterator[None]:
        """Hold the lock of a job while the block runs."""
        shard = zlib.crc32(job_id.encode()) % SHARDS
        with self._threads[shard]:
            if self._folder is None:
                yield
                return
            handle = self._file(self._folder, shard)
            fcntl.flock(handle, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(handle, fcntl.LOCK_UN)

    def _file(self, folder: Path, shard: int) -> int:
        if shard not in self._files:
            folder.mkdir(parents=True, exist_ok=True)
            self._files[shard] = os.open(folder / f"{shard:02d}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._files[shard]
