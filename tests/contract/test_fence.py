"""The fence names the holder: two workers of one attempt, jobs that are handed over, and clocks that are wrong."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.claims import holder_of
from models.errors import StaleAttempt
from models.facts import Compiled, Completed, Fact, LeaseExpired, Submitted, Validated
from models.job import Job, State
from models.retry import RetryPolicy, after_attempt, given_back
from storage import layout
from storage.audit.rebuild import rebuild
from storage.audit.verify import Verifier
from storage.log.event_log import EventLog
from tests.contract.conftest import Houses
from tests.contract.databases import Databases
from tests.contract.dump import dump

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LEASE = timedelta(seconds=60)
VALIDATED = Validated(experiments=1, shots=1)
COMPILED = Compiled(program_sha256="p", program_bytes=1, seed=1)


class Wall:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def wall() -> Wall:
    """A clock at the start of the test."""
    return Wall()


@pytest.fixture
def log(tmp_path: Path, databases: Databases, wall: Wall) -> EventLog:
    """A log with one job that waits."""
    log = EventLog(databases.open(databases.new(tmp_path)), wall)
    log.submit("j", Submitted.of(b"{}", keep_up_to=9, backend="rydberg", source="cli", received_at=START), "test")
    return log


def claim(log: EventLog, token: str, *, worker: str = "w", handed_on: bool = False) -> Job:
    """Claim the job for a minute."""
    job = log.claim(["rydberg"], worker, log._now() + LEASE, token=token, handed_on=handed_on)
    assert job is not None
    return job


def expire(log: EventLog, held: tuple[str, ...] = ()) -> list[Job]:
    """End the attempts whose lease ran out; each job is tried again at once."""

    def decide(job: Job) -> tuple[Fact, ...]:
        assert job.worker is not None
        assert job.lease_until is not None
        expired = LeaseExpired(worker=job.worker, lease_until=job.lease_until)
        return expired, after_attempt(job, "silent", "lease", RetryPolicy(5, 0.0), now=log._now(), jitter=0.0)

    return log.expire(decide, "reconcile", held)


def test_a_second_worker_of_the_same_attempt_is_refused(log: EventLog):
    """Who names the attempt and not its token changes nothing, and the log says that it tried; the holder goes on."""
    job = claim(log, "mine")
    for token in (None, "guessed"):
        for fact in (VALIDATED, given_back("x", START)):
            with pytest.raises(StaleAttempt, match="attempt 1 is in the hands of another worker"):
                log.append(log.get("j"), fact, attempt=1, actor="second", token=token)
    kinds = [(event.kind, event.actor) for event in log.history("j")]
    assert kinds == [("submitted", "test"), ("claimed", "w"), *[("refused", "second")] * 4]
    assert log.append(log.get("j"), VALIDATED, attempt=1, actor="w", token="mine").state is State.VALIDATED
    assert job.holder == holder_of("mine")
    assert "mine" not in "".join(event.data for event in log.history("j"))


def test_a_worker_without_the_token_neither_prolongs_the_lease_nor_learns_that_it_holds(log: EventLog, wall: Wall):
    """A heartbeat that shows another token, or none, counts for nothing."""
    claim(log, "mine")
    for tokens in (None, {"j": "guessed"}):
        assert log.heartbeat({"j": 1}, START + 2 * LEASE, tokens) == {}
    wall.now = START + LEASE + timedelta(seconds=1)
    assert [job.state for job in expire(log)] == [State.QUEUED]


def test_housekeeping_ends_a_lease_without_a_token_and_spares_what_its_own_process_holds(log: EventLog, wall: Wall):
    """What is in these hands was only late; everything else whose lease ran out is given to somebody else."""
    claim(log, "mine")
    wall.now = START + LEASE + timedelta(seconds=1)
    assert expire(log, (holder_of("mine"),)) == []
    assert [job.state for job in expire(log, (holder_of("another's"),))] == [State.QUEUED]
    with pytest.raises(StaleAttempt):
        log.append(log.get("j"), VALIDATED, attempt=1, actor="w", token="mine")


def test_a_claim_for_another_process_is_taken_over_by_one(log: EventLog, databases: Databases):
    """Of two processes that begin it at once one has it; asked again it still has; the one who claimed it has not."""
    claim(log, "drain's", worker="w/pool", handed_on=True)
    got: dict[str, Job | None] = {}
    line = threading.Barrier(2)

    def begin(token: str) -> None:
        mine = EventLog(databases.open(str(log.engine.url.render_as_string(hide_password=False))), lambda: START)
        line.wait()
        got[token] = mine.take_over("j", 1, f"p-{token}", START + LEASE, token)

    threads = [threading.Thread(target=begin, args=(token,)) for token in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [token for token, job in got.items() if job is not None]
    assert len(got) == 2
    again = log.take_over("j", 1, f"p-{winner}", START + LEASE, winner)
    assert again == log.get("j") == got[winner]
    assert [event.kind for event in log.history("j")] == ["submitted", "claimed", "handed_over"]
    with pytest.raises(StaleAttempt):
        log.append(again, given_back("dispatch failed", START), attempt=1, actor="w", token="drain's")
    assert log.take_over("j", 2, "p", START + LEASE, "three") is None


def test_a_job_that_a_drain_runs_cannot_be_taken_over(log: EventLog):
    """A process that is begun by hand with a job and attempt that somebody runs has nothing to do, and says nothing."""
    claim(log, "mine")
    assert log.take_over("j", 1, "by hand", START + LEASE, "another's") is None
    assert [event.kind for event in log.history("j")] == ["submitted", "claimed"]


def test_a_job_of_an_old_claim_is_finished_by_its_attempt(log: EventLog, wall: Wall):
    """A job that was claimed without a token, as before the upgrade, goes on, and its lease ends as ever."""
    job = log.claim(["rydberg"], "old", START + LEASE)
    assert job is not None
    job = log.append(job, VALIDATED, attempt=1, actor="old")
    assert list(log.heartbeat({"j": 1}, START + LEASE)) == ["j"]
    wall.now = START + LEASE + timedelta(seconds=1)
    assert [job.state for job in expire(log)] == [State.QUEUED]
    assert claim(log, "new").attempt == 2
    with pytest.raises(StaleAttempt):
        log.append(job, COMPILED, attempt=1, actor="old")


@pytest.mark.parametrize("renewed", [False, True])
def test_a_lease_from_a_clock_that_was_ahead_holds_nothing_up(log: EventLog, wall: Wall, renewed: bool):  # noqa: FBT001 - a case
    """Claimed or prolonged two hours ahead by a worker that then dies: when the clock is right it lasts a minute."""
    wall.now = START + timedelta(hours=2)
    claim(log, "mine")
    if renewed:
        log.heartbeat({"j": 1}, wall.now + LEASE, {"j": "mine"})
    wall.now = START
    assert expire(log) == []
    wall.now = START + LEASE - timedelta(seconds=1)
    assert expire(log) == []
    wall.now = START + LEASE + timedelta(seconds=1)
    assert [job.state for job in expire(log)] == [State.QUEUED]


def test_a_worker_that_is_alive_keeps_a_lease_that_was_cut(log: EventLog, wall: Wall):
    """Its next heartbeat, by the clock that is right again, prolongs the lease as ever."""
    wall.now = START + timedelta(hours=2)
    claim(log, "mine")
    wall.now = START
    assert expire(log) == []
    wall.now = START + LEASE / 2
    assert list(log.heartbeat({"j": 1}, wall.now + LEASE, {"j": "mine"})) == ["j"]
    wall.now = START + LEASE + timedelta(seconds=1)
    assert expire(log) == []


def test_a_pause_from_a_clock_that_was_ahead_holds_nothing_up(log: EventLog, wall: Wall):
    """Given back two hours ahead, the job is claimed when the clock is right; a pause of a minute is waited for."""
    wall.now = START + timedelta(hours=2)
    claim(log, "mine")
    log.append(log.get("j"), given_back("storm", wall.now, 60), attempt=1, actor="w", token="mine")
    wall.now = START
    assert claim(log, "second").attempt == 2
    log.append(log.get("j"), given_back("storm", wall.now, 60), attempt=2, actor="w", token="second")
    assert log.claim(["rydberg"], "w", START + LEASE) is None
    assert log.claim_job("j", "w", START + LEASE) is None


def test_the_jobs_of_a_holder_are_found(log: EventLog):
    """A process whose claim was made, but not answered, finds it by its token."""
    claim(log, "mine")
    assert [job.job_id for job in log.running({holder_of("mine"), holder_of("another's")})] == ["j"]
    assert log.running({holder_of("another's")}) == []


def test_each_holder_stages_for_itself_and_all_of_it_is_tidied(tmp_path: Path, log_fixtures: Houses):
    """Results lie under their holder; at the end all are gone, and what is left over is found."""
    log_fixture = log_fixtures(tmp_path)
    log_fixture.submit()
    pool = log_fixture.log.claim(["rydberg"], "w/pool", datetime.now(UTC) + LEASE, token="drain's", handed_on=True)
    assert pool is not None
    first = log_fixture.log.take_over("j", 1, "p", datetime.now(UTC) + LEASE, "first")
    assert first is not None
    back = given_back("x", START)
    log_fixture.log.append(first, back, attempt=1, actor="p", token="first")
    second = log_fixture.log.claim(["rydberg"], "w", datetime.now(UTC) + LEASE, token="second")
    assert second is not None
    assert log_fixture.relay.take(second)
    paths = [layout.staged("j", 1, holder_of("first")), layout.staged("j", 2, holder_of("second"))]
    assert paths[0] == f"staged/j.1-{holder_of('first')[:16]}.json"
    assert [layout.staged_for(path.removeprefix("staged/")) for path in paths] == ["j", "j"]
    assert list(layout.all_staged(log_fixture.log.history("j"))) == paths
    for path in paths:
        log_fixture.storage.put(path, b"left")
    executed = log_fixture.executed(second).model_copy(update={"staged": paths[1]})
    log_fixture.storage.delete(layout.staged("j", 2))
    facts = (VALIDATED, COMPILED, executed, log_fixture.uploaded(second))
    job = log_fixture.log.append(log_fixture.log.get("j"), *facts, attempt=2, actor="w", token="second")
    log_fixture.log.append(job, Completed(), attempt=2, actor="w", token="second")
    log_fixture.relay.update("j")
    assert not any(log_fixture.storage.exists(path) for path in paths)
    assert list(Verifier(log_fixture.log.engine, log_fixture.stores).all()) == []
    log_fixture.storage.put(paths[0], b"left")
    assert [str(finding) for finding in Verifier(log_fixture.log.engine, log_fixture.stores).all()] == [
        f"j staged: {paths[0]} is left over, and the job is DONE"
    ]
    before = list(dump(log_fixture.log.engine))
    rebuild(log_fixture.log.engine)
    assert list(dump(log_fixture.log.engine)) == before


def test_between_take_and_relay_nothing_differs(tmp_path: Path, log_fixtures: Houses):
    """A worker has just taken the document of a job whose claim somebody else has mirrored: `verify` finds nothing."""
    log_fixture = log_fixtures(tmp_path)
    log_fixture.submit()
    log_fixture.relay.update("j")
    job = log_fixture.claim()
    log_fixture.relay.update_all()
    assert log_fixture.relay.take(job)
    assert list(Verifier(log_fixture.log.engine, log_fixture.stores).all()) == []
    before = list(dump(log_fixture.log.engine))
    rebuild(log_fixture.log.engine)
    assert list(dump(log_fixture.log.engine)) == before
    log_fixture.finish(job)
    log_fixture.relay.update("j")
    assert list(Verifier(log_fixture.log.engine, log_fixture.stores).all()) == []


def test_a_worker_that_stood_still_after_it_took_the_document_takes_nothing_back(tmp_path: Path, log_fixtures: Houses):
    """Its late word on where the document lies does not undo what another worker has recorded meanwhile."""
    log_fixture = log_fixtures(tmp_path)
    log_fixture.submit()
    log_fixture.relay.update("j")
    job = log_fixture.take()
    log_fixture.finish(job)
    log_fixture.relay.update("j")
    log_fixture.cursor.put_place("j", layout.taken("j"), layout.queued("rydberg", "j"))
    assert log_fixture.cursor.position("j").place == layout.finished("rydberg", "j")
    assert list(Verifier(log_fixture.log.engine, log_fixture.stores).all()) == []
