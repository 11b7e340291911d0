"""How long results of a million shots take to become a DataFrame, beside the mere transfer of the same bytes.

A real `quledger serve`, jobs that a real `quledger drain` has run, and one process that asks: in each round it gets the
JSON of the result with plain httpx, its body read whole, and with the client a DataFrame, of a job in hand and of
one that is asked for by its id. Then another process fetches a large result while this one asks where a job stands,
again and again. Run it with `python benchmarks/results.py`.
"""

import argparse
import contextlib
import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clients/python/src"))

import httpx
import pandas as pd
from laboratory import Laboratory
from measuring import median
from processes import cpu_seconds, machine
from quledger_client import Client

SHOTS = 1_000_000
LINE = "| {:30} | {:>11} | {:>10} | {:>10} | {:>14} | {:>10} | {:>14} |"
WAITS = "| {:30} | {:>6} | {:>6} | {:>12} | {:>7} | {:>10} |"
FETCH = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Authorization": "Bearer " + sys.argv[2]})
with urllib.request.urlopen(request, timeout=300) as answer:
    size = 0
    while part := answer.read(1 << 20):
        size += len(part)
print(size)
"""
HADAMARDS = "".join(f"h q[{wire}]; " for wire in range(12))
FERMIONS: dict[str, Any] = {
    "instructions": [
        *(["load", [wire], []] for wire in (0, 1, 4, 5)),
        ["fhop", [0, 1, 2, 3], [0.5]],
        ["fhop", [4, 5, 6, 7], [0.5]],
        *(["measure", [wire], []] for wire in range(8)),
    ],
    "num_wires": 8,
    "shots": SHOTS,
}
ATOMS = {
    "instructions": [["load", [0], [50]], ["rlx", [0], [1.57]], ["measure", [0], []]],
    "num_wires": 1,
    "shots": SHOTS,
}
PROGRAM = f'OPENQASM 3; include "stdgates.inc"; qubit[12] q; bit[12] c; {HADAMARDS} c = measure q;'
JOBS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "counts: 12 qubits": ("qubits", {"program": PROGRAM, "shots": SHOTS, "memory": False}, False),
    "counts of rows: one spin": ("singlequdit", {"experiment_0": ATOMS}, False),
    "rows: one spin": ("singlequdit", {"experiment_0": ATOMS}, True),
    "rows: eight wires of fermions": ("fermions", {"experiment_0": FERMIONS}, True),
}
"""By title: backend, document, and whether the DataFrame has a row for each shot."""

LARGE = {f"experiment_{nth}": FERMIONS for nth in range(4)}


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--links", type=float, nargs="*", default=(1000, 100), help="networks too, in megabits a second"
    )
    given = parser.parse_args()
    print(f"{machine()}, pandas {pd.__version__}", flush=True)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ends:
        laboratory = Laboratory(Path(folder))
        ways = [ends.enter_context(way) for way in _ways(laboratory, given.links)]
        near = ways[0]
        # The server checks a result when it is first asked for: one is transferred first, the others made DataFrames.
        jobs = {title: [near.client.submit(name, work).id for _ in range(3)] for title, (name, work, _) in JOBS.items()}
        large = near.client.submit("fermions", LARGE).id
        draining = laboratory.drain()
        for job_id in (*(each for same in jobs.values() for each in same), large):
            near.client.job(job_id).wait(900, progress=False)
        draining.end()
        _waits(laboratory, near.plain, large)
        ratio = "least / median"
        print(LINE.format("wall, CPU of the caller in ms", "", "transfer", "in hand", ratio, "by id", ratio))
        for title, (one, two, three) in jobs.items():
            _compared(title, "first", [(near.transfer(one), near.in_hand(two, title), near.by_id(three, title))])
            for way in ways:
                _compared(title, way.title, [way.all(one, title, turn) for turn in range(given.rounds + 1)][1:])
    print(machine())


def _waits(laboratory: Laboratory, plain: httpx.Client, job_id: str) -> None:
    """Let another process fetch a large result in all ways, and print how long others waited meanwhile."""
    path = f"/v1/jobs/{job_id}"
    quiet = _asked(plain, path, lambda: time.monotonic() > end) if (end := time.monotonic() + 2) else []
    print(f"status, nothing else asked for: p50 {median(quiet) * 1e3:.1f} ms, longest {max(quiet) * 1e3:.0f} ms")
    qlued = f"/api/v2/fermions/get_job_result?job_id={job_id}&token={laboratory.token}"
    ways = {
        "JSON": f"{path}/result",
        "JSON again": f"{path}/result",
        "for numpy": f"{path}/result?format=npz",
        "for numpy again": f"{path}/result?format=npz",
        "CSV": f"{path}/result?format=csv",
        "qlued's call": qlued,
        "qlued's call, counted": f"{qlued}&username=ann",
    }
    print(WAITS.format("a result of four million shots", "MB", "s", "server CPU s", "p50 ms", "longest ms"))
    for title, way in ways.items():
        used, began = cpu_seconds([laboratory.server.pid]), time.monotonic()
        fetching = subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, "-c", FETCH, laboratory.url + way, laboratory.token], stdout=subprocess.PIPE, text=True
        )
        waited = _asked(plain, path, functools.partial(_has_ended, fetching))
        took, used = time.monotonic() - began, cpu_seconds([laboratory.server.pid]) - used
        size = int(fetching.communicate()[0]) / 1e6
        slowest = f"{max(waited) * 1e3:.0f}"
        figures = f"{size:.1f}", f"{took:.2f}", f"{used:.2f}", f"{median(waited) * 1e3:.1f}", slowest
        print(WAITS.format(title, *figures), flush=True)


def _has_ended(process: "subprocess.Popen[str]") -> bool:
    return process.poll() is not None


def _asked(plain: httpx.Client, path: str, is_over: Callable[[], bool]) -> list[float]:
    """Ask again and again until it is over; return how long each answer took."""
    found: list[float] = []
    while not found or not is_over():
        began = time.perf_counter()
        plain.get(path).raise_for_status()
        found.append(time.perf_counter() - began)
    return found


@dataclass
class Step:
    """Seconds that something took, and seconds of CPU of this process."""

    wall: float
    cpu: float

    @classmethod
    def of(cls, action: Callable[[], object]) -> "Step":
        """Do it once."""
        wall, cpu = time.perf_counter(), time.process_time()
        action()
        return cls(time.perf_counter() - wall, time.process_time() - cpu)

    @classmethod
    def median(cls, steps: Sequence["Step"]) -> str:
        """Return the medians, in milliseconds."""
        return f"{median([each.wall for each in steps]) * 1e3:.0f}, {median([each.cpu for each in steps]) * 1e3:.0f}"


@dataclass
class Way:
    """A way to the server: with plain httpx, and with the client."""

    title: str
    plain: httpx.Client
    client: Client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.plain.close()
        self.client.close()

    def transfer(self, job_id: str) -> Step:
        """Get a result, its body read whole."""
        return Step.of(lambda: self.plain.get(f"/v1/jobs/{job_id}/result").raise_for_status())

    def in_hand(self, job_id: str, title: str) -> Step:
        """Get it as a DataFrame, of a job that was waited for before."""
        job = self.client.job(job_id)
        return Step.of(lambda: job.result().to_frame(shots=JOBS[title][-1]))

    def by_id(self, job_id: str, title: str) -> Step:
        """Get it as a DataFrame, and ask where the job stands first."""
        return Step.of(lambda: self.client.job(job_id).result().to_frame(shots=JOBS[title][-1]))

    def all(self, job_id: str, title: str, turn: int) -> tuple[Step, ...]:
        """Do all three; what comes first finds more of the machine's caches cold, so each does in turn."""
        ways = [
            lambda: self.transfer(job_id),
            lambda: self.in_hand(job_id, title),
            lambda: self.by_id(job_id, title),
        ]
        order = [(turn + place) % len(ways) for place in range(len(ways))]
        done = {place: ways[place]() for place in order}
        return tuple(done[place] for place in range(len(ways)))


def _ways(laboratory: Laboratory, links: Sequence[float]) -> Iterator[Way]:
    for megabits in (0.0, *links):
        url = laboratory.linked(megabits) if megabits else laboratory.url
        headers = {"Authorization": f"Bearer {laboratory.token}"}
        plain = httpx.Client(base_url=url, headers=headers, timeout=300, trust_env=False)
        title = f"{megabits:g} Mbit/s" if megabits else "loopback"
        yield Way(title, plain, Client(url, laboratory.token, timeout=300))


def _compared(title: str, how: str, rounds: Sequence[tuple[Step, ...]]) -> None:
    """Print how long the transfer of a result took, and each way to its DataFrame."""
    transfers, *ways = zip(*rounds, strict=True)
    figures = []
    for frames in ways:
        ratios = sorted(made.wall / moved.wall for moved, made in zip(transfers, frames, strict=True))
        figures += [Step.median(frames), f"{ratios[0]:.2f} / {median(ratios):.2f}"]
    print(LINE.format(title, how, Step.median(transfers), *figures))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
