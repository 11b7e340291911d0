"""The log does not answer for a while, at whatever step: a lone drain gives back what it could not settle, and goes on.

Leases are long here: what helps is never that one runs out. QULEDGER_TEST_CRASH=all tries every step.
"""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from models.errors import LogUnavailable
from models.job import State
from models.settings import Settings
from models.submissions import Submission
from tasks.services import Services, use
from tests.crash.drains import Drains
from tests.installation import ONE_BACKEND, Installation, experiment
from tests.postgres import postgres_server
from tests.waiting import until

ALL = os.environ.get("QULEDGER_TEST_CRASH") == "all"
JOB = {"experiment_0": experiment(["load", [0], [9]], ["rlx", [0], [1.0]], ["measure", [0], []], shots=50)}
OUTAGE_SECONDS = 0.7
RESTARTS = 5 if ALL else 3
"""More than a job has attempts."""

WRITES = ("claim", "append", "expire", "heartbeat", "submit")
READS = ("get", "history", "document", "running", "counts", "known")
# The third append of a job is `executed`, the fourth `uploaded` and `completed`.
SAMPLE = [("claim", 1, "after"), ("append", 3, "before"), ("append", 4, "after"), ("document", 1, "before")]
EVERY = [("claim", 1, way) for way in ("before", "after")]
EVERY += [("append", nth, way) for nth in (1, 2, 3, 4) for way in ("before", "after")]
EVERY += [(name, nth, "before") for name in ("get", "history") for nth in (1, 2, 3)]
EVERY += [("document", nth, "before") for nth in (1, 2)]  # of each job it is read once


class Flaky:
    """A log whose n-th call of one kind fails, before it is done or after, and with it everything for a while."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.strike: tuple[str, int, str] = ("", 0, "")
        self.seconds = OUTAGE_SECONDS
        self.calls: Counter[str] = Counter()
        self.down_until = 0.0
        self.lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if name not in WRITES + READS:
            return method

        def call(*args: Any, **more: Any) -> Any:
            if time.monotonic() < self.down_until:
                raise LogUnavailable("it is down")
            kind, nth, way = self.strike
            with self.lock:
                # A claim that finds nothing is none.
                self.calls[name] += name != "claim"
                strikes = name == kind and name != "claim" and self.calls[name] == nth
            if strikes and way == "before":
                self.down_until = time.monotonic() + self.seconds
                raise LogUnavailable("it went down")
            answer = method(*args, **more)
            if name == kind == "claim" and answer is not None:
                self.calls[name] += 1
                strikes = self.calls[name] == nth
            if strikes:
                self.down_until = time.monotonic() + self.seconds
                raise LogUnavailable("the answer was lost")
            return answer

        return call


@dataclass(frozen=True, eq=False)
class FlakyServices(Services):
    """Services on a log that can be made to fail."""

    drains: Drains = field(kw_only=True)

    @cached_property
    def log(self) -> Any:
        return Flaky(super().log)


@pytest.fixture
def log_fixture(tmp_path: Path, prefect_api: str, drains: Drains, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Services of their own on a log that can be made to fail, with Prefect at hand."""
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415 - Prefect takes seconds to import

    from flows.prefect_api.engine import flush_prefect  # noqa: PLC0415 - as above

    settings = Settings(
        home=tmp_path,
        retry_seconds=0.05,
        poll_seconds=0.05,
        publish_seconds=600,
        lease_seconds=getattr(request, "param", 600),
        max_attempts=2,
    )
    services = FlakyServices(settings, drains=drains)
    drains.lend(services)
    use(services)
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        yield services
        flush_prefect()
    use(None)


def drain(log_fixture: Any, number: int = 2) -> list[str]:
    """Queue jobs as a front end does, and drain in this process; return their ids."""
    from flows.drain_queue import drain_queue  # noqa: PLC0415 - Prefect takes seconds to import

    ids = [uuid4().hex[:24] for _ in range(number)]
    for job_id in ids:
        log_fixture.stores.of("").put(f"jobs/queued/singlequdit/{job_id}.json", json.dumps(JOB).encode())
    log_fixture.drains.run(drain_queue(backends=["singlequdit"], concurrency=2, time_budget=120))
    return ids


def check(log_fixture: Any, ids: list[str]) -> None:
    """Each job is DONE with one accepted result, and no attempt was used up; nothing is held or owed any more."""
    log = log_fixture.log.inner
    for job_id in ids:
        kinds = Counter(event.kind for event in log.history(job_id))
        assert log.get(job_id).state is State.DONE
        assert (kinds["executed"], kinds["uploaded"], kinds["completed"]) == (1, 1, 1)
        assert (kinds["refused"], kinds["lease_expired"], log.get(job_id).failures) == (0, 0, 0)
    assert log_fixture.claims.holders() == set()
    assert log.running(log_fixture.claims.owed()) == []


