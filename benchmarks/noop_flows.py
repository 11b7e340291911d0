"""The two shapes that Quledger is compared with: a no-op flow with four no-op tasks, as shipped and tuned.

Run as `python benchmarks/noop_flows.py plain|tuned|children [CONCURRENCY]`: a warm process that reads `run N` and
answers with the seconds of each run as JSON.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Coroutine
from typing import Any

from prefect import Flow, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.context import AsyncClientContext
from prefect.filesystems import LocalFileSystem
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings


@task
def plain_task() -> None:
    """Do nothing."""


@flow
def plain() -> None:
    """Call four tasks, everything as Prefect ships it."""
    for _ in range(4):
        plain_task()


@task(cache_policy=NO_CACHE, persist_result=False)
async def tuned_task(step: int) -> None:
    """Do nothing; what the engine logs of each run goes to the API, as with our own."""
    del step


@flow(persist_result=False, validate_parameters=False, log_prints=False)
async def tuned() -> None:
    """Call four async tasks that store and cache nothing."""
    for step in range(4):
        await tuned_task(step)


@flow(persist_result=False, validate_parameters=False, log_prints=False)
async def parent(number: int, concurrency: int) -> list[float]:
    """Run the tuned flow as child runs."""
    return await several(number, concurrency)


async def several(number: int, concurrency: int, shape: Flow[[], Coroutine[Any, Any, None]] = tuned) -> list[float]:
    """Run the tuned flow so many times, a few at once."""
    left = list(range(number))
    took: list[float] = []

    async def lane() -> None:
        while left:
            left.pop()
            begin = time.perf_counter()
            await shape()
            took.append(time.perf_counter() - begin)

    await asyncio.gather(*(lane() for _ in range(concurrency)))
    return took


async def serve_tuned(concurrency: int, *, children: bool) -> None:
    """Answer requests inside one client, whose connection all runs share."""
    async with AsyncClientContext.get_or_create():
        # A result storage of its own spares each top-level run the search for one.
        storage = LocalFileSystem(basepath=os.environ["PREFECT_HOME"])
        await storage.asave("bench", overwrite=True)
        alone = tuned.with_options(result_storage=storage)
        # Heartbeats off: no variable of the environment can say that.
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            while line := await asyncio.to_thread(sys.stdin.readline):
                number = int(line.split()[1])
                took = await (parent(number, concurrency) if children else several(number, concurrency, alone))
                print(json.dumps(took), flush=True)


def serve_plain() -> None:
    """Answer requests one run after the other."""
    while line := sys.stdin.readline():
        took = []
        for _ in range(int(line.split()[1])):
            begin = time.perf_counter()
            plain()
            took.append(time.perf_counter() - begin)
        print(json.dumps(took), flush=True)


def main() -> None:
    """Serve one shape."""
    if sys.argv[1] == "plain":
        serve_plain()
    else:
        asyncio.run(serve_tuned(int(sys.argv[2]), children=sys.argv[1] == "children"))


if __name__ == "__main__":
    main()
