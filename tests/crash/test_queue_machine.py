"""Whose turn it is, after whatever may happen to a queue, in any order: compared with `tests/crash/queue_oracle.py`.

For a longer search with fresh examples set QULEDGER_TEST_EXAMPLES, as in `tests/crash/test_state_machine.py`.
"""

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import event

from models.facts import Cancelled, CancelRequested, LeaseExpired, Revived, Submitted
from models.job import Job
from models.retry import given_back
from storage.audit.rebuild import rebuild
from storage.audit.verify import _UNQUEUED
from storage.log.database import open_database, reading
from storage.log.event_log import EventLog
from storage.log.holds import Held, Holds
from tests.contract.log_fixture import LOST
from tests.crash.queue_oracle import Standing, whose_turn
from tests.crash.test_state_machine import SAMPLE

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
BACKENDS, STORAGES, USERS = ("fermions", "rydberg"), ("", "lab"), ("ann", "bob", "cat")
_SOME_BACKENDS = st.sampled_from([BACKENDS, BACKENDS[:1], BACKENDS[1:]])
_SOME_STORAGES = st.sampled_from([None, STORAGES, STORAGES[:1], STORAGES[1:]])
_MOST = st.sampled_from([None, None, {"rydberg": 1}, {"rydberg": 2, "fermions": 0}])
_PICK = st.integers(0, 11)


class QueueMachine(RuleBasedStateMachine):
    """A log with some jobs, whose clock and holds go back and forth."""

    def __init__(self, empty: Path) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=empty.parent))
        shutil.copy(empty, self.folder / "log.db")
        self.engine = open_database(f"sqlite:///{self.folder / 'log.db'}")
        self.engine.dispose()
        event.listen(self.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
        self.now = START
        self.log = EventLog(self.engine, lambda: self.now)
        self.holds = Holds(self.engine)
        self.jobs: dict[str, Standing] = {}
        self.number = 0

    def teardown(self) -> None:
        self.engine.dispose()
        shutil.rmtree(self.folder)

    def _note(self, job: Job) -> None:
        """Keep the model in step with what the log was made to say of a job."""
        if job.phase == "final":
            self.jobs.pop(job.job_id)
        else:
            running = job.phase == "running"
            self.jobs[job.job_id] = self.jobs[job.job_id]._replace(running=running, not_before=job.not_before)

    def _one(self, pick: int, *, running: bool | None = None) -> Job | None:
        ids = sorted(job_id for job_id, job in self.jobs.items() if running in (None, job.running))
        return self.log.get(ids[pick % len(ids)]) if ids else None

    @rule(
        where=st.tuples(st.sampled_from(USERS), st.sampled_from(BACKENDS), st.sampled_from(STORAGES)),
        priority=st.sampled_from([0, 0, 5]),
        ago=st.sampled_from([0, 1, 60, -7200]),
    )
    def submit(self, where: tuple[str, str, str], priority: int, ago: int) -> None:
        """Hand in a job; perhaps one that another clock has dated."""
        user, backend, storage = where
        self.number += 1
        job_id, received_at = f"j{self.number:02}", self.now - timedelta(seconds=ago)
        about = {"user": user, "backend": backend, "storage": storage, "priority": priority}
        fact = Submitted.of(b"{}", keep_up_to=9, source="cli", received_at=received_at, **about)
        self.log.submit(job_id, fact, "cli")
        self.jobs[job_id] = Standing(job_id, user, backend, storage, priority, received_at, False, None, False)

    @rule(backends=_SOME_BACKENDS, storages=_SOME_STORAGES, most=_MOST, number=st.integers(1, 4))
    def claim(
        self, backends: tuple[str, ...], storages: tuple[str, ...] | None, most: dict[str, int] | None, number: int
    ) -> None:
        """Claim some jobs: each is the one whose turn it is."""
        for _ in range(number):
            wanted = whose_turn(self.jobs.values(), self.now, backends, storages, most)
            job = self.log.claim(backends, "w", self.now + timedelta(seconds=60), most, storages=storages)
            assert (job and job.job_id) in wanted, (job and job.job_id, wanted, self.jobs)
            if job is not None:
                self._note(job)

    @rule(pick=_PICK, pause=st.sampled_from([0, 2, 300, 600]))
    def give_back(self, pick: int, pause: float) -> None:
        """Give a job back, with a pause."""
        if job := self._one(pick, running=True):
            self._note(self.log.append(job, given_back("x", self.now, pause), attempt=job.attempt, actor="w"))

    @rule(pick=_PICK)
    def end(self, pick: int) -> None:
        """End a job."""
        if job := self._one(pick, running=True):
            self._note(self.log.append(job, LOST, attempt=job.attempt, actor="w"))

    @rule(pick=_PICK, revive=st.booleans())
    def cancel(self, pick: int, *, revive: bool) -> None:
        """Cancel a job that waits, or end its pause."""
        job = self._one(pick, running=False)
        if job and revive and job.not_before:
            self._note(self.log.append(job, Revived(by="x"), attempt=job.attempt, actor="x"))
        elif job and not revive:
            self._note(self.log.append(job, CancelRequested(by="x"), Cancelled(), attempt=job.attempt, actor="x"))

    @rule(pick=_PICK)
    def hold(self, pick: int) -> None:
        """Hold a job, whatever it does."""
        if job := self._one(pick):
            self.holds.put(Held(job.job_id, "", "why"))
            self.jobs[job.job_id] = self.jobs[job.job_id]._replace(held=True)

    @rule(number=st.integers(1, 4))
    def release(self, number: int) -> None:
        """Let some jobs go."""
        for each in self.holds.all()[:number]:
            self.holds.release(each.job_id)
            if each.job_id in self.jobs:
                self.jobs[each.job_id] = self.jobs[each.job_id]._replace(held=False)

    @rule()
    def expire(self) -> None:
        """End what was not heard of."""

        def decide(job: Job) -> tuple[LeaseExpired, object]:
            assert job.lease_until is not None
            expired = LeaseExpired(worker="w", lease_until=job.lease_until)
            return expired, given_back("silent", self.now, 5)

        for job in self.log.expire(decide, "reconcile"):  # type: ignore[arg-type]
            self._note(job)

    @rule(seconds=st.sampled_from([1, 61, 400, 7200, -7200, -36000]))
    def set_the_clock(self, seconds: int) -> None:
        """Let time pass, or put the clock forward or back."""
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: len(self.jobs) > 3)
    @rule()
    def rebuild(self) -> None:
        """Make the views anew."""
        rebuild(self.engine)

    @invariant()
    def everybody_is_in_line(self) -> None:
        """What `verify` looks for is never there."""
        with reading(self.engine) as connection:
            assert connection.scalars(_UNQUEUED).all() == []


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """An empty database to copy."""
    path = tmp_path / "empty.db"
    open_database(f"sqlite:///{path}").dispose()
    return path


def test_each_claim_is_the_one_whose_turn_it_is(empty: Path):
    """Whatever is submitted, paused, held, cancelled and rebuilt, and whatever the clock says."""
    run_state_machine_as_test(lambda: QueueMachine(empty), settings=SAMPLE)
