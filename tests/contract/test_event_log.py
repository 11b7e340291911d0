"""The event log: fences, claims, leases, and what the database itself refuses."""

import sqlite3
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError, IntegrityError

from models.errors import (
    AppendConflict,
    IdempotencyConflict,
    LogUnavailable,
    NotAllowed,
    StaleAttempt,
    UnknownJob,
)
from models.facts import CancelRequested, Fact, LeaseExpired, Submitted, Validated
from models.job import Job, State, fold
from models.retry import RetryPolicy, after_attempt, given_back
from storage.log.database import open_database, reading, writing
from storage.log.event_log import EventLog
from storage.log.rows import job_row
from tests.contract.databases import Databases, on

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
VALIDATED = Validated(experiments=1, shots=1)
LATER = START + timedelta(seconds=60)


class Clock:
    """A clock that a test sets forward; it ticks a microsecond each time it is read."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at the start of the test."""
    return Clock()


@pytest.fixture
def url(tmp_path: Path, databases: Databases) -> str:
    """The URL of an empty log."""
    return databases.new(tmp_path)


@pytest.fixture
def log(url: str, databases: Databases, clock: Clock) -> EventLog:
    """An empty log."""
    return EventLog(databases.open(url), clock)


def submit(log: EventLog, job_id: str, **fields: object) -> Job:
    """Submit a job for rydberg; the fields may say otherwise."""
    fields = {"backend": "rydberg", "source": "cli", "received_at": START} | fields
    return log.submit(job_id, Submitted.of(b"{}", keep_up_to=100, **fields), "test")[0]


def claim(log: EventLog, worker: str = "w1") -> Job:
    """Claim the job whose turn it is."""
    job = log.claim(["rydberg"], worker, LATER)
    assert job is not None
    return job


def test_a_job_is_submitted_once(log: EventLog):
    """The same id and document twice is one job; another document under that id is refused."""
    first = submit(log, "a")
    fact = Submitted.of(b"{}", keep_up_to=100, backend="rydberg", source="cli", received_at=LATER)
    assert log.submit("a", fact, "test") == (first, False)
    with pytest.raises(IdempotencyConflict):
        log.submit("a", Submitted.of(b"[]", keep_up_to=100, backend="rydberg", source="cli", received_at=LATER), "test")
    assert len(log.history("a")) == 1


def test_the_view_is_the_fold_of_the_events(log: EventLog):
    """After every append the row of the view is what the history folds to."""
    submit(log, "a", user="ann", priority=3)
    job = claim(log)
    job = log.append(job, VALIDATED, attempt=1, actor="w1", flow_run_id="run")
    folded = fold(log.history("a"))
    assert folded == job == log.get("a")
    with reading(log.engine) as connection:
        row = dict(connection.execute(text("SELECT * FROM job")).one()._mapping)
    assert row == job_row(job)


def test_the_chain_of_hashes_is_whole(log: EventLog):
    """Each event carries the hash of the one before it, and its own."""
    submit(log, "a")
    log.append(claim(log), VALIDATED, attempt=1, actor="w1")
    events = log.history("a")
    assert all(event.digest() == event.hash for event in events)
    assert [event.prev_hash for event in events[1:]] == [event.hash for event in events[:-1]]


@pytest.mark.parametrize("statement", ["UPDATE event SET actor = 'x'", "DELETE FROM event", "TRUNCATE event"])
def test_the_database_keeps_events_as_they_are(log: EventLog, databases: Databases, statement: str):
    """UPDATE, DELETE and TRUNCATE of events are refused by the database itself, whoever asks."""
    if databases.kind == "sqlite" and statement.startswith("TRUNCATE"):
        pytest.skip("SQLite has no such statement")
    submit(log, "a")
    with pytest.raises(IntegrityError, match="append-only"), writing(log.engine) as connection:
        connection.execute(text(statement))
    assert len(log.history("a")) == 1


