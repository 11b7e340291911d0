"""How fast jobs go through Prefect, side by side in one run on one machine; medians of several rounds.

(a) a no-op flow of four no-op tasks as Prefect ships it; (b) the same, tuned as far as Prefect allows; (c) Quledger:
real singlequdit jobs of 500 shots from the inbox of a file storage; (e) the same jobs launched through Prefect's API;
(d) the published sqooler spooler with a backend that answers at once. A rate counts until the last row of all
runs has landed in Prefect's database. Each has a home, a server and a warm process of its own, stopped while others
are measured.

Run it with `python benchmarks/prefect_rates.py`; `--postgres` adds PostgreSQL, `--routes` shows the requests,
`--history 100 10000` compares (c) with that many jobs of history instead.
"""

import argparse
import contextlib
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from contestants import PEER, Noop, Ours, Spooler
from databases import Database, create, postgres_server
from history import old_jobs
from measuring import Contestant, OnPrefect, Round, median
from processes import machine

Value = Callable[[Round], float]


def contestants(
    folder: Path, chosen: str, concurrency: int, new_database: Callable[[str], Database | None]
) -> list[Contestant]:
    """Return all that take part; `chosen` has the letters of those that do."""
    at_once = concurrency
    makers: dict[str, Callable[[], Contestant]] = {
        "a": lambda: Noop("a", "no-op flow, as shipped", folder / "a", shape="plain", database=new_database("a")),
        "b": lambda: Noop(
            "b",
            f"no-op flow, tuned, {at_once} at once",
            folder / "b",
            shape="tuned",
            concurrency=at_once,
            database=new_database("b"),
        ),
        "B": lambda: Noop(
            "B",
            f"the same as child runs, {at_once} at once",
            folder / "children",
            shape="children",
            concurrency=at_once,
            database=new_database("children"),
        ),
        "c": lambda: Ours(
            "c", f"Quledger, {at_once} at once", folder / "c", concurrency=at_once, database=new_database("c")
        ),
        "e": lambda: Ours(
            "e",
            "Quledger, launched through the API",
            folder / "e",
            concurrency=at_once,
            launched=True,
            database=new_database("e"),
        ),
    }
    made = [make() for key, make in makers.items() if key in chosen]
    if "d" in chosen and PEER.exists():
        made += [
            Spooler("d1", "sqooler as shipped, 1 backend", folder / "d1", backends=1),
            Spooler("d4", "sqooler as shipped, 4 backends", folder / "d4", backends=4),
            Spooler("d0", "sqooler, its waits set to 0", folder / "d0", backends=1, wait_seconds="0"),
        ]
    return made


SHARE = {"a": 0.2, "d4": 0.2, "d1": 0.5}
"""The slow ones run fewer jobs."""


def run_all(everybody: Sequence[Contestant], jobs: int, rounds: int) -> list[float]:
    """Measure everybody in turn, several times; return the latencies of an idle (c)."""
    for one in everybody:
        one.begin()
    for one in everybody:
        one.ready()
    return measure_in_turn(everybody, jobs, rounds)


def measure_in_turn(everybody: Sequence[Contestant], jobs: int, rounds: int) -> list[float]:
    """Measure everybody several times; return the latencies of an idle (c)."""
    for one in everybody:
        one.pause()
    idle: list[float] = []
    for number in range(rounds):
        for one in everybody if number % 2 == 0 else reversed(everybody):
            print(f"  round {number + 1} of {rounds}: {one.title}", file=sys.stderr, flush=True)
            one.resume()
            one.rounds.append(one.measure(max(4, int(jobs * SHARE.get(one.key, 1)))))
            if one.key == "c" and isinstance(one, Ours):
                idle += [one.one() for _ in range(4)]
            one.pause()
    return idle


COLUMNS: dict[str, tuple[str, Value]] = {
    "jobs/s": ("8.2f", lambda r: r.jobs / r.seconds),
    "called/s": ("8.2f", lambda r: r.jobs / r.called),
    "tail s": ("8.2f", lambda r: r.seconds - r.called),
    "client": ("8.0f", lambda r: r.client * 1e3),
    "server": ("8.0f", lambda r: r.server * 1e3),
    "postgres": ("8.0f", lambda r: r.database * 1e3),
    "p50 ms": ("8.0f", lambda r: quantile(r.latencies, 0.5) * 1e3),
    "p95 ms": ("8.0f", lambda r: quantile(r.latencies, 0.95) * 1e3),
    "requests": ("8.1f", lambda r: r.requests),
    "messages": ("8.1f", lambda r: r.messages),
    "rows": ("8.0f", lambda r: r.rows),
}


def table(everybody: Sequence[Contestant]) -> None:
    """Print the medians of each contestant; CPU in ms for each job."""
    print(f"{'':40}" + "".join(f"{name:>9}" for name in COLUMNS))
    for one in everybody:
        cells = "".join(f" {value(one, each):{shape}}" for shape, each in COLUMNS.values())
        print(f"{f'({one.key}) {one.title}':40}{cells}")
    print("CPU (client, server, postgres) in ms for each job; called/s: as its caller sees it")
    print("tail: from there until the last row has landed; Prefect's server records task runs once a second")


def value(one: Contestant, each: Value) -> float:
    """Return the median of one column over the rounds."""
    return median([each(measured) for measured in one.rounds])


