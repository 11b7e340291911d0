"""Why a job waits, said by the log, and then it is served as it was said."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from models.errors import Fault
from models.facts import Compiled, Completed, Executed, Failed, Retried, Submitted, Uploaded, Validated
from models.job import Job
from models.settings import Settings
from models.why import Why
from storage.identity.pauses import pause
from storage.log import waiting
from storage.log.event_log import EventLog
from storage.log.submissions import Entry, begin_all
from tasks.jobs.why import drained_at, why
from tasks.services import Services
from tests.contract.databases import Databases, on

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
RAN = (
    Validated(experiments=1, shots=1),
    Compiled(program_sha256="p", program_bytes=1, seed=5),
    Executed(
        seconds=1.0,
        cpu_seconds=1.0,
        seed=5,
        versions={},
        backend_config_sha256="c",
        result_sha256="r",
        result_bytes=1,
        staged="s",
    ),
    Uploaded(path="p", bytes=1, sha256="r"),
    Completed(),
)


class Lab:
    """A laboratory that runs two jobs at once, by a clock that the test sets."""

    def __init__(self, folder: Path, engine: Engine, set_clock: Callable[[str, Any], None]) -> None:
        self.now = START
        set_clock("models.clock.now", lambda: self.now)
        self.services = Services(Settings(home=folder, most_at_once={"fermions": 1}))
        self.log = vars(self.services)["log"] = EventLog(engine, lambda: self.now)
        self._received = 0

    def submit(self, *jobs: tuple[str, str], backend: str = "rydberg", priority: int = 0) -> None:
        """Hand in jobs, each of a user and with an id, one after the other."""
        entries = []
        for user, job_id in jobs:
            self._received += 1
            fact = Submitted.of(
                b"{}",
                keep_up_to=9,
                backend=backend,
                user=user,
                priority=priority,
                source="cli",
                received_at=self.now - timedelta(hours=1) + timedelta(milliseconds=self._received),
            )
            entries.append(Entry(fact, job_id))
        begin_all(self.log.engine, entries, "test", lambda: self.now)

    def claim(self, *backends: str) -> Job:
        job = self.log.claim(backends or ("rydberg", "fermions"), "worker-7", self.now + timedelta(hours=1))
        assert job is not None
        return job

    def run(self, number: int, seconds: float) -> None:
        """Run jobs, two at once."""
        for nth in range(0, number, 2):
            jobs = [self.claim() for _ in range(min(2, number - nth))]
            self.now += timedelta(seconds=seconds)
            for job in jobs:
                self.log.append(job, *RAN, attempt=job.attempt, actor="w")

    def why(self, job_id: str) -> Why:
        return why(self.services, self.log.get(job_id))


@pytest.fixture
def lab(tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A laboratory with nothing to do."""
    return Lab(tmp_path, databases.open(databases.new(tmp_path)), monkeypatch.setattr)


def holds(said: Why) -> list[str]:
    """Return the kinds of what a job waits for."""
    return [hold.kind for hold in said.holds]


def test_a_job_in_line(lab: Lab):
    """Its place, who is before it, and when it starts and ends, by what ran before."""
    lab.submit(*(("carol", f"old{nth}") for nth in range(10)))
    lab.run(10, 4.0)
    lab.submit(*(("alice", f"a{nth}") for nth in range(5)), ("bob", "b0"))
    first = lab.claim()
    assert first.job_id == "a0"
    said = lab.why("b0")
    assert (said.queue and said.queue.place, holds(said), said.known_runs) == (1, ["turn"], 10)
    said = lab.why("a2")
    assert said.queue is not None
    assert (said.queue.place, said.queue.own_before, said.queue.users_before) == (3, 1, 1)
    assert (said.queue.waiting, said.queue.running, said.queue.at_once, said.queue.is_exact) == (5, 1, 2, True)
    assert said.queue.before == {"alice": 1, "bob": 1}
    assert said.for_users().queue == said.queue.model_copy(update={"before": None})
    assert said.start is not None
    # Bob is next, since alice has one under way; when that ends, she has a1 and a2 begun.
    assert said.start.expected == lab.now + timedelta(seconds=4)
    assert said.start.earliest < said.start.expected < said.start.latest
    assert said.end is not None
    assert said.end.expected == lab.now + timedelta(seconds=8)
    assert said.sentences()[:2] == [
        "it is number 3 in line, behind 1 job of the same user and 1 job of 1 other user",
        "before it: alice 1, bob 1",
    ]
    assert "alice" not in " ".join(said.for_users().sentences())
    assert drained_at(lab.services) == {"rydberg": lab.now + timedelta(seconds=12)}


