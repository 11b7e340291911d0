"""How the event log scales: appends, claims, rebuild and restore, each against its own smaller size.

The jobs are made by a generator, with the log's own events: most are done at the first attempt, some are retried,
some fail. Run it with `python benchmarks/log_scale.py`; `--jobs 100000` makes some 10^6 events, `--large` adds a
queue of 10^6 jobs. All files lie in a temporary folder; `--folder` says where that is made.
"""

import argparse
import multiprocessing
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy import insert
from sqlmodel import SQLModel

from models.clock import to_text
from models.errors import Fault
from models.events import GENESIS, Event, seal
from models.facts import (
    Claimed,
    Compiled,
    Completed,
    Executed,
    Fact,
    Failed,
    LeaseExpired,
    Retried,
    Submitted,
    Uploaded,
    Validated,
)
from models.job import Job, apply
from storage import layout
from storage.audit.rebuild import rebuild
from storage.audit.restore import restore
from storage.documents.job_documents import history_document
from storage.log.database import open_database, writing
from storage.log.event_log import EventLog
from storage.log.rows import event_row, job_row
from storage.log.tables import EventRow, JobRow, MirrorRow
from storage.providers.registry import open_storage

START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = START + timedelta(days=3650)
USERS = 10
BATCH = 500
WARM, TURNS = 5, 90
DOCUMENT = (
    b'{"experiment_0": {"instructions": [["rlx", [0], [1.57]], ["measure", [0], []]], "num_wires": 1, "shots": 100}}'
)
SHA = "5" * 64
TABLES: list[Any] = [SQLModel.metadata.tables[row.__tablename__] for row in (EventRow, JobRow, MirrorRow)]


def submitted(number: int) -> Submitted:
    """Return the first fact of a job."""
    at = START + timedelta(seconds=number)
    user = f"user{number % USERS}"
    return Submitted.of(DOCUMENT, keep_up_to=10**6, backend="rydberg", user=user, source="cli", received_at=at)


def life(number: int) -> list[tuple[int, Fact]]:
    """Return the facts of one job with their attempts: 7 to 10 of them, or 3 of a job that is refused at once."""
    claimed = Claimed(worker="w", lease_until=LATER)
    facts: list[tuple[int, Fact]] = [(0, submitted(number))]
    attempt = 1
    if number % 3 == 0:
        expired = LeaseExpired(worker="w", lease_until=LATER)
        facts += [(1, claimed), (1, expired), (1, Retried(reason="lost", after_seconds=2, not_before=START))]
        attempt = 2
    facts.append((attempt, claimed))
    if number % 20 == 1:
        fault = Fault(experiment="experiment_0", message="there is no such instruction")
        return [*facts, (attempt, Failed(stage="validation", blame="user", faults=(fault,), fault_count=1))]
    executed = Executed(
        seconds=0.5,
        cpu_seconds=0.4,
        seed=number,
        versions={"python": "3.11.2", "numpy": "2.4.0", "scipy": "1.17.0", "quledger": "0.1.0"},
        backend_config_sha256=SHA,
        result_sha256=SHA,
        result_bytes=2000,
        staged=layout.staged(job_id(number), 1),
    )
    done: list[Fact] = [
        Validated(experiments=1, shots=100, cost=3.0),
        Compiled(program_sha256=SHA, program_bytes=300, seed=number),
        executed,
        Uploaded(path=layout.result("rydberg", job_id(number)), bytes=2000, sha256=SHA),
        Completed(),
    ]
    return facts + [(attempt, fact) for fact in done]


def job_id(number: int) -> str:
    """Return an id that is as scattered as a random one."""
    return f"{number * 0x9E3779B97F4A7C15 % 2**96:024x}"


def history(number: int, *, only_first: bool = False) -> tuple[Job, list[Event]]:
    """Return the whole history of one job, sealed."""
    job: Job | None = None
    events: list[Event] = []
    for seq, (attempt, fact) in enumerate(life(number)[: 1 if only_first else None]):
        event = seal(
            fact,
            job_id=job_id(number),
            seq=seq,
            attempt=attempt,
            recorded_at=START + timedelta(seconds=number, milliseconds=seq),
            actor="host:1:abc",
            flow_run_id=None if attempt == 0 else "0198c5a2-1111-7222-8333-0123456789ab",
            prev_hash=job.last_hash if job else GENESIS,
        )
        job = apply(job, event)
        events.append(event)
    assert job is not None  # noqa: S101 - for the type checker
    return job, events


