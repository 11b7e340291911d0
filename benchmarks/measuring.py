"""How something that runs jobs is measured: its rounds, its CPU, the requests and the rows it makes."""

import json
import os
import signal
import socket
import statistics
import sys
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from databases import Database, Sqlite
from processes import Program, cpu_seconds

from tasks.prefect_settings import QUIET, server_settings

ROOT = Path(__file__).resolve().parent.parent
STEPS = 4
PATIENCE = 240.0


@dataclass
class Round:
    """One measurement."""

    jobs: int
    seconds: float
    """Until the last row had landed."""
    called: float
    """Until the last job was done for whoever waits for it."""
    client: float = 0.0
    server: float = 0.0
    database: float = 0.0
    requests: float = 0.0
    messages: float = 0.0
    rows: float = 0.0
    latencies: list[float] = field(default_factory=list)
    routes: dict[str, float] = field(default_factory=dict)


class Contestant(ABC):
    """Something that runs jobs; it is stopped except while it is measured."""

    def __init__(self, key: str, title: str, home: Path) -> None:
        self.key, self.title, self.home = key, title, home
        home.mkdir(parents=True)
        self.programs: list[Program] = []
        self.rounds: list[Round] = []

    @abstractmethod
    def begin(self) -> None:
        """Start what takes its time; `ready` waits for it."""

    @abstractmethod
    def ready(self) -> None:
        """Wait until jobs can be run."""

    @abstractmethod
    def measure(self, jobs: int) -> Round:
        """Run so many jobs."""

    def pause(self) -> None:
        """Stop everything."""
        for program in reversed(self.programs):
            program.pause()

    def resume(self) -> None:
        """Go on, and let timers that ran out meanwhile have their way."""
        for program in self.programs:
            program.resume()
        time.sleep(1.0)

    def end(self) -> None:
        """End everything."""
        for program in reversed(self.programs):
            program.end()


class OnPrefect(Contestant):
    """A warm process with a Prefect server of its own."""

    def __init__(self, key: str, title: str, home: Path, *, tuned: bool, database: Database | None = None) -> None:
        super().__init__(key, title, home)
        self.database = database or Sqlite(home / "prefect" / "prefect.db")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("QULEDGER_", "PREFECT_"))}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        self.environment = kept | {
            "HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        if tuned:
            self.environment |= server_settings() | QUIET
        if database is not None:
            self.environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database.url
        self.url = ""

    def begin(self) -> None:
        """Start the server."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
            fd = listening.fileno()
            command = [sys.executable, str(ROOT / "benchmarks/counted_server.py"), str(fd), str(self.home / "counts")]
            self.programs.append(
                Program(command, self.environment, self.home / "server.log", pass_fds=(fd,), cwd=self.home)
            )

    def ready(self) -> None:
        """Wait for the server and start the process."""
        self.wait_for_server()
        self.programs.append(
            Program(
                self.command(), self.environment | {"PREFECT_API_URL": self.url}, self.home / "client.log", cwd=ROOT
            )
        )

    def wait_for_server(self) -> None:
        """Wait until the server answers."""

        def up() -> bool:
            if self.programs[0].process.poll() is not None:
                raise RuntimeError((self.home / "server.log").read_text()[-2000:])
            return answers(f"{self.url}/health")

        wait(up, "the server did not start")

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command of the warm process."""

    @abstractmethod
    def run(self, jobs: int) -> list[float]:
        """Run jobs; return how long each one took for whoever waits for it."""

    def measure(self, jobs: int) -> Round:
        """Run jobs and wait until Prefect has recorded every run and every step of them."""
        rows, counts, landed = self.rows(), self.counts(), self.landed()
        parts = [[self.programs[1].pid], [self.programs[0].pid], self.database.pids]
        before = [cpu_seconds(part) for part in parts]
        begin = time.perf_counter()
        latencies = self.run(jobs)
        called = time.perf_counter() - begin
        wait(lambda: self.landed() >= landed + jobs * (STEPS + 1), "not all runs were recorded", pause=0.1)
        seconds = time.perf_counter() - begin
        client, server, database = ((cpu_seconds(part) - was) / jobs for part, was in zip(parts, before, strict=True))
        # Events follow a moment later.
        time.sleep(1.5)
        routes = {route: (number - counts.get(route, 0)) / jobs for route, number in self.counts().items()}
        return Round(
            jobs=jobs,
            seconds=seconds,
            called=called,
            client=client,
            server=server,
            database=database,
            requests=sum(number for route, number in routes.items() if not route.startswith("WS")),
            messages=sum(number for route, number in routes.items() if route.startswith("WS")),
            rows=(self.rows() - rows) / jobs,
            latencies=latencies,
            routes={route: number for route, number in routes.items() if number},
        )

    def landed(self) -> int:
        """Return how many runs of jobs and of their steps are in a final state."""
        final = "state_type IN ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')"
        flows = "SELECT id FROM flow WHERE name IN ('plain', 'tuned', 'run-job')"
        ((runs,),) = self.database.query(
            f"SELECT count(*) FROM flow_run WHERE {final} AND flow_id IN ({flows})"  # noqa: S608 - our own words
        )
        ((tasks,),) = self.database.query(
            f"SELECT count(*) FROM task_run WHERE {final} AND name NOT LIKE 'tuned-%'"  # noqa: S608 - as above
        )
        return int(runs) + int(tasks)

    def rows(self) -> int:
        """Return how many rows all tables have."""
        if isinstance(self.database, Sqlite):
            names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        else:
            names = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"
        tables = [name for (name,) in self.database.query(names)]
        return sum(self.database.query(f"SELECT count(*) FROM {name}")[0][0] for name in tables)  # noqa: S608

    def counts(self) -> dict[str, int]:
        """Return how many requests the server has had, by route."""
        path = self.home / "counts"
        path.unlink(missing_ok=True)
        os.kill(self.programs[0].pid, signal.SIGUSR1)
        wait(path.exists, "the server did not count", pause=0.02)
        counted: dict[str, int] = json.loads(path.read_text())
        return counted


def post(url: str, body: dict[str, Any]) -> Any:
    """Ask Prefect's API, again where its database is busy."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own server
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 503 or time.monotonic() > end:
                raise
        time.sleep(0.3)


def answers(url: str) -> bool:
    """Say whether a server answers."""
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own server
            return True
    except OSError:
        return False


def wait(until: Callable[[], bool], message: str, pause: float = 0.2) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not until():
        if time.monotonic() > end:
            raise TimeoutError(message)
        time.sleep(pause)


def median(values: list[float]) -> float:
    """Return the median, 0 of nothing."""
    return statistics.median(values) if values else 0.0