def test_an_append_names_what_it_follows(log: EventLog):
    """An append after an event that is not the last one is refused, and nothing is written."""
    submit(log, "a")
    job = claim(log)
    log.append(job, CancelRequested(by="ann"), attempt=1, actor="ann")
    with pytest.raises(AppendConflict):
        log.append(job, VALIDATED, attempt=1, actor="w1")
    assert [event.kind for event in log.history("a")] == ["submitted", "claimed", "cancel_requested"]


def test_facts_are_appended_together_or_not_at_all(log: EventLog):
    """A group with one fact that may not follow leaves nothing behind."""
    submit(log, "a")
    job = claim(log)
    with pytest.raises(NotAllowed):
        log.append(job, VALIDATED, VALIDATED, attempt=1, actor="w1")
    assert log.get("a").state is State.CLAIMED


def test_a_worker_that_lost_its_lease_is_refused_and_recorded(log: EventLog):
    """After another attempt has begun, the first worker changes nothing, and the log says that it tried."""
    submit(log, "a")
    old = claim(log, "w1")
    log.append(old, given_back("paused", START), attempt=1, actor="reconcile")
    new = claim(log, "w2")
    with pytest.raises(StaleAttempt, match="attempt 1 is over"):
        log.append(old, VALIDATED, attempt=1, actor="w1")
    last = log.history("a")[-1]
    assert (last.kind, last.fact.model_dump()["worker"]) == ("refused", "w1")
    assert log.get("a").state is State.CLAIMED
    assert log.append(log.get("a"), VALIDATED, attempt=new.attempt, actor="w2").state is State.VALIDATED


def test_a_job_that_waits_for_its_retry_is_not_claimed(log: EventLog, clock: Clock):
    """A job is claimed again only when its pause is over, and others go first meanwhile."""
    submit(log, "a")
    submit(log, "b", received_at=LATER)
    job = claim(log)
    log.append(job, given_back("storm", START + timedelta(seconds=10)), attempt=1, actor="w1")
    assert claim(log).job_id == "b"
    assert log.claim(["rydberg"], "w1", LATER) is None
    clock.now = START + timedelta(seconds=11)
    assert claim(log).job_id == "a"


def test_only_the_named_backends_are_served(log: EventLog):
    """A claim for one backend leaves the jobs of others."""
    submit(log, "a", backend="fermions")
    assert log.claim(["rydberg"], "w1", LATER) is None
    assert log.claim(["rydberg", "fermions"], "w1", LATER) is not None


def test_each_job_is_claimed_by_one_worker(url: str, databases: Databases):
    """Eight workers that claim at once get every job exactly once."""
    first = EventLog(databases.open(url))
    for number in range(60):
        submit(first, f"j{number}", user=f"u{number % 3}")
    claimed: list[str] = []

    def work() -> None:
        log = EventLog(databases.open(url))
        while (job := log.claim(["rydberg"], "w", LATER)) is not None:
            claimed.append(job.job_id)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(claimed) == Counter(f"j{number}" for number in range(60))


