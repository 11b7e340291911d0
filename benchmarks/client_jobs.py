"""What a process that hands in a thousand jobs and waits for each holds on to: memory, connections, files, threads.

A real `quledger serve` and a real `quledger drain`, which runs them; small jobs of a cold-atom simulator, so many of
them at once, as a notebook with a pool or an event loop has. Run it with `python benchmarks/client_jobs.py`.
"""

import argparse
import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clients/python/src"))

from laboratory import Laboratory
from processes import machine
from quledger_client import AsyncClient, Client

SPIN = [["load", [0], [50]], ["rlx", [0], [3.141592653589793]], ["measure", [0], []]]
SHOTS = 20
FOUND = {"50": SHOTS}
LINE = "| {:14} | {:>6} | {:>8} | {:>7} | {:>5} | {:>7} | {:>9} | {:>10} |"


class Held(NamedTuple):
    """What this process holds, once nothing is waited for."""

    memory_mb: float
    sockets: int
    files: int
    threads: int
    objects: int

    @classmethod
    def now(cls) -> "Held":
        """Return it."""
        gc.collect()
        said = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        files = []
        for each in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):  # the folder's own
                files.append(os.readlink(each))
        sockets = sum(each.startswith("socket:") for each in files)
        return cls(
            int(said["VmRSS"].split()[0]) / 1e3, sockets, len(files), int(said["Threads"]), len(gc.get_objects())
        )


def main() -> None:
    """Hand in, wait, and print what is held after each step: each kind of client in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="+", default=(0, 100, 1000), help="after so many it is looked")
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--as", dest="kind", choices=("sync", "async"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.kind is not None:
        token = os.environ["TOKEN"]
        if given.kind == "sync":
            with_threads(given.url, token, given.jobs, given.at_once)
        else:
            asyncio.run(with_a_loop(given.url, token, given.jobs, given.at_once))
        return
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        laboratory = Laboratory(Path(folder))
        draining = laboratory.drain()
        print(LINE.format("client", "jobs", "RSS MB", "sockets", "files", "threads", "objects", "jobs/s"), flush=True)
        for kind in ("sync", "async"):
            command = [sys.executable, __file__, "--as", kind, "--url", laboratory.url, "--at-once", str(given.at_once)]
            command += ["--jobs", *map(str, given.jobs)]
            subprocess.run(command, env={**os.environ, "TOKEN": laboratory.token}, check=True)  # noqa: S603 - our own words
        draining.end()
    print(machine())


def with_threads(url: str, token: str, steps: list[int], at_once: int) -> None:
    """Hand in with a client that several threads use."""

    def once(_number: int) -> None:
        job = client.submit("singlequdit", SPIN, shots=SHOTS)
        check(job.wait(progress=False).result().counts())

    with Client(url, token) as client, ThreadPoolExecutor(at_once) as threads:
        for before, jobs in zip([0, *steps], steps, strict=False):
            began = time.monotonic()
            list(threads.map(once, range(jobs - before)))
            show("sync", jobs, jobs - before, time.monotonic() - began)
    show("sync, closed", jobs, 0, 1.0)


async def with_a_loop(url: str, token: str, steps: list[int], at_once: int) -> None:
    """Hand in with a client of an event loop."""
    room = asyncio.Semaphore(at_once)

    async def once() -> None:
        async with room:
            job = await client.submit("singlequdit", SPIN, shots=SHOTS)
            await job.wait(progress=False)
            check((await job.result()).counts())

    async with AsyncClient(url, token) as client:
        for before, jobs in zip([0, *steps], steps, strict=False):
            began = time.monotonic()
            await asyncio.gather(*(once() for _ in range(jobs - before)))
            seconds = time.monotonic() - began
            await asyncio.sleep(0)  # until then the loop itself holds what has been gathered: six objects a task
            show("async", jobs, jobs - before, seconds)
    show("async, closed", jobs, 0, 1.0)


def check(counts: dict[str, int]) -> None:
    """Expect all spins where a turn by pi brings them."""
    if counts != FOUND:
        raise SystemExit(f"found {counts}")


def show(title: str, jobs: int, done: int, seconds: float) -> None:
    """Print what is held now."""
    held = Held.now()
    figures = f"{held.memory_mb:.1f}", held.sockets, held.files, held.threads, held.objects, f"{done / seconds:.1f}"
    print(LINE.format(title, jobs, *figures), flush=True)


if __name__ == "__main__":
    main()
