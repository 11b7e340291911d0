"""How fast the HTTP API is: a real `quledger serve` on SQLite, beside a minimal Django app that answers qlued's calls.

Jobs are handed in alone and in batches, asked for and listed with few and with many jobs in the log; many streams of
events are open while jobs change. Servers that are not measured are stopped meanwhile. The clients use the same cores:
their CPU is shown too, and how many cores others used. Run it with `python benchmarks/api.py`.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from api_servers import PEER, ROOT, Django, Measured, Ours, Server
from measuring import median
from processes import Program, cpu_seconds, machine

LINE = "| {:44} | {:>8} | {:>13} | {:>11} | {:>11} | {:>6} |"
S = TypeVar("S", bound=Server)
CREATED = '"status":201'
Task = tuple[str, Server, Callable[[float], Measured], int]
"""Title, server, what measures for so many seconds, and jobs of each request."""


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="so long each figure is measured in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--history", type=int, nargs=2, default=(100, 100_000), help="jobs in the log: few, many")
    parser.add_argument("--streams", type=int, default=500)
    given = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("QULEDGER_")]:
        del os.environ[name]
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ends:
        few, many = (_ended(ends, Ours(Path(folder), jobs)) for jobs in given.history)
        servers: list[Server] = [few, many]
        django = _ended(ends, Django(Path(folder))) if PEER.exists() else None
        servers += [django] if django is not None else []
        for server in servers:
            server.program.pause()
        ours = dict(zip(given.history, (few, many), strict=True))
        reads = [task for jobs, server in ours.items() for task in _reads(server, f"{jobs} jobs")]
        qlued: list[tuple[str, Server]] = [("qlued's calls, Quledger", few)]
        qlued += [("qlued's calls, Django app", django)] if django is not None else []
        reads += [_qlued_status(title, server) for title, server in qlued]
        medians = _measured(reads, given.rounds, given.seconds)
        for kind in ("status", "list"):
            small, large = (medians[f"{kind}, {jobs} jobs, 1 connection"] for jobs in given.history)
            print(f"{kind} with {given.history[1]} jobs against {given.history[0]}: {large / small:.2f} times (p50)")
        writes = [task for jobs, server in ours.items() for task in _writes(server, f"{jobs} jobs")]
        writes += [_qlued_post(title, server, connections) for connections in (1, 8, 32) for title, server in qlued]
        _measured(writes, given.rounds, given.seconds)
        _streams(many, given.streams)
        print(machine())


def _ended(ends: contextlib.ExitStack, server: S) -> S:
    ends.callback(server.program.end)
    return server


def _reads(server: Ours, title: str) -> list[Task]:
    return [
        (f"{kind}, {title}, {connections} connection{'s' * (connections > 1)}", server, measure, 1)
        for connections in (1, 8)
        for kind, requests in (("status", server.status()), ("list", server.lists()))
        for measure in [_load(server, requests, connections)]
    ]


def _writes(server: Ours, title: str) -> list[Task]:
    single: list[Task] = [
        (f"submit, {title}, {connections} connections", server, _load(server, server.posts(), connections), 1)
        for connections in (1, 8, 32)
    ]
    return single + [
        (
            f"batches of {size}, {title}, {connections} connections",
            server,
            _load(server, server.batches(size), connections, (CREATED, size)),
            size,
        )
        for size in (100, 1000)
        for connections in (1, 4)
    ]


def _qlued_status(title: str, server: Server) -> Task:
    assert isinstance(server, Ours | Django)  # noqa: S101 - both have jobs
    return f"{title}: status, 8 connections", server, _load(server, server.qlued_status(server.jobs), 8), 1


def _qlued_post(title: str, server: Server, connections: int) -> Task:
    return f"{title}: post, {connections} conn.", server, _load(server, server.qlued_posts(), connections), 1


def _load(
    server: Server, requests: list[str], connections: int, expected: tuple[str, int] = ("", -1)
) -> Callable[[float], Measured]:
    return lambda seconds: server.load(requests, connections, seconds, expected)


def _measured(tasks: list[Task], rounds: int, seconds: float) -> dict[str, float]:
    """Measure each in turn, in each round; print the medians, and return those of the p50 in milliseconds."""
    found: dict[str, list[Measured]] = {title: [] for title, *_ in tasks}
    for turn in range(rounds + 1):
        for title, server, measure, _ in tasks:
            server.program.resume()
            one = measure(seconds if turn else min(seconds, 0.5))
            server.program.pause()
            found[title] += [one] if turn else []  # the first round warms them up
    print(LINE.format("", "jobs/s", "p50 / p95 ms", "server ms", "client ms", "others"))
    for title, _, _, jobs in tasks:
        each = found[title]
        p50, p95 = (median([one.percentile(share) for one in each]) for share in (0.5, 0.95))
        figures = (
            f"{median([jobs * one.requests / one.seconds for one in each]):.0f}",
            f"{p50:.1f} / {p95:.1f}",
            f"{median([one.server * 1e3 / jobs for one in each]):.2f}",
            f"{median([one.client * 1e3 / jobs for one in each]):.2f}",
            f"{median([one.others for one in each]):.2f}",
        )
        print(LINE.format(title, *figures), flush=True)
    return {title: median([one.percentile(0.5) for one in each]) for title, each in found.items()}


def _streams(server: Ours, number: int) -> None:
    """Follow many jobs at once, let them end one after another, and print how late their streams said so."""
    server.program.resume()
    pid, job_ids = server.program.pid, [job_id for _, job_id, _ in server.fill(number, "alice")]
    client = Program([sys.executable, str(ROOT / "benchmarks/event_streams.py")], dict(os.environ), Path(os.devnull))
    began, used = time.monotonic(), cpu_seconds([pid])
    client.ask(json.dumps({"port": server.port, "token": server.token, "job_ids": job_ids}))
    opened, opening = time.monotonic() - began, cpu_seconds([pid]) - used
    used = cpu_seconds([pid])
    time.sleep(5.0)
    idle = (cpu_seconds([pid]) - used) / 5.0
    began, used, ended = time.monotonic(), cpu_seconds([pid]), {}
    for nth, job_id in enumerate(job_ids):
        time.sleep(max(0.0, began + nth * 0.02 - time.monotonic()))
        ended[job_id] = server.cancel(job_id)
    answer = json.loads(client.process.stdout.readline())
    took, busy = time.monotonic() - began, cpu_seconds([pid]) - used
    late = sorted(answer["ended"][job_id] - at for job_id, at in ended.items())
    client.end()
    server.program.pause()
    p50, p95 = (late[int(number * share)] * 1e3 for share in (0.5, 0.95))
    print(f"{number} streams: opened in {opened:.1f} s, {opening / number * 1e3:.1f} ms of the server's CPU each")
    print(f"  while nothing changes: {idle:.1%} of a core")
    print(
        f"  while {number / took:.0f} jobs a second end: {busy / took:.1%} of a core, client {answer['cpu'] / took:.1%}"
    )
    print(f"  from the append to the event: p50 {p50:.0f} ms, p95 {p95:.0f} ms")


if __name__ == "__main__":
    main()
