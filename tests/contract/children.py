"""What processes do that share a log or a lock with the test that started them."""

import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from models import clock
from models.facts import Submitted
from models.settings import Settings
from models.submissions import Begun, Submission
from storage import failpoints
from storage.documents.locks import JobLocks
from storage.documents.postgres_locks import PostgresJobLocks
from storage.log import database
from storage.log.database import open_database
from storage.log.event_log import EventLog
from storage.log.submissions import Entry, begin_all
from tasks.jobs.submission import submit_all
from tasks.services import Services

Go = Callable[[], object]


def claim_all(go: Go, url: str, worker: str) -> list[str]:
    """Claim one job after the other until none waits; return their ids."""
    log = EventLog(open_database(url))
    claimed = []
    go()
    while (job := log.claim(["rydberg"], worker, clock.now() + timedelta(hours=1))) is not None:
        claimed.append(job.job_id)
    return claimed


def open_log(go: Go, url: str) -> None:
    """Open a log that may still have to be made."""
    go()
    database.open_database(url).dispose()


def submit_keys(go: Go, url: str, user: str, number: int) -> list[str]:
    """Hand in so many jobs, each under a key; return their ids."""
    log = EventLog(open_database(url))
    go()
    ids = []
    for turn in range(number):
        key, about = f"k{turn}", {"backend": "rydberg", "source": "cli", "received_at": clock.now()}
        fact = Submitted.of(b"{}", keep_up_to=99, user=user, idempotency_key=key, **about)
        (answer,) = begin_all(log.engine, [Entry(fact)], "test")
        assert isinstance(answer, Begun)
        ids.append(answer.job.job_id)
    return ids


def submit_group(go: Go, folder: str, url: str, keys: list[str], size: int) -> list[tuple[str, str]]:
    """Hand in a job of alice's for each key, so many at once; return the keys and the ids of their jobs."""
    services = Services(Settings(home=Path(folder) / "home", database=url))
    services.open()
    go()
    ids = []
    for start in range(0, len(keys), size):
        part = keys[start : start + size]
        about = {"backend": "rydberg", "document": b'{"nth": 0}', "user": "alice"}
        answers = submit_all(services, [Submission(**about, source="api", key=key) for key in part])
        ids += [
            (key, answer.job.job_id) for key, answer in zip(part, answers, strict=True) if isinstance(answer, Begun)
        ]
    return ids


class Most(NamedTuple):
    """Limits."""

    jobs_queued: int | None = None
    shots_a_day: int | None = None
    seconds_a_day: int | None = None
    bytes: int | None = None


def submit_up_to_a_limit(go: Go, url: str, size: int, number: int, most: int) -> int:
    """Hand in so many jobs of alice's, so many at once, of which so many may wait; return how many came through."""
    log = EventLog(open_database(url))
    about = {"backend": "rydberg", "user": "alice", "source": "api", "received_at": clock.now()}
    entries = [Entry(Submitted.of(b"{}", keep_up_to=9, **about))] * size
    go()
    answers = [
        answer
        for _ in range(0, number, size)
        for answer in begin_all(log.engine, entries, "test", limits={"user/alice": Most(jobs_queued=most)})
    ]
    return sum(isinstance(answer, Begun) for answer in answers)


def submit_group_and_die(point: str, folder: str, url: str, keys: list[str]) -> None:
    """Hand in one group, and be killed at a point of it."""
    failpoints._name, failpoints._how = point, "kill"
    submit_group(lambda: None, folder, url, keys, len(keys))


def relay_alone(go: Go, home: str, store: str, url: str) -> None:
    """Relay job `j` until it is cancelled; fail where somebody else writes to the storage at the same time."""
    services = Services(Settings(home=Path(home), storage=Path(store).as_uri(), database=url))
    services.open()
    storage = services.stores.of("")
    put, mark = storage.put, Path(store) / ".somebody-writes"

    def put_alone(path: str, content: bytes) -> None:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        time.sleep(0.02)  # time enough for another one to come upon the mark
        put(path, content)
        mark.unlink()

    storage.put = put_alone  # type: ignore[method-assign]
    go()
    while not services.log.get("j").cancel_requested or services.cursor.behind():
        services.relay.update("j")


def hold_a_lock(go: Go, folder: str) -> None:
    """Take the lock of job `j` in a folder and keep it until this process is killed."""
    with JobLocks(Path(folder)).held("j"):
        go()
        signal.pause()


def hold_a_lock_of_the_log(go: Go, url: str) -> None:
    """Take the lock of job `j` on the log's server and keep it until this process is killed."""
    with PostgresJobLocks(open_database(url)).held("j"):
        go()
        signal.pause()
