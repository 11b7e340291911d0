"""What a drain does when it is told to stop, or when the next one is here: with jobs that are tasks, and no server."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.draining import scheduler as module
from flows.draining.handover import Handover
from flows.draining.scheduler import Scheduler
from models import policy
from tasks.jobs.claims import Claim


class Poller:
    """Inboxes with nothing in them."""

    backends = ("rydberg",)
    down: frozenset[str] = frozenset()

    async def poll(self) -> tuple[int, int, int]:
        return 0, 0, 0

    def usable(self) -> list[str]:
        return [""]

    async def close(self) -> None:
        return


class Claims:
    """A queue, and what was begun of it: as tasks that go on for ever."""

    def __init__(self) -> None:
        self.given_back: list[bool] = []
        self.waiting: list[Any] = []
        self.begun: asyncio.Queue[Claim] = asyncio.Queue()

    def claim(self, _backends: list[str], *, storages: list[str]) -> Claim | None:
        del storages
        return Claim(self.waiting.pop(), "token") if self.waiting else None

    async def run_to_end(self, claim: Claim, run: Coroutine[Any, Any, None]) -> None:
        run.close()
        self.begun.put_nowait(claim)
        await for_ever()

    def give_back_all(self, *, begun: bool) -> None:
        self.given_back.append(begun)


class Ground:
    """A scheduler in a process that outlives its drains, and how often it asked what to do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.claims, self.handover = Claims(), Handover()
        self.handover.use()
        settings = SimpleNamespace(dispatch={}, poll_seconds=0.05, retry_seconds=0.0)
        self.services: Any = SimpleNamespace(settings=settings, claims=self.claims, stopping=threading.Event())
        empty: Any = Poller()
        prefect: Any = None
        self.scheduler = Scheduler(self.services, prefect, empty, prefect, 2)

        def next_action(state: policy.DrainState, now: float) -> policy.Do | policy.Rest:
            self.asked += 1
            return policy.next_action(state, now)

        monkeypatch.setattr(module, "next_action", next_action)

    def begin(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let a job be under way, as an earlier drain has begun it."""
        task = self.handover.begin(job, "job")
        self.handover.jobs.add(task, asyncio.Event())
        return task

    async def run(self) -> dict[str, int]:
        return await self.scheduler.run(until_empty=False, time_budget=None)


async def for_ever() -> None:
    """Be a job that does not end."""
    await asyncio.Event().wait()


def test_a_drain_that_is_to_stop_lets_its_jobs_end_and_rests_meanwhile(monkeypatch: pytest.MonkeyPatch):
    """It does not ask over and over what to do, though somebody has called it: the loop is the jobs'."""

    async def run() -> None:
        ground = Ground(monkeypatch)
        task = ground.begin(asyncio.sleep(0.4))
        ground.services.stopping.set()
        ground.handover.wanted.set()
        assert await ground.run() == {}
        assert not task.cancelled()
        assert ground.asked < 30
        assert ground.claims.given_back == [False]

    asyncio.run(run())


def test_a_job_that_does_not_end_is_stopped_when_the_grace_is_over(monkeypatch: pytest.MonkeyPatch):
    """The grace begins when the drain is told to stop."""
    monkeypatch.setattr(policy, "GRACE_SECONDS", 0.1)

    async def run() -> None:
        ground = Ground(monkeypatch)
        task = ground.begin(for_ever())
        ground.services.stopping.set()
        await ground.run()
        assert task.cancelled()
        assert ground.claims.given_back == [False]

    asyncio.run(run())


def test_a_drain_that_the_next_one_follows_leaves_its_jobs(monkeypatch: pytest.MonkeyPatch):
    """It ends at once, though it rests; what is under way goes on, and nothing is given back."""

    async def run() -> None:
        ground = Ground(monkeypatch)
        task = ground.begin(for_ever())
        drain = asyncio.create_task(ground.run())
        await asyncio.sleep(0)
        ground.handover.wanted.set()
        async with asyncio.timeout(30):
            assert await drain == {}
        assert ground.scheduler.leaves_jobs()
        assert not task.done()
        assert ground.claims.given_back == []
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_the_jobs_of_a_device_outside_are_not_claimed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """An engine serves it; the drain claims for its own backends, and waits for those alone to be empty."""
    (tmp_path / "kawasaki.json").write_text('{"simulator": "none"}')
    monkeypatch.setenv("QULEDGER_DEVICES", str(tmp_path))
    monkeypatch.setattr(Poller, "backends", ("rydberg", "kawasaki"))
    monkeypatch.setattr(Poller, "awaited", lambda _self: [""], raising=False)
    ground = Ground(monkeypatch)
    asked: list[list[str]] = []
    monkeypatch.setattr(ground.claims, "claim", lambda backends, **_: asked.append(backends))
    ground.services.log = SimpleNamespace(engine=None, counts=lambda **_: {"kawasaki": {"waiting": 3}})
    monkeypatch.setattr(module, "pauses", lambda _engine: {})
    assert asyncio.run(ground.scheduler.run(until_empty=True, time_budget=None)) == {}
    assert {tuple(backends) for backends in asked} == {("rydberg",)}


def test_a_job_that_has_ended_makes_room_before_prefect_knows(monkeypatch: pytest.MonkeyPatch):
    """With two places, a third job begins when one of two has ended, though the tasks of both go on."""

    async def run() -> None:
        ground = Ground(monkeypatch)
        ground.claims.waiting = [SimpleNamespace(job_id=name) for name in "cba"]
        drain = asyncio.create_task(ground.run())
        async with asyncio.timeout(30):
            first, second = await ground.claims.begun.get(), await ground.claims.begun.get()
            assert len(ground.claims.waiting) == 1
            first.ended.set()
            third = await ground.claims.begun.get()
        assert [each.job.job_id for each in (first, second, third)] == ["a", "b", "c"]
        assert len(ground.handover.jobs) == 3
        assert ground.handover.jobs.awaited() == [second.ended, third.ended]
        drain.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await drain
        await ground.handover.jobs.stop()

    asyncio.run(run())
