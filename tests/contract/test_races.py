"""Several processes on one log: each job is claimed once and in turn, no mark is lost, nobody waits for ever."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from models import clock
from models.errors import AppendConflict, LogUnavailable
from models.facts import Cancelled, CancelRequested, LeaseExpired, Submitted
from models.job import Job, State
from models.retry import RetryPolicy, after_attempt, given_back
from storage.audit.rebuild import rebuild
from storage.audit.restore import restore
from storage.audit.verify import Verifier
from storage.documents.relay import Relay
from storage.log.database import open_database, writing
from storage.log.event_log import EventLog
from storage.log.mirror_cursor import MirrorCursor
from storage.providers.registry import open_storage
from storage.providers.stores import Stores
from tests.contract.children import claim_all, open_log, relay_alone
from tests.contract.databases import Databases, on
from tests.contract.dump import dump
from tests.processes import run_together
from tests.waiting import until

SOON = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
def url(tmp_path: Path, databases: Databases) -> str:
    """The URL of an empty log."""
    return databases.new(tmp_path)


def submit(log: EventLog, job_id: str, user: str = "") -> Job:
    """Submit a job for rydberg."""
    fact = Submitted.of(b"{}", keep_up_to=100, backend="rydberg", user=user, source="cli", received_at=clock.now())
    return log.submit(job_id, fact, "test")[0]


def claim(log: EventLog, worker: str = "w", until: datetime = SOON) -> Job:
    """Claim the job whose turn it is."""
    job = log.claim(["rydberg"], worker, until)
    assert job is not None
    return job


def expire(log: EventLog) -> list[Job]:
    """End the attempts whose lease has run out."""

    def decide(job: Job) -> tuple[LeaseExpired, object]:
        assert job.worker is not None
        assert job.lease_until is not None
        fact = LeaseExpired(worker=job.worker, lease_until=job.lease_until)
        return fact, after_attempt(job, "silent", "lease", RetryPolicy(5, 0.0), now=clock.now(), jitter=0.0)

    return log.expire(decide, "reconcile")  # type: ignore[arg-type]


def at_once(*works: Callable[[], object]) -> None:
    """Run each in a thread of its own, and raise what one of them raises."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.slow
