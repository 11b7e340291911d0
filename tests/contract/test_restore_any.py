"""Whatever a job went through, its log comes back from the mirror to the byte."""

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.facts import Hidden, Labelled, LeaseExpired, Retried, Revived, Validated
from models.job import Job, Phase
from storage.audit.rebuild import rebuild
from storage.audit.restore import restore
from storage.audit.verify import Verifier
from storage.documents.relay import Relay
from storage.providers.stores import Stores
from tests.contract.databases import Databases
from tests.contract.log_fixture import DOCUMENT, LATER, LOST, START, LogFixture, dumped

STEPS = st.lists(
    st.sampled_from(["submit", "claim", "validate", "fail", "lose", "revive", "finish", "hide", "label", "relay"]),
    max_size=25,
)


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
        elif name == "hide":
            if ended := next((job for job in jobs if job.phase is Phase.FINAL and not job.is_hidden), None):
                self.log_fixture.log.append(ended, Hidden(by="u"), attempt=ended.attempt, actor="w")
        elif name == "label":
            if jobs:
                change = Labelled(by="u", labels={"n": str(jobs[-1].seq)})
                self.log_fixture.log.append(jobs[-1], change, attempt=jobs[-1].attempt, actor="w")
        elif job := next((job for job in jobs if job.state == {"revive": "ERROR"}.get(name, "CLAIMED")), None):
            self._change(name, job)

    def _change(self, name: str, job: Job) -> None:
        expired = LeaseExpired(worker="w", lease_until=LATER)
        retried = Retried(reason="lost", after_seconds=0, not_before=START)
        facts = {
            "validate": (Validated(experiments=1, shots=1),),
            "fail": (LOST,),
            "lose": (expired, retried),
            "revive": (Revived(by="op"),),
        }
        if name == "finish":
            self.log_fixture.finish(job)
        else:
            self.log_fixture.log.append(job, *facts[name], attempt=job.attempt, actor="w")


# Each example makes databases of its own.
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
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
