"""Verify beside workers: what they are about to bring right is no difference, and what nobody brings right is one."""

import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from models import clock
from models.audit import Finding, Run
from storage.audit.verify import Verifier
from tests.contract.log_fixture import LogFixture

PATIENCE = 0.6


@pytest.fixture
def log_fixture(tmp_path: Path) -> LogFixture:
    """A log with one job of the inbox, which nobody has taken."""
    fixture = LogFixture(tmp_path)
    fixture.queue("j.json", b"{}")
    fixture.inbox.take("rydberg", "w")
    return fixture


def verified(fixture: LogFixture, runs: list[Run] | None = None) -> list[str]:
    """Return in what the job differs, and find the same whether it is asked for alone."""
    asked = None if runs is None else lambda _ids: runs
    verifier = Verifier(fixture.log.engine, fixture.stores, asked, patience=PATIENCE)
    findings: list[Finding] = list(verifier.all())
    assert verifier.jobs == 1
    assert findings == list(Verifier(fixture.log.engine, fixture.stores, asked, patience=PATIENCE).job("j"))
    return [finding.what for finding in findings]


def test_a_job_that_waits_or_runs_is_not_behind(log_fixture: LogFixture):
    """Its documents follow when its worker takes it, and when the attempt ends."""
    assert verified(log_fixture) == []
    job = log_fixture.log.claim(["rydberg"], "w", clock.now() + timedelta(seconds=60))
    assert job is not None
    assert verified(log_fixture) == []


def test_a_job_whose_worker_is_gone_is_behind(log_fixture: LogFixture):
    """The lease is over, and nobody brings its documents up."""
    assert log_fixture.log.claim(["rydberg"], "w", clock.now()) is not None
    assert verified(log_fixture) == ["behind"]
    log_fixture.log.heartbeat({"j": 1}, clock.now() + timedelta(seconds=1))
    assert verified(log_fixture) == []


@pytest.mark.parametrize("relayed", [True, False])
def test_a_job_that_has_just_ended_is_given_time(log_fixture: LogFixture, *, relayed: bool):
    """Its worker writes its documents and ends its run a moment later, or does not."""
    log_fixture.finish(log_fixture.take())
    runs = [Run("r", "j", "RUNNING")]

    def bring_right() -> None:
        time.sleep(PATIENCE / 2)
        log_fixture.relay.update("j")
        runs[:] = [Run("r", "j", "COMPLETED")]

    worker = threading.Thread(target=bring_right)
    if relayed:
        worker.start()
    assert verified(log_fixture, runs) == ([] if relayed else ["behind", "prefect"])
    if relayed:
        worker.join()