@pytest.mark.parametrize(("name", "nth", "way"), EVERY if ALL else SAMPLE)
def test_an_error_of_the_log_at_any_step_leaves_no_job_behind(log_fixture: Any, name: str, nth: int, way: str):
    """Whether a call was done or not before the log went silent, the lone drain ends each job once, by itself."""
    log_fixture.log.strike = (name, nth, way)
    ids = drain(log_fixture)
    assert log_fixture.log.down_until > 0
    check(log_fixture, ids)


@pytest.mark.parametrize("log_fixture", [0.5], indirect=True, ids=["short leases"])
def test_an_outage_longer_than_the_lease_is_outlived(log_fixture: Any):
    """A worker that cannot write for longer than its lease lasts gives its job back when the log answers."""
    log_fixture.log.strike, log_fixture.log.seconds = ("append", 2, "after"), 2.0
    ids = drain(log_fixture)
    log = log_fixture.log.inner
    assert [log.get(job_id).state for job_id in ids] == [State.DONE, State.DONE]
    assert all([event.kind for event in log.history(job_id)].count("completed") == 1 for job_id in ids)
    assert (log_fixture.claims.holders(), log.running(log_fixture.claims.owed())) == (set(), [])


def test_a_second_run_of_an_attempt_finds_nothing_to_do(log_fixture: Any):
    """Begun by hand with the job and attempt that a worker is just running, here or elsewhere, a run does nothing."""
    from flows.run_job import run_attempt  # noqa: PLC0415 - Prefect takes seconds to import
    from tasks.jobs.submission import submit_document  # noqa: PLC0415 - as above

    job_id = submit_document(log_fixture, Submission(backend="singlequdit", document=json.dumps(JOB).encode())).job_id
    claimed = log_fixture.claims.claim(["singlequdit"])
    assert claimed is not None
    held = log_fixture.claims.begin(job_id, 1)
    assert held == claimed
    elsewhere = Services(log_fixture.settings)
    for services in (log_fixture, elsewhere):
        use(services)
        state = log_fixture.drains.run(run_attempt(job_id, 1, return_state=True))
        assert state.message == f"nothing to do: job {job_id} is CLAIMED in attempt 1, in the hands of another worker"
    use(log_fixture)
    assert [event.kind for event in log_fixture.log.history(job_id)] == ["submitted", "claimed"]
    log_fixture.claims.end_attempt(held)
    assert log_fixture.log.get(job_id).state is State.QUEUED
    drain(log_fixture, 0)
    assert log_fixture.log.get(job_id).state is State.DONE
    assert elsewhere.worker != log_fixture.worker


def test_postgresql_is_restarted_again_and_again_under_a_lone_drain(tmp_path: Path, prefect_api: str):
    """In good order and as by a crash, with jobs under way: all end, each once, and nobody helps from outside."""
    with postgres_server() as server:
        installation = Installation(tmp_path, prefect_api)
        url = server.create("restarted")
        installation.environment |= {
            "QULEDGER_DATABASE": url,
            "QULEDGER_LEASE_SECONDS": "600",
            "QULEDGER_MAX_ATTEMPTS": "2",
        }
        ids: list[str] = []

        def queue(number: int) -> None:
            for _ in range(number):
                ids.append(uuid4().hex[:24])
                installation.queue("singlequdit", f"{ids[-1]}.json", json.dumps(JOB).encode())

        queue(3)
        drain = installation.start("drain", *ONE_BACKEND)
        log = installation.log
        try:
            for turn in range(RESTARTS):
                until(answering(lambda: any(phases.get("running") for phases in log.counts().values())))
                server.restart(signal.SIGQUIT if turn % 2 else signal.SIGINT)
                queue(3)
            until(answering(lambda: len(log.jobs(state="DONE")) == len(ids)))
        finally:
            drain.send_signal(signal.SIGTERM)
            said = drain.communicate(timeout=90)[0]
        assert set(installation.states().values()) == {"DONE"}, said
        for job_id in ids:
            kinds = Counter(event["kind"] for event in installation.history(job_id))
            assert (kinds["uploaded"], kinds["completed"], kinds["lease_expired"]) == (1, 1, 0)
        assert installation.findings() == []
        log.engine.dispose()


def answering(condition: Callable[[], bool]) -> Callable[[], bool]:
    """Return a condition that does not hold while the log does not answer."""

    def holds() -> bool:
        try:
            return condition()
        except LogUnavailable:
            return False

    return holds