def test_a_job_under_way(lab: Lab):
    """Who has it and until when is for operators; when it ends, by how long it has been running."""
    lab.submit(*(("carol", f"old{nth}") for nth in range(9)), ("carol", "j"))
    lab.run(9, 10.0)
    since, job = lab.now, lab.claim()
    lab.log.heartbeat({"j": 1}, lab.now + timedelta(minutes=9))
    lab.now += timedelta(seconds=4)
    said = lab.why(job.job_id)
    assert said.attempt is not None
    assert (said.attempt.worker, said.attempt.since, said.attempt.number) == ("worker-7", since, 1)
    assert said.attempt.lease_until == since + timedelta(minutes=9)
    assert said.end is not None
    assert said.end.expected == lab.now + timedelta(seconds=6)
    assert "worker-7" in said.sentences()[0]
    assert "worker-7" not in str(said.for_users().model_dump()) + str(said.for_users().sentences())
    assert lab.why("old0").sentences() == ["the job has ended: it is DONE"]
    broke = Failed(stage="execution", blame="user", faults=(Fault(message="the laser was off"),), fault_count=1)
    lab.log.append(job, broke, attempt=1, actor="worker-7")
    assert lab.why(job.job_id).sentences() == ["the job has ended: the laser was off"]


def test_what_holds_a_job(lab: Lab):
    """A pause, with its end or without; the wait for the next attempt; a limit; a mirror that knows more."""
    lab.submit(("alice", "j"), ("alice", "k"))
    lab.run(1, 3.0)
    directory = lab.services.directory
    pause(directory, "rydberg", reason="laser", actor="op")
    said = lab.why("k")
    assert (holds(said), said.start, said.sentences()[0]) == (["pause", "turn"], None, "rydberg is paused: laser")
    assert drained_at(lab.services) == {}
    until = lab.now + timedelta(hours=1)
    pause(directory, "rydberg", until=until, actor="op")
    said = lab.why("k")
    assert said.start is not None
    assert (said.holds[0].until, said.start.expected) == (until, until)
    lab.now = until
    job = lab.claim()
    again = lab.now + timedelta(minutes=5)
    back = Retried(reason="the storage did not answer", after_seconds=300, not_before=again)
    lab.log.append(job, back, attempt=1, actor="w")
    said = lab.why("k")
    assert said.start is not None
    assert (holds(said), said.start.expected, said.queue and said.queue.place) == (["retry", "turn"], again, 1)
    assert said.sentences()[0] == "it is tried again at 10:05:03 UTC: the storage did not answer"
    lab.submit(("bob", "f0"), ("bob", "f1"), backend="fermions")
    lab.claim("fermions")
    said = lab.why("f1")
    assert (holds(said), said.start, said.sentences()[0]) == (
        ["limit", "turn"],
        None,
        "fermions runs 1 at once, and does",
    )
    assert said.sentences()[-1] == "when is not known: fermions has not run any job of late"


def test_a_job_that_nobody_takes(lab: Lab):
    """It is next, and has been for a while: that is said, and not when it starts by itself."""
    lab.submit(("alice", "j"))
    lab.now += timedelta(minutes=1)
    assert holds(lab.why("j")) == ["nobody"]


def test_jobs_that_failed_tell_too(lab: Lab):
    """A job with a fault takes its place as long as it runs; one without any history has a place and no time."""
    lab.submit(("alice", "j"), ("alice", "k"))
    assert lab.why("k").start is None
    job = lab.claim()
    lab.now += timedelta(seconds=2)
    failed = Failed(stage="validation", blame="user", faults=(Fault(message="x"),), fault_count=1)
    lab.log.append(job, failed, attempt=1, actor="w")
    assert lab.why("k").known_runs == 1


@pytest.mark.slow
@on("sqlite")
def test_a_thousand_jobs_of_another_user_and_a_thousand_names(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    """Places are right, whether all that waits is looked at or its beginning alone; jobs are served as was said."""
    lab.submit(*(("alice", f"a{nth}") for nth in range(1000)), ("bob", "b"))
    lab.submit(*((f"name {nth}", f"n{nth}") for nth in range(1000)))
    asked = ("a0", "b", "a1", "n0", "a2", "n1")
    places = {job_id: said.queue.place for job_id in asked if (said := lab.why(job_id)).queue}
    assert places == {"a0": 1, "b": 2, "a1": 3, "n0": 4, "a2": 5, "n1": 6}
    monkeypatch.setattr(waiting, "MOST", 1000)
    monkeypatch.setattr(waiting, "_OLDEST", waiting._OLDEST.limit(500))
    monkeypatch.setattr(waiting, "_FIRST", waiting._FIRST.limit(500))
    about = lab.why("b").queue
    assert about is not None
    assert (about.place, about.is_exact) == (2, False)
    deep = lab.why("n999").queue
    assert deep is not None
    assert (deep.place, deep.is_exact) == (2001, False)
    served = [lab.claim(), lab.claim()]
    while len(served) < len(asked):
        lab.now += timedelta(seconds=1)
        lab.log.append(served[-2], *RAN, attempt=1, actor="w")
        served.append(lab.claim())
    assert [job.job_id for job in served] == list(asked)
