"""How many jobs a second one process hands in, one at a time and in groups, on SQLite and PostgreSQL."""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from databases import create, postgres_server

from models.settings import Settings
from models.submissions import Begun, Submission
from tasks.jobs.submission import submit_all
from tasks.services import Services

GROUPS = (1, 10, 100, 1000)
DOCUMENT = {
    "experiment_0": {
        "instructions": [["load", [0], [50]], ["rlx", [0], [1.57]], ["measure", [0], []]],
        "num_wires": 1,
        "shots": 100,
    }
}


def main() -> None:
    """Measure both databases, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="so long each group size is tried")
    parser.add_argument("--keys", action="store_true", help="each job has an idempotency key")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o711)  # noqa: S103 - PostgreSQL runs as somebody else
        for url in databases(Path(folder)):
            kind = url.partition(":")[0]
            for size in GROUPS:
                wall, cpu = rates(Path(folder) / "home", url, size, given.seconds, keys=given.keys)
                print(f"{kind:10} groups of {size:4}: {wall:6.0f} jobs/s, {1e6 / cpu:6.0f} us of CPU a job", flush=True)


def databases(folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database of each kind."""
    yield f"sqlite:///{folder / 'log.db'}"
    with contextlib.suppress(ImportError), postgres_server(folder / "postgres") as server:
        made = create(folder / "postgres", server, "log")
        yield "postgresql://" + made.url.partition("://")[2]


def rates(home: Path, url: str, size: int, seconds: float, *, keys: bool) -> tuple[float, float]:
    """Return jobs a second of time and of this process's CPU time."""
    services = Services(Settings(home=home, database=url))
    submit(services, size, "warm", keys=keys)
    jobs, began, used = 0, time.perf_counter(), time.process_time()
    while (took := time.perf_counter() - began) < seconds:
        submit(services, size, f"{size}-{jobs}", keys=keys)
        jobs += size
    spent = time.process_time() - used
    services.log.engine.dispose()
    return jobs / took, jobs / spent


def submit(services: Services, size: int, name: str, *, keys: bool) -> None:
    """Hand in one group, each of its jobs with a document of its own."""
    group = [
        Submission(
            backend="singlequdit",
            document=json.dumps(DOCUMENT | {"nth": nth}).encode(),
            user=f"user{nth % 3}",
            project="bench",
            source="api",
            key=f"{name}-{nth}" if keys else None,
            shots=100,
        )
        for nth in range(size)
    ]
    answers = submit_all(services, group)
    if not all(isinstance(answer, Begun) and answer.is_new for answer in answers):
        msg = f"not all jobs were begun: {answers[:3]}"
        raise SystemExit(msg)


if __name__ == "__main__":
    main()
