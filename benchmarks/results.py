"""How long results of a million shots take to become a DataFrame, beside the mere transfer of the same bytes.

A real `quledger serve`, jobs that a real `quledger drain` has run, and one process that asks: in each round it gets the
result with plain httpx, its body read whole, and with the client as a DataFrame. Then another process fetches a large
result while this one asks where a job stands, again and again. Run it with `python benchmarks/results.py`.
"""

import argparse
import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clients/python/src"))

import httpx
import pandas as pd
from laboratory import Laboratory
from measuring import median
from processes import cpu_seconds, machine
from quledger_client import Client, Job

SHOTS = 1_000_000
LINE = "| {:30} | {:>6} | {:>8} | {:>12} | {:>12} | {:>21} |"
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
    given = parser.parse_args()
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        laboratory = Laboratory(Path(folder))
        with Client(laboratory.url, laboratory.token, timeout=300) as client, _plain(laboratory) as plain:
            jobs = {title: client.submit(name, work) for title, (name, work, _) in JOBS.items()}
            large = client.submit("fermions", LARGE)
            draining = laboratory.drain()
            for job in (*jobs.values(), large):
                job.wait(600, progress=False)
            draining.end()
            _waits(laboratory, plain, large)
            print(LINE.format("wall, CPU in ms", "MB", "rows", "transfer", "DataFrame", "ratio: least / median"))
            for title, job in jobs.items():
                _compared(title, client, plain, job, given.rounds)
        print(machine())


@contextmanager
def _plain(laboratory: Laboratory) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {laboratory.token}"}
    with httpx.Client(base_url=laboratory.url, headers=headers, timeout=300, trust_env=False) as plain:
        yield plain


def _waits(laboratory: Laboratory, plain: httpx.Client, job: Job) -> None:
    """Let another process fetch a large result in all ways, and print how long others waited meanwhile."""
    path = f"/v1/jobs/{job.id}"
    quiet = _asked(plain, path, lambda: time.monotonic() > end) if (end := time.monotonic() + 2) else []
    print(f"status, nothing else asked for: p50 {median(quiet) * 1e3:.1f} ms, longest {max(quiet) * 1e3:.0f} ms")
    qlued = f"/api/v2/fermions/get_job_result?job_id={job.id}&token={laboratory.token}"
    ways = {
        "JSON": f"{path}/result",
        "JSON again": f"{path}/result",
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


def _compared(title: str, client: Client, plain: httpx.Client, job: Job, rounds: int) -> None:
    """Transfer a result, and make a DataFrame of it, in turn; the first round warms them up."""

    def transfer() -> None:
        plain.get(f"/v1/jobs/{job.id}/result").raise_for_status()

    def frame() -> pd.DataFrame:
        return client.job(job.id).result().to_frame(shots=JOBS[title][-1])

    transfers: list[Step] = []
    frames: list[Step] = []
    for turn in range(rounds + 1):
        # What comes first finds more of the machine's caches cold: both do, in turn.
        pair = (Step.of(transfer), Step.of(frame)) if turn % 2 else (Step.of(frame), Step.of(transfer))[::-1]
        transfers, frames = ([*transfers, pair[0]], [*frames, pair[1]]) if turn else ([], [])
    ratios = sorted(made.wall / moved.wall for moved, made in zip(transfers, frames, strict=True))
    size = len(plain.get(f"/v1/jobs/{job.id}/result").content) / 1e6
    ratio = f"{ratios[0]:.2f} / {median(ratios):.2f}"
    print(LINE.format(title, f"{size:.1f}", len(frame()), Step.median(transfers), Step.median(frames), ratio))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
