"""The clock is set two hours forward and back while a drain works: no job is lost, waits, or runs twice for it."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from models import clock
from models.job import State
from models.settings import Settings
from tasks.services import Services, use
from tests.installation import experiment

JOB = {"experiment_0": experiment(["load", [0], [9]], ["rlx", [0], [1.0]], ["measure", [0], []], shots=50)}
JUMPS = (2, 0, -2, 0)
"""Hours by which the clock is wrong, one after the other."""


class Wall:
    """The clock of this process, which is wrong by some hours; `on_final` is called when a job ends."""

    def __init__(self) -> None:
        self.hours = 0
        self.on_final: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=self.hours)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    """A clock that the test sets; the steady one goes on as ever."""
    wall = Wall()
    monkeypatch.setattr(clock, "now", wall.now)
    return wall


@pytest.fixture
def log_fixture(tmp_path: Path, prefect_api: str, wall: Wall) -> Iterator[Any]:
    """Services of their own with short leases, with Prefect at hand."""
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415 - Prefect takes seconds to import

    from flows.prefect_api.engine import flush_prefect  # noqa: PLC0415 - as above

    settings = Settings(
        home=tmp_path, retry_seconds=0.05, poll_seconds=0.05, publish_seconds=0.2, lease_seconds=3, max_attempts=2
    )
    services = Services(settings, on_final=lambda _job: wall.on_final())
    services.log._now = wall.now
    use(services)
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        yield services
        flush_prefect()
    use(None)


def test_a_clock_that_jumps_by_two_hours_costs_nothing(log_fixture: Any, wall: Wall):
    """With jobs claimed at each setting of the clock, one of a dead worker among them, all end by themselves."""
    from flows.drain_queue import drain_queue  # noqa: PLC0415 - Prefect takes seconds to import

    ids: list[str] = []

    def queue(number: int) -> None:
        for _ in range(number):
            ids.append(uuid4().hex[:24])
            log_fixture.stores.of("").put(f"jobs/queued/singlequdit/{ids[-1]}.json", json.dumps(JOB).encode())

    # A worker that claims while the clock is two hours ahead, and is never heard of again.
    wall.hours = 2
    queue(1)
    log_fixture.inboxes[""].take("singlequdit", "test")
    dead = Services(log_fixture.settings)
    dead.log._now = wall.now
    assert dead.claims.claim(["singlequdit"]) is not None
    dead.log.engine.dispose()
    wall.hours = 0
    jumps = iter(JUMPS)

    def on_final() -> None:
        # Each time another job may well be under way.
        if (hours := next(jumps, None)) is not None:
            wall.hours = hours
            queue(2)

    wall.on_final = on_final
    queue(2)
    asyncio.run(drain_queue(backends=["singlequdit"], concurrency=2, time_budget=150))
    assert next(jumps, None) is None
    for job_id in ids:
        kinds = Counter(event.kind for event in log_fixture.log.history(job_id))
        assert log_fixture.log.get(job_id).state is State.DONE
        assert (kinds["completed"], kinds["refused"]) == (1, 0)
        # Only the dead worker has lost its lease.
        assert kinds["lease_expired"] == (job_id == ids[0])
