"""The client for event loops does what the other one does, and its methods are the same."""

import asyncio
import gc
import inspect
import urllib.parse
from typing import Any

import pytest

from quledger_client import (
    AsyncBackend,
    AsyncClient,
    AsyncJob,
    Backend,
    Client,
    Job,
    JobFailed,
    PartlyRefused,
    QuledgerError,
    Unreachable,
)

TOKEN = "qlg_0123456789ab_" + "5" * 48
VIEW = {"job_id": "j1", "backend": "b", "state": "QUEUED", "version": 3, "labels": {}, "group": ""}


def public(kind: type) -> dict[str, inspect.Signature | None]:
    """Return the methods of a class with their parameters; None for what is no method."""
    return {
        name: inspect.signature(value) if callable(value := getattr(kind, name)) else None
        for name in dir(kind)
        if not name.startswith("_")
    }


@pytest.mark.parametrize(("one", "other"), [(Client, AsyncClient), (Job, AsyncJob), (Backend, AsyncBackend)])
def test_the_methods_are_the_same(one: type, other: type):
    first, second = public(one), public(other)
    assert set(first) == set(second)
    for name, signature in first.items():
        if signature is not None and second[name] is not None:
            parameters = [
                [(each.name, each.kind, each.default) for each in shape.parameters.values()]
                for shape in (signature, second[name])
                if shape is not None
            ]
            assert parameters[0] == parameters[1], name


def test_a_wait_goes_on_and_others_are_not_held_up(server: Any, say: Any):
    server.script = [
        say(201, {"job_id": "j1", "state": "QUEUED"}),
        say(0),
        say(200, VIEW),
        say(304),
        say(200, VIEW | {"state": "ERROR", "version": 9, "reason": "no light", "faults": []}),
    ]

    async def together() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        async with AsyncClient(server.url, TOKEN) as client:
            job = await client.submit("b", {"experiment_0": {}})
            with pytest.raises(JobFailed, match="ended in ERROR: no light"):
                await job.result(30)
        ticking.cancel()
        with pytest.raises(QuledgerError, match="closed"):
            await client.me()
        return ticks

    assert asyncio.run(together()) > 3


def test_many_jobs_of_which_some_are_refused(server: Any, say: Any):
    wrong = {"status": 422, "detail": "no", "faults": [{"field": "shots", "message": "got 0"}]}
    answers = [{"status": 201, "job_id": "j1", "state": "QUEUED"}, {"status": 422, "problem": wrong}]
    server.script = [say(200, {"jobs": answers})]

    async def together() -> None:
        async with AsyncClient(server.url, TOKEN, patience=0) as client:
            with pytest.raises(PartlyRefused) as caught:
                await client.submit_many([("b", {"experiment_0": {}})] * 2)
            assert [str(fault) for fault in caught.value.faults] == ["jobs[1].shots: got 0"]
            assert [job and job.id for job in caught.value.jobs] == ["j1", None]
            server.script = [say(0)]
            with pytest.raises(Unreachable) as lost:
                await client.me()
            assert lost.value.__context__ is None
            assert TOKEN not in repr(client)

    asyncio.run(together())


def test_waits_that_are_over_leave_nothing_behind(server: Any, say: Any):
    ended = say(200, VIEW | {"state": "DONE", "version": 9})

    def answer(asked: Any) -> Any:
        server.asked.clear()  # the server's own
        if asked.method == "POST":
            return say(201, {"job_id": "j1", "state": "QUEUED"})
        return ended if "?wait=" in asked.path else say(200, VIEW)

    server.script = answer

    async def together() -> list[int]:
        held = []
        async with AsyncClient(server.url, TOKEN) as client:
            room = asyncio.Semaphore(4)

            async def once() -> None:
                async with room:
                    assert (await (await client.submit("b", {"experiment_0": {}})).wait(30)).state == "DONE"

            for jobs in (10, 10, 60):
                await asyncio.gather(*(once() for _ in range(jobs)))
                await asyncio.sleep(0)  # until then the loop itself holds what has been gathered
                urllib.parse.clear_cache()  # Python's own, of the last hundreds of addresses
                gc.collect()
                held.append(len(gc.get_objects()))
        return held

    _, before, after = asyncio.run(together())
    assert after - before < 50