def cursor_row(job: Job) -> dict[str, Any]:
    """Return the cursor of a job whose documents are all written."""
    return {"job_id": job.job_id, "seq": job.seq, "place": layout.place(job), "behind": False}


def fill(url: str, numbers: range, *, only_first: bool = False, store: Path | None = None) -> int:
    """Write these jobs into a database in batches, and their histories into a folder; return how many events."""
    engine = open_database(url)
    count = 0
    folder = store / "events" / "rydberg" if store else None
    if folder:
        folder.mkdir(parents=True)
    for start in range(0, len(numbers), BATCH):
        made = [history(number, only_first=only_first) for number in numbers[start : start + BATCH]]
        rows = [
            [event_row(event) for _, events in made for event in events],
            [job_row(job) for job, _ in made],
            [cursor_row(job) for job, _ in made],
        ]
        with writing(engine) as connection:
            for table, part in zip(TABLES, rows, strict=True):
                connection.execute(insert(table), part)
        count += len(rows[0])
        if folder:
            for job, events in made:
                (folder / f"{job.job_id}.json").write_bytes(history_document(job, events))
    engine.dispose()
    return count


def appends(folder: Path, jobs: int) -> None:
    """Print the rate of appends, one commit each, against the same rows in bare SQL."""
    steps: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for number in range(jobs):
        job = None
        for event in history(number)[1]:
            job = apply(job, event)
            steps.append((event_row(event), job_row(job)))
    log = EventLog(open_database(f"sqlite:///{folder / 'appends.db'}"))
    began = time.perf_counter()
    for number in range(jobs):
        (_, first), *rest = life(number)
        assert isinstance(first, Submitted)  # noqa: S101 - for the type checker
        job, _ = log.submit(job_id(number), first, "w")
        for attempt, fact in rest:
            job = log.append(job, fact, attempt=attempt, actor="w")
    ours = len(steps) / (time.perf_counter() - began)
    log.engine.dispose()

    add_event = f"INSERT INTO event VALUES ({marks(steps[0][0])})"  # noqa: S608 - our own names
    put_job = f"INSERT OR REPLACE INTO job VALUES ({marks(steps[0][1])})"  # noqa: S608 - our own names

    def bare(name: str, *, views: bool) -> float:
        open_database(f"sqlite:///{folder / name}").dispose()
        connection = sqlite3.connect(folder / name, isolation_level=None)
        connection.execute("PRAGMA synchronous=FULL")
        began = time.perf_counter()
        for event, job in steps:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(add_event, event)
            if views:
                connection.execute(put_job, job)
                connection.execute("INSERT OR REPLACE INTO mirror VALUES (:job_id, -1, '', 1)", job)
            connection.execute("COMMIT")
        connection.close()
        return len(steps) / (time.perf_counter() - began)

    whole, alone = bare("whole.db", views=True), bare("alone.db", views=False)
    print(f"\nAppends, one commit each ({len(steps)} events)\n")
    print(f"{'':34}{'per second':>12}{'ratio to the log':>18}")
    for name, rate in (
        ("EventLog", ours),
        ("bare SQL, the same three rows", whole),
        ("bare SQL, the event alone", alone),
    ):
        print(f"{name:34}{rate:12.0f}{rate / ours:18.2f}")


def marks(row: dict[str, Any]) -> str:
    """Return the named parameters of a row."""
    return ", ".join(f":{name}" for name in row)


