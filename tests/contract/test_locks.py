"""Locks of jobs on one machine: threads, processes, those of older releases, and whoever is killed."""

import fcntl
import multiprocessing
import os
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from models.errors import StorageUnavailable
from storage.documents.locks import JobLocks
from tests.contract.children import hold_a_lock
from tests.processes import running
from tests.waiting import until


def test_one_process_at_a_time_writes_a_jobs_documents(tmp_path: Path):
    """A lock of a job that another process holds is waited for, and is free when that process is killed."""
    got = threading.Event()

    def wait() -> None:
        with JobLocks(tmp_path).held("j"):
            got.set()

    waiter = threading.Thread(target=wait)
    with running(hold_a_lock, str(tmp_path)):
        waiter.start()
        assert not got.wait(0.5)
    assert got.wait(60)
    waiter.join()


def test_a_process_of_an_older_release_is_excluded(tmp_path: Path):
    """Release 0.1.0 takes a kernel lock on the same file: it keeps us out, and we keep it out."""
    number = zlib.crc32(b"j") % 64
    (tmp_path / "locks").mkdir()
    old = os.open(tmp_path / "locks" / f"{number:02d}", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(old, fcntl.LOCK_EX)
    ours = JobLocks(tmp_path / "locks", busy_seconds=0.1)
    with pytest.raises(StorageUnavailable, match="of job j for too long"), ours.held("j"):
        pass
    fcntl.flock(old, fcntl.LOCK_UN)
    with ours.held("j"), pytest.raises(BlockingIOError):
        fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(old)


@pytest.mark.parametrize("shared", [True, False], ids=["one object", "two objects"])
def test_threads_exclude_each_other(tmp_path: Path, *, shared: bool):
    """Two threads of a process never hold the lock of a job at once, through one object or through two."""
    first = JobLocks(tmp_path, busy_seconds=0.1)
    second = first if shared else JobLocks(tmp_path, busy_seconds=0.1)

    def take() -> None:
        with second.held("j"):
            pass

    with ThreadPoolExecutor() as pool:
        with first.held("j"), pytest.raises(StorageUnavailable, match="too long"):
            pool.submit(take).result()
        pool.submit(take).result()


def test_locks_that_were_made_before_a_fork_exclude_parent_and_child(tmp_path: Path):
    """A child that has inherited the object is kept out while its parent holds the lock, and gets it afterwards."""
    fork = multiprocessing.get_context("fork")
    locks, held, refused = JobLocks(tmp_path, busy_seconds=0.1), fork.Event(), fork.Event()
    with locks.held("j"):
        pass
    child = fork.Process(target=_try_twice, args=(locks, held, refused))
    child.start()
    with locks.held("j"):
        held.set()
        assert refused.wait(60)
    held.clear()
    child.join()
    assert child.exitcode == 0


def _try_twice(locks: JobLocks, held: Event, refused: Event) -> None:
    assert held.wait(60)
    with pytest.raises(StorageUnavailable), locks.held("j"):
        pass
    refused.set()
    until(lambda: not held.is_set())
    with locks.held("j"):
        pass


def test_no_job_leaves_a_file(tmp_path: Path):
    """There is one file for each of 64 parts of all jobs, however many jobs there are."""
    locks = JobLocks(tmp_path)
    for number in range(500):
        with locks.held(f"j{number}"):
            pass
    assert len(list(tmp_path.iterdir())) == 64
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_one_alone_does_what_no_two_should(tmp_path: Path):
    """Others are told at once, and may when it has ended."""
    locks = JobLocks(tmp_path)
    for _ in range(2):
        with locks.alone("something") as first, JobLocks(tmp_path).alone("something") as second:
            assert (first, second) == (True, False)
        with JobLocks(tmp_path).alone("something") as third, locks.alone("another thing") as other:
            assert (third, other) == (True, True)