def test_four_processes_share_a_queue_in_turn(url: str, databases: Databases):
    """Each of 100 jobs is claimed once, and after every single claim all users have had their share."""
    log = EventLog(databases.open(url))
    for number in range(100):
        submit(log, f"j{number:03}", user=f"u{number // 25}")
    claimed = run_together(claim_all, *((url, f"w{number}") for number in range(4)))
    assert Counter(job_id for ids in claimed for job_id in ids) == Counter(f"j{number:03}" for number in range(100))
    claims = sorted((log.history(f"j{number:03}")[1].recorded_at, number // 25) for number in range(100))
    share: Counter[int] = Counter()
    for _, user in claims:
        share[user] += 1
        assert max(share.values()) - min(share[each] for each in range(4)) <= 1


@pytest.mark.slow
def test_four_processes_open_an_empty_database(request: pytest.FixtureRequest, tmp_path: Path, databases: Databases):
    """Whoever comes first makes the tables, and nobody stumbles."""
    if databases.kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'fresh.db'}"
        run_together(open_log, *[(url,)] * 4)
        open_database(url).dispose()
        return
    server = request.getfixturevalue("postgres")
    url = server.create("first_opening")
    try:
        run_together(open_log, *[(url,)] * 4)
        open_database(url).dispose()
    finally:
        server.drop(url)


@on("postgresql")
def test_two_machines_relay_one_job(url: str, databases: Databases, tmp_path: Path):
    """Two homes that share a log and a storage never write a job's documents at once, and the last is right."""
    store = tmp_path / "store"
    store.mkdir()
    log = EventLog(databases.open(url))
    submit(log, "j")
    cursor = MirrorCursor(log.engine)

    def live() -> None:
        for _ in range(8):
            job = claim(log)
            until(lambda: not cursor.behind())
            log.append(job, given_back("again", clock.now()), attempt=job.attempt, actor="w")
            until(lambda: not cursor.behind())
        job = log.get("j")
        log.append(job, CancelRequested(by="x"), attempt=job.attempt, actor="x")

    run_together(relay_alone, *((str(tmp_path / name), str(store), url) for name in ("one", "two")), meanwhile=live)
    assert list(Verifier(log.engine, Stores.single(open_storage(store.as_uri()))).all()) == []


def test_one_of_two_submissions_begins_the_job(url: str, databases: Databases):
    """Two front ends that hand in the same job at once both get it, and one of them began it."""
    logs = [EventLog(databases.open(url)) for _ in range(2)]
    for turn in range(40):
        begun: list[bool] = []
        barrier = threading.Barrier(2)
        fact = Submitted.of(b"{}", keep_up_to=100, backend="rydberg", source="cli", received_at=clock.now())

        def hand_in(log: EventLog, job_id: str, barrier: threading.Barrier, begun: list[bool], fact: Submitted) -> None:
            barrier.wait()
            begun.append(log.submit(job_id, fact, "test")[1])

        at_once(
            *(lambda log=log: hand_in(log, f"j{turn}", barrier, begun, fact) for log in logs)  # noqa: B023 - called at once
        )
        assert sorted(begun) == [False, True]
        assert len(logs[0].history(f"j{turn}")) == 1


def test_an_append_during_a_relay_is_not_forgotten(url: str, databases: Databases):
    """A relay that ends while somebody appends leaves the job behind, so that the next one goes on."""
    log = EventLog(databases.open(url))
    cursor = MirrorCursor(databases.open(url))
    job = submit(log, "j")
    relayed = threading.Thread(target=cursor.advance, args=("j", 0, "queue"))
    with writing(log.engine) as connection:
        log._write(connection, job, CancelRequested(by="x"), attempt=0, actor="x")
        relayed.start()
        relayed.join(0.5)
    relayed.join()
    assert cursor.behind() == [("j", "")]


def test_a_heartbeat_in_time_beats_the_end_of_the_lease(url: str, databases: Databases):
    """Housekeeping that saw a lease run out, while the heartbeat was under way, does not end the attempt."""
    log = EventLog(databases.open(url))
    other = EventLog(databases.open(url))
    for turn in range(20):
        submit(log, f"j{turn}")
        job = claim(log, until=clock.now() - timedelta(seconds=1))
        held: list[str] = []
        ended: list[Job] = []
        at_once(
            lambda: held.extend(log.heartbeat({job.job_id: 1}, SOON)),  # noqa: B023 - called at once
            lambda: ended.extend(expire(other)),  # noqa: B023 - called at once
        )
        assert (len(held), len(ended)) in [(1, 0), (0, 1)]
        if ended:
            log.append(other.get(job.job_id), CancelRequested(by="x"), attempt=1, actor="x")
            assert claim(log).job_id == job.job_id
        # Nothing of a turn is left for the next: its lease lies further ahead than it ever did, and would be ended.
        job = log.get(job.job_id)
        log.append(job, Cancelled(), attempt=job.attempt, actor="w")


def test_many_heartbeats_and_many_ends_do_not_wait_for_each_other(url: str, databases: Databases):
    """Workers that prolong many leases at once, in any order, while others end them, all come through."""
    log = EventLog(databases.open(url))
    jobs = {}
    for number in range(12):
        submit(log, f"j{number:02}")
        jobs[claim(log, until=clock.now() - timedelta(seconds=1)).job_id] = 1
    backwards = dict(reversed(jobs.items()))

    def beat(order: dict[str, int]) -> None:
        mine = EventLog(databases.open(url))
        for _ in range(15):
            mine.heartbeat(order, clock.now() - timedelta(seconds=1))

    at_once(lambda: beat(jobs), lambda: beat(backwards), lambda: [expire(log) for _ in range(15)])
    expire(log)  # a job that somebody is just writing to is left to the next look
    assert {log.get(job_id).state for job_id in jobs} == {State.QUEUED}
    assert all([event.kind for event in log.history(job_id)].count("lease_expired") == 1 for job_id in jobs)


@pytest.mark.slow
def test_a_rebuild_beside_writers(url: str, databases: Databases):
    """While the views are made anew, others submit, claim and give back: all wait their turn, nothing is lost."""
    log = EventLog(databases.open(url))
    stop, wrote = threading.Event(), threading.Event()

    def write(name: str) -> None:
        mine = EventLog(databases.open(url))
        number = 0
        while not stop.is_set():
            submit(mine, f"{name}{number}")
            number += 1
            try:
                job = mine.claim(["rydberg"], name, SOON)
                if job is not None:
                    mine.heartbeat({job.job_id: job.attempt}, SOON)
                    mine.append(job, given_back("x", clock.now()), attempt=job.attempt, actor=name)
                    MirrorCursor(mine.engine).advance(job.job_id, job.seq + 1, "")
                wrote.set()
            except AppendConflict:
                continue

    def make_anew() -> None:
        try:
            for _ in range(8):
                rebuild(log.engine)
                wrote.clear()
                assert wrote.wait(60)
        finally:
            stop.set()

    at_once(lambda: write("a"), lambda: write("b"), make_anew)
    before = list(dump(log.engine, cursors=False))
    rebuild(log.engine)
    assert list(dump(log.engine, cursors=False)) == before
    assert len(before) > 20


def test_a_restore_lets_nobody_in_between(url: str, databases: Databases, tmp_path: Path):
    """Of two that restore into one empty log at once, one takes over every job, and the other finds nothing to do."""
    source = EventLog(open_database(f"sqlite:///{tmp_path / 'source.db'}"))
    storage = open_storage((tmp_path / "store").as_uri())
    for number in range(30):
        submit(source, f"j{number}")
    Relay(source, MirrorCursor(source.engine), Stores.single(storage)).update_all()
    taken: list[int] = []
    at_once(*[lambda: taken.append(restore(databases.open(url), storage)["jobs"])] * 2)
    assert sorted(taken) == [0, 30]
    assert list(dump(source.engine, cursors=False)) == list(dump(databases.open(url), cursors=False))
    source.engine.dispose()


@on("postgresql")
def test_a_job_that_is_being_written_to_holds_up_no_claim(url: str, databases: Databases):
    """A claim passes over a job that somebody else has in hand, and takes the next in order."""
    log = EventLog(databases.open(url))
    first = submit(log, "a", user="ann")
    submit(log, "b", user="bob")
    with writing(databases.open(url)) as connection:
        log._write(connection, first, CancelRequested(by="x"), attempt=0, actor="x")
        began = time.monotonic()
        assert claim(log).job_id == "b"
        assert log.claim(["rydberg"], "w", SOON) is None
        assert time.monotonic() - began < 5
    assert claim(log).job_id == "a"


@on("postgresql")
def test_a_writer_that_stands_still_is_cut_off(url: str, databases: Databases, monkeypatch: pytest.MonkeyPatch):
    """A process that stops in the midst of an append loses its transaction, and the others go on."""
    monkeypatch.setattr("storage.log.postgres.IDLE_SECONDS", 1)
    slow, quick = EventLog(databases.open(url)), EventLog(databases.open(url))
    job = submit(slow, "j")

    def stand_still() -> None:
        with writing(slow.engine) as connection:
            slow._write(connection, job, CancelRequested(by="slow"), attempt=0, actor="slow")
            assert quick.append(job, CancelRequested(by="quick"), attempt=0, actor="quick").seq == 1
            connection.execute(text("SELECT 1"))

    with pytest.raises(LogUnavailable, match=r"stood still|went away"):
        stand_still()
    assert [event.actor for event in quick.history("j")] == ["test", "quick"]