def claims(folder: Path, sizes: list[int]) -> None:
    """Print what one claim costs beside so many waiting jobs."""
    print(f"\nClaims ({USERS} users wait; median of {TURNS}, the sizes in turn)\n")
    print(f"{'queued jobs':>12}{'ms':>9}{'ratio to the first':>20}")
    logs = {}
    for size in sizes:
        url = f"sqlite:///{folder / f'claims{size}.db'}"
        fill(url, range(size), only_first=True)
        logs[size] = EventLog(open_database(url))
    times: dict[int, list[float]] = {size: [] for size in sizes}
    for turn in range(-WARM, TURNS):
        for size, log in logs.items():
            began = time.perf_counter()
            job = log.claim(["rydberg"], "w", LATER)
            seconds = time.perf_counter() - began
            assert job is not None  # noqa: S101 - for the type checker
            # Given up at once: a claim counts the running jobs, and they are to be as many at every size.
            end = Failed(stage="lease", blame="infrastructure", faults=(), fault_count=0)
            log.append(job, end, attempt=1, actor="w")
            if turn >= 0:
                times[size].append(seconds * 1000)
    medians = {size: statistics.median(times[size]) for size in sizes}
    for size, median in medians.items():
        print(f"{size:12}{median:9.2f}{median / medians[sizes[0]]:20.2f}", flush=True)
        logs[size].engine.dispose()


def peak_memory() -> float:
    """Return the most memory that this process ever had, in MB."""
    try:
        # What getrusage says begins, on Linux, with the memory of the process that started this one.
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _child(work: Callable[[], object], answers: "multiprocessing.SimpleQueue[tuple[float, float, float]]") -> None:
    before = peak_memory()
    began = time.perf_counter()
    work()
    answers.put((time.perf_counter() - began, before, peak_memory()))


def measured(work: Callable[[], object]) -> tuple[float, float, float]:
    """Do the work in a process of its own; return seconds, its peak memory, and what of it is the work's, in MB."""
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    child = context.Process(target=_child, args=(work, answers))
    child.start()
    child.join()
    if child.exitcode != 0:
        raise SystemExit("a measurement failed")
    seconds, before, peak = answers.get()
    return seconds, peak, peak - before


class Rebuild:
    """Rebuild one database."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self) -> None:
        """Do it."""
        rebuild(open_database(self.url))


class Restore(Rebuild):
    """Restore one storage into a database."""

    def __init__(self, url: str, store: str) -> None:
        super().__init__(url)
        self.store = store

    def __call__(self) -> None:
        """Do it."""
        restore(open_database(self.url), open_storage(self.store))


def sizes_of(folder: Path, sizes: list[int]) -> Iterator[tuple[str, int, int, tuple[float, float, float]]]:
    """Yield what rebuild and restore cost at each size."""
    for jobs in sizes:
        url, store = f"sqlite:///{folder / f'log{jobs}.db'}", folder / f"store{jobs}"
        events = fill(url, range(jobs), store=store)
        yield "rebuild", jobs, events, measured(Rebuild(url))
        yield "restore", jobs, events, measured(Restore(f"sqlite:///{folder / f'again{jobs}.db'}", store.as_uri()))


def scale(folder: Path, sizes: list[int]) -> None:
    """Print time and memory of rebuild and restore, per event and against the smaller size."""
    print("\nRebuild and restore, each in a process of its own\n")
    head = ("jobs", "events", "seconds", "us/event", "ratio", "peak MB", "own MB", "bytes/event")
    print(f"{'':10}" + "".join(f"{name:>12}" for name in head))
    base: dict[str, float] = {}
    for name, jobs, events, (seconds, peak, own) in sizes_of(folder, sizes):
        each = seconds / events * 1e6
        ratio = each / base.setdefault(name, each)
        memory = f"{peak:12.0f}{own:12.0f}{own * 2**20 / events:12.0f}"
        print(f"{name:10}{jobs:12}{events:12}{seconds:12.1f}{each:12.1f}{ratio:12.2f}{memory}", flush=True)


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--large", action="store_true", help="claims beside 10^6 waiting jobs, too")
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="log-scale-") as name:
        folder = Path(name)
        print(f"since {to_text(datetime.now(UTC))[:19]} UTC, SQLite {sqlite3.sqlite_version}")
        appends(folder, min(options.jobs, 10_000) // 20)
        claims(folder, [10**power for power in range(2, 7 if options.large else 6)])
        scale(folder, [options.jobs // 10, options.jobs])


if __name__ == "__main__":
    main()
