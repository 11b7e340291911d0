"""Whatever a job went through, its log comes back from the mirror to the byte."""

import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from models.facts import (
    Adopted,
    AdoptedError,
    Fact,
    Hidden,
    Labelled,
    LeaseExpired,
    ResultRemoved,
    Retried,
    Revived,
    Validated,
)
from models.job import Job, Phase, State
from storage.audit.rebuild import rebuild
from storage.audit.restore import restore
from storage.audit.verify import Verifier
from storage.documents.relay import Relay
from storage.providers.stores import Stores
from tests.contract.databases import Databases
from tests.contract.log_fixture import DOCUMENT, LATER, LOST, START, LogFixture, dumped

MAY: dict[str, Callable[[Job], bool]] = {
    **dict.fromkeys(("validate", "fail", "lose", "finish"), lambda job: job.state is State.CLAIMED),
    "revive": lambda job: job.state is State.ERROR,
    "adopt": lambda job: job.state is State.QUEUED and job.attempt == 0,
    "remove": lambda job: job.state is State.DONE and not job.is_result_removed,
    "hide": lambda job: job.phase is Phase.FINAL and not job.is_hidden,
    "label": lambda _job: True,
}
"""To which job each step may be done."""

STEPS = st.lists(st.sampled_from(["submit", "claim", "relay", *MAY]), max_size=25)


class Walk:
    """Does what is asked for to the first job that it may be done to, with a clock of its own."""

    def __init__(self, log_fixture: LogFixture) -> None:
        self.log_fixture = log_fixture
        self.now = START
        log_fixture.log._now = self.tick  # type: ignore[method-assign]

    def tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def step(self, name: str) -> None:
        jobs = self.log_fixture.log.jobs(limit=1000)
        if name == "submit":
            job_id = f"j{len(jobs)}"
            if by_front_end := len(jobs) % 2 == 1:
                self.log_fixture.queue(f"{job_id}.json", DOCUMENT)
            self.log_fixture.submit(job_id, source="inbox" if by_front_end else ("cli", "api")[len(jobs) // 2 % 2])
        elif name == "claim":
            self.log_fixture.log.claim(["rydberg"], "w", LATER)
        elif name == "relay":
            self.log_fixture.relay.update_all()
        elif job := next((job for job in jobs if MAY[name](job)), None):
            self._change(name, job)

    def _change(self, name: str, job: Job) -> None:
        if name == "finish":
            self.log_fixture.finish(job)
            return
        expired = LeaseExpired(worker="w", lease_until=LATER)
        retried = Retried(reason="lost", after_seconds=0, not_before=START)
        facts: dict[str, tuple[Fact, ...]] = {
            "validate": (Validated(experiments=1, shots=1),),
            "fail": (LOST,),
            "lose": (expired, retried),
            "revive": (Revived(by="op"),),
            "hide": (Hidden(by="u"),),
            "label": (Labelled(by="u", labels={"n": str(job.seq)}),),
            "remove": (ResultRemoved(kept_days=1),),
        }
        what = (self._adopted(job),) if name == "adopt" else facts[name]
        self.log_fixture.log.append(job, *what, attempt=job.attempt, actor="w")

    def _adopted(self, job: Job) -> Adopted | AdoptedError:
        """Return what another spooler has made of a job, with its result: of every other one an error."""
        if int(job.job_id[1:]) % 2:
            return AdoptedError(detail="Got; bad", error_message="None; bad")
        there = self.log_fixture.uploaded(job)
        return Adopted(detail="Got", error_message="None", path=there.path, bytes=there.bytes, sha256=there.sha256)


@pytest.mark.slow
# Each example makes databases of its own.
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
@example(["submit", "adopt", "relay", "revive"])
@example(["submit"] * 3 + ["claim"] * 3 + ["adopt", "relay", "revive", "relay", "claim"])
def test_any_history_comes_back(databases: Databases, steps: list[str]):
    """Whatever happened to the jobs, rebuild and restore give the same bytes, and the result verifies."""
    with tempfile.TemporaryDirectory() as name:
        log_fixture, other = (
            LogFixture(folder, databases.open(databases.new(folder))) for folder in (Path(name), Path(name) / "second")
        )
        walk = Walk(log_fixture)
        for step in ["submit", *steps]:
            walk.step(step)
        before = dumped(log_fixture)
        rebuild(log_fixture.log.engine)
        assert dumped(log_fixture) == before
        log_fixture.relay.update_all()
        restore(other.log.engine, log_fixture.storage)
        assert dumped(other, cursors=False) == dumped(log_fixture, cursors=False)
        Relay(other.log, other.cursor, Stores.single(log_fixture.storage)).update_all()
        assert dumped(other) == dumped(log_fixture)
        assert list(Verifier(other.log.engine, Stores.single(log_fixture.storage)).all()) == []
        databases.close()