def test_one_of_two_appenders_wins(url: str, databases: Databases):
    """Of two writers that append after the same event exactly one succeeds."""
    logs = [EventLog(databases.open(url)) for _ in range(2)]
    for turn in range(40):
        job = submit(logs[0], f"j{turn}")
        outcomes: list[str] = []
        barrier = threading.Barrier(2)

        def append(
            log: EventLog, job: Job = job, outcomes: list[str] = outcomes, barrier: threading.Barrier = barrier
        ) -> None:
            barrier.wait()
            try:
                log.append(job, CancelRequested(by="x"), attempt=0, actor="x")
                outcomes.append("won")
            except AppendConflict:
                outcomes.append("lost")

        threads = [threading.Thread(target=append, args=(log,)) for log in logs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["lost", "won"]


def expire(log: EventLog) -> list[Job]:
    """End the attempts whose lease has run out; each job is tried again at once."""

    def decide(job: Job) -> tuple[Fact, ...]:
        assert job.worker is not None
        assert job.lease_until is not None
        expired = LeaseExpired(worker=job.worker, lease_until=job.lease_until)
        return expired, after_attempt(job, "silent", "lease", RetryPolicy(5, 0.0), now=START, jitter=0.0)

    return log.expire(decide, "reconcile")


def test_a_silent_worker_loses_its_job(log: EventLog, clock: Clock):
    """When the lease has run out the job waits again, and the history says why."""
    submit(log, "a")
    claim(log)
    assert expire(log) == []
    clock.now = LATER + timedelta(seconds=1)
    assert [job.state for job in expire(log)] == [State.QUEUED]
    assert [event.kind for event in log.history("a")][-2:] == ["lease_expired", "retried"]
    assert expire(log) == []


def test_a_heartbeat_keeps_the_lease(log: EventLog, clock: Clock):
    """A worker that is heard of in time keeps its job beyond the lease it was given first."""
    submit(log, "a")
    job = claim(log)
    assert list(log.heartbeat({"a": job.attempt}, LATER + timedelta(seconds=60))) == ["a"]
    clock.now = LATER + timedelta(seconds=1)
    assert expire(log) == []
    clock.now = LATER + timedelta(seconds=61)
    assert len(expire(log)) == 1


def test_a_heartbeat_tells_what_is_lost(log: EventLog, clock: Clock):
    """A worker whose attempt is over learns it from its next heartbeat, and prolongs nothing."""
    submit(log, "a")
    job = claim(log)
    clock.now = LATER + timedelta(seconds=1)
    expire(log)
    assert log.heartbeat({"a": job.attempt, "unknown": 1}, LATER + timedelta(hours=1)) == {}


def test_jobs_are_listed_newest_first(log: EventLog):
    """A listing is ordered by submission, newest first, and filtered by backend, user and state."""
    submit(log, "a", user="ann")
    submit(log, "b", user="bob")
    submit(log, "c", user="ann", backend="fermions")
    assert [job.job_id for job in log.jobs()] == ["c", "b", "a"]
    assert [job.job_id for job in log.jobs(user="ann")] == ["c", "a"]
    assert [job.job_id for job in log.jobs(backend="rydberg", limit=1)] == ["b"]
    assert log.jobs(state="DONE") == []
    assert log.counts() == {"rydberg": {"waiting": 2}, "fermions": {"waiting": 1}}
    assert log.known(["a", "x"]) == {"a": ("rydberg", "", State.QUEUED)}


def test_an_unknown_job_is_an_error(log: EventLog):
    """Asking for a job that is not there says so, without echoing more than 200 characters."""
    with pytest.raises(UnknownJob, match="no job has the id"):
        log.get("nope")
    with pytest.raises(UnknownJob) as caught:
        log.submission("x" * 10_000)
    assert len(str(caught.value)) < 400


def test_a_database_that_is_none_is_refused(tmp_path: Path):
    """A file that is no database is named as such, and stays as it was."""
    path = tmp_path / "log.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(LogUnavailable, match="not a database; put it aside, and `quledger restore`"):
        open_database(f"sqlite:///{path}")
    assert path.read_bytes() == b"not a database" * 100


def test_a_newer_database_is_refused(url: str, log: EventLog):
    """A database of a newer version is left alone."""
    with writing(log.engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LogUnavailable, match="newer"):
        open_database(url)


@on("sqlite")
def test_a_locked_database_says_so(tmp_path: Path, log: EventLog):
    """A writer that waits too long for the lock is told that another process holds it."""
    impatient = EventLog(open_database(f"sqlite:///{tmp_path / 'log.db'}", patience=0.1))
    holder = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LogUnavailable, match="another process holds it"):
        submit(impatient, "a")
    holder.execute("ROLLBACK")
    holder.close()
    assert submit(impatient, "a").state is State.QUEUED


def test_raw_sql_errors_do_not_leak(log: EventLog):
    """A statement that the database cannot run is the log's error, not the driver's."""
    with pytest.raises((LogUnavailable, DatabaseError)) as caught, reading(log.engine) as connection:
        connection.execute(text("SELECT * FROM nowhere"))
    assert isinstance(caught.value, LogUnavailable)
