"""The event log under everything that may happen to it, in any order.

`make test` takes a fixed sample. For a longer search with fresh examples set QULEDGER_TEST_EXAMPLES, such as
`QULEDGER_TEST_EXAMPLES=2000 .venv/bin/python -m pytest --timeout=0 tests/crash/test_state_machine.py`
(some 300 examples a minute on one core).
"""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from models.errors import StaleAttempt
from models.facts import Fact, Submitted, Validated
from models.job import Job, why_not
from models.retry import given_back
from storage.log import event_log
from storage.log.database import open_database
from storage.log.event_log import EventLog
from tests.crash.log_machine import LogMachine
from tests.crash.log_model import LEASE, START, Impostor, StaleDecision, ZombieResult

ASKED = int(os.environ.get("QULEDGER_TEST_EXAMPLES", "0"))

SAMPLE = settings(
    max_examples=ASKED or 30,
    stateful_step_count=40,
    # The same examples each time in CI; whoever asks for more wants new ones.
    derandomize=not ASKED,
    database=None,
    # A step writes to a database: how long that takes is the disk's business, and no sign of a bad test.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
HUNT = settings(
    SAMPLE,
    max_examples=300,
    derandomize=True,
    # That something is found is enough; making it small would take the most time.
    phases=[Phase.generate],
    report_multiple_bugs=False,
)


class NoSeqFence(EventLog):
    """Appends after whatever event is the last one."""

    def append(self, job: Job, *facts: Fact, attempt: int, actor: str, **more: Any) -> Job:
        return super().append(self.get(job.job_id), *facts, attempt=attempt, actor=actor, **more)


class ZombieHunt(LogMachine):
    """Looks for nothing but the result of an attempt that was over."""

    watched = ZombieResult


class UnfencedHunt(ZombieHunt):
    """The same on a log that looks at no seq either."""

    log_class = NoSeqFence


class ImpostorHunt(LogMachine):
    """Looks for nothing but what a second worker of an attempt writes."""

    watched = Impostor


class StaleHunt(LogMachine):
    """Looks for decisions by those who did not know the newest event, on a log that looks at no seq."""

    log_class = NoSeqFence
    watched = StaleDecision


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """An empty database to copy."""
    path = tmp_path / "empty.db"
    open_database(f"sqlite:///{path}").dispose()
    return path


def take_out_the_attempt_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the log take every attempt for the current one; what may follow what is still asked."""

    def lenient(job: Job, fact: Fact, attempt: int) -> str | None:
        return why_not(job, fact, job.attempt)

    monkeypatch.setattr(event_log, "why_not", lenient)
    monkeypatch.setattr(event_log, "_is_late", lambda *_: False)
    monkeypatch.setattr(event_log, "not_the_holder", lambda *_: None)


def test_the_log_keeps_its_promises(empty: Path):
    """Whatever users, workers and crashes do in whatever order, no invariant of the log breaks."""
    run_state_machine_as_test(lambda: LogMachine(empty), settings=SAMPLE)


@pytest.mark.parametrize("machine", [ZombieHunt, UnfencedHunt])
def test_without_the_fence_the_zombie_is_found(empty: Path, monkeypatch: pytest.MonkeyPatch, machine: type[LogMachine]):
    """With the attempt fence taken out, with or without that of the seq, a zombie's result is accepted and found."""
    take_out_the_attempt_fence(monkeypatch)
    with pytest.raises(ZombieResult):
        run_state_machine_as_test(lambda: machine(empty), settings=HUNT)


def test_without_the_holder_the_impostor_is_found(empty: Path, monkeypatch: pytest.MonkeyPatch):
    """With the token not asked for, the second worker of an attempt writes, and is found."""
    monkeypatch.setattr(event_log, "not_the_holder", lambda *_: None)
    with pytest.raises(Impostor):
        run_state_machine_as_test(lambda: ImpostorHunt(empty), settings=HUNT)


def test_without_the_seq_fence_the_stale_decision_is_found(empty: Path):
    """With the seq fence alone taken out, an append by who does not know the newest event is accepted and found."""
    with pytest.raises(StaleDecision):
        run_state_machine_as_test(lambda: StaleHunt(empty), settings=HUNT)


def test_a_refusal_leaves_the_flow_run_of_the_job(empty: Path):
    """A zombie that is refused does not put its own flow run in the place of the current attempt's."""
    log = EventLog(open_database(f"sqlite:///{empty}"), lambda: START)
    try:
        log.submit("a", Submitted.of(b"", keep_up_to=1, backend="rydberg", source="cli", received_at=START), "cli")
        old = log.claim(["rydberg"], "w0", START + LEASE)
        assert old is not None
        log.append(old, given_back("silent", START), attempt=1, actor="reconcile")
        new = log.claim(["rydberg"], "w1", START + LEASE)
        assert new is not None
        validated = Validated(experiments=1, shots=1)
        log.append(new, validated, attempt=2, actor="w1", flow_run_id="current")
        with pytest.raises(StaleAttempt):
            log.append(old, validated, attempt=1, actor="w0", flow_run_id="zombie")
        assert log.get("a").flow_run_id == "current"
    finally:
        log.engine.dispose()