def quantile(values: Sequence[float], part: float) -> float:
    """Return a quantile, 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def goals(everybody: Sequence[Contestant], idle: Sequence[float]) -> None:
    """Print what is aimed at, and whether it is met."""
    by_key = {one.key: one for one in everybody if one.rounds}
    rate = {key: value(one, lambda r: r.jobs / r.seconds) for key, one in by_key.items()}
    cpu = {key: value(one, lambda r: r.client + r.server + r.database) * 1e3 for key, one in by_key.items()}
    best = max((key for key in ("b", "B") if key in rate), key=lambda key: rate[key], default="b")
    wanted = [
        ("rate of (c) at least 5 times (a)", "c", "a", 5.0),
        ("rate of (c) at least 0.85 times (b)", "c", best, 0.85),
        ("rate of (e) at least 0.9 times (b)", "e", best, 0.9),
        ("faster than (d) with one backend", "c", "d1", 1.0),
        ("4 times (d) with four backends", "c", "d4", 4.0),
    ]
    print()
    for text, mine, other, goal in wanted:
        if mine in rate and other in rate:
            say(text, rate[mine] / rate[other], goal)
    if "c" in by_key:
        busy = value(by_key["c"], lambda r: max(r.client, r.server) * r.jobs / r.seconds)
        say("(c) at least 0.75 of what its busiest process allows", busy, 0.75)
    if "c" in cpu and best in cpu:
        say("CPU per job of (c) at most 1.25 times (b)", cpu["c"] / cpu[best], 1.25, at_most=True)
        own = value(by_key["c"], lambda r: r.client * 1e3) - value(by_key[best], lambda r: r.client * 1e3)
        say("ms of CPU of (c) beyond (b) in the client at most 20", own, 20, at_most=True)
    if idle:
        say("s from document to DONE, idle, p50 at most 0.5", quantile(idle, 0.5), 0.5, at_most=True)


def say(text: str, found: float, goal: float, *, at_most: bool = False) -> None:
    """Print one goal."""
    met = found <= goal if at_most else found >= goal
    print(f"{text:54} {found:8.2f}   {'met' if met else 'NOT MET'}")


def routes(everybody: Sequence[Contestant]) -> None:
    """Print the requests for each job by route, of the last round."""
    for one in everybody:
        if isinstance(one, OnPrefect):
            print(f"\n({one.key}) {one.title}")
            for route, number in sorted(one.rounds[-1].routes.items(), key=lambda item: -item[1]):
                print(f"  {number:6.2f} {route}")


def compare(
    options: argparse.Namespace, folder: Path, at_once: int, new_database: Callable[[str], Database | None]
) -> None:
    """Measure and print everything on one kind of database."""
    everybody = contestants(folder, options.only, at_once, new_database)
    try:
        idle = run_all(everybody, options.jobs, options.rounds)
    finally:
        for one in everybody:
            one.end()
    table(everybody)
    goals(everybody, idle)
    if options.routes:
        routes(everybody)


def constancy(options: argparse.Namespace, folder: Path) -> None:
    """Measure (c) with different numbers of jobs in the history, on SQLite."""
    everybody = [
        Ours("c", f"Quledger after {number} jobs", folder / str(number), concurrency=options.concurrency or 2)
        for number in options.history
    ]
    try:
        for one in everybody:
            one.begin()
        for one, number in zip(everybody, options.history, strict=True):
            one.ready()
            one.measure(4)
            print(f"  making {number} jobs of history", file=sys.stderr, flush=True)
            old_jobs(one, number)
        measure_in_turn(everybody, options.jobs, options.rounds)
    finally:
        for one in everybody:
            one.end()
    table(everybody)
    rates = [value(one, lambda r: r.jobs / r.seconds) for one in everybody]
    print()
    say("rate after the shortest over the longest history", rates[0] / rates[-1], 1.5, at_most=True)


def _stop(number: int, _frame: object) -> None:
    # Once: a second signal must not interrupt the clearing up.
    signal.signal(number, signal.SIG_IGN)
    sys.exit(1)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=40, help="jobs of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, help="jobs at once; by default 2 on SQLite, 4 on PostgreSQL")
    parser.add_argument("--only", default="abcde", help="letters of those that take part; B: (b) as child runs")
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL for Prefect, besides SQLite")
    parser.add_argument("--no-sqlite", action="store_true", help="leave SQLite out")
    parser.add_argument("--history", type=int, nargs="+", help="measure (c) alone, after so many jobs each")
    parser.add_argument("--routes", action="store_true", help="show the requests by route")
    options = parser.parse_args()
    # Whoever ends us ends what we started.
    signal.signal(signal.SIGTERM, _stop)
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="quledger-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        if options.history:
            constancy(options, folder)
            return
        if not options.no_sqlite:
            print("\nPrefect's database: SQLite")
            # More at once than SQLite can bear makes Prefect's own requests fail and wait.
            compare(options, folder / "sqlite", options.concurrency or 2, lambda _name: None)
        if options.postgres:
            print("\nPrefect's database: PostgreSQL")
            with contextlib.ExitStack() as stack:
                home = folder / "postgres"
                server = stack.enter_context(postgres_server(home))
                compare(
                    options,
                    folder / "on-postgres",
                    options.concurrency or 4,
                    lambda name: create(home, server, f"prefect_{name.lower()}"),
                )


if __name__ == "__main__":
    main()
