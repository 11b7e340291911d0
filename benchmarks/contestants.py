"""What is compared: each contestant has a home, a Prefect server and a warm process of its own, or is the spooler."""

import json
import os
import sqlite3
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from measuring import ROOT, Contestant, OnPrefect, Round, post, wait
from processes import Program, cpu_seconds

PEER = ROOT / ".venv-peer" / "bin" / "python"
DOCUMENT = json.dumps(
    {
        "experiment_0": {
            "instructions": [
                ["load", [0], [50]],
                ["rlx", [0], [1.57]],
                ["rlz2", [0], [0.3]],
                ["rlx", [0], [0.7]],
                ["measure", [0], []],
            ],
            "num_wires": 1,
            "shots": 500,
            "wire_order": "interleaved",
        }
    }
)


class Noop(OnPrefect):
    """A flow that does nothing."""

    def __init__(self, key: str, title: str, home: Path, *, shape: str, concurrency: int = 1, **more: Any) -> None:
        super().__init__(key, title, home, tuned=shape != "plain", **more)
        self._shape, self._concurrency = shape, concurrency

    def command(self) -> list[str]:
        """Return the command of the warm process."""
        return [sys.executable, str(ROOT / "benchmarks/noop_flows.py"), self._shape, str(self._concurrency)]

    def ready(self) -> None:
        """Wait for the process by a first run."""
        super().ready()
        self.run(1)

    def run(self, jobs: int) -> list[float]:
        """Run the flow."""
        took: list[float] = json.loads(self.programs[1].ask(f"run {jobs}"))
        return took


class Ours(OnPrefect):
    """Quledger: a drain that serves the inbox, or (`launched`) what is launched through Prefect's API."""

    def __init__(
        self, key: str, title: str, home: Path, *, concurrency: int, launched: bool = False, **more: Any
    ) -> None:
        super().__init__(key, title, home, tuned=True, **more)
        self._concurrency, self._launched = concurrency, launched
        self.store = home / "store"
        self.environment |= {"QULEDGER_HOME": str(home), "QULEDGER_STORAGE": self.store.as_uri()}
        self._deployment = ""

    def command(self) -> list[str]:
        """Return the command of the warm process."""
        return [sys.executable, "-m", "deployments.cli.app", "drain", "--concurrency", str(self._concurrency)]

    def ready(self) -> None:
        """Wait for the drain by a first job."""
        self.wait_for_server()
        if self._launched:
            flow = post(f"{self.url}/flows/", {"name": "run-job"})["id"]
            body = {"name": "run-job", "flow_id": flow, "enforce_parameter_schema": False}
            self._deployment = post(f"{self.url}/deployments/", body)["id"]
        super().ready()
        self.run(1)

    def resume(self) -> None:
        """Go on, and see to a first job: a look that was under way when it was stopped seems to have taken minutes."""
        super().resume()
        self.measure(1)

    def run(self, jobs: int) -> list[float]:
        """Hand in jobs and wait until the log has them all as ended."""
        was = self._ended()
        for _ in range(jobs):
            self.launch() if self._launched else queue(self.store, "singlequdit")
        wait(lambda: self._ended() >= was + jobs, "not all jobs ended", pause=0.05)
        return self._times(jobs)

    def launch(self) -> None:
        """Launch one job as a person does through Prefect's API."""
        job = {"backend": "singlequdit", "document": json.loads(DOCUMENT)}
        post(f"{self.url}/deployments/{self._deployment}/create_flow_run", {"parameters": {"job": job}})

    def one(self) -> float:
        """Return how long one job takes while nothing else is to be done, from its document to its status."""
        begin = time.perf_counter()
        job_id = queue(self.store, "singlequdit")
        status = self.store / "status" / "singlequdit" / f"{job_id}.json"

        def done() -> bool:
            return status.exists() and json.loads(status.read_bytes())["status"] == "DONE"

        wait(done, "the job did not end", pause=0.005)
        return time.perf_counter() - begin

    def _ended(self) -> int:
        rows = self._query("SELECT count(*) FROM job WHERE state IN ('DONE', 'ERROR')")
        return int(rows[0][0]) if rows else 0

    def _times(self, jobs: int) -> list[float]:
        sql = """
            SELECT 86400
                * (julianday(max(recorded_at)) - julianday(max(CASE WHEN kind = 'claimed' THEN recorded_at END)))
            FROM event GROUP BY job_id ORDER BY max(recorded_at) DESC LIMIT ?
        """
        return [row[0] for row in self._query(sql, jobs)]

    def _query(self, sql: str, *values: int) -> list[tuple[Any, ...]]:
        try:
            connection = sqlite3.connect(f"file:{self.home / 'quledger.db'}?mode=ro", uri=True, timeout=30)
        except sqlite3.OperationalError:
            return []
        try:
            return connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            connection.close()


class Spooler(Contestant):
    """The published spooler, with a backend that answers every job at once."""

    def __init__(self, key: str, title: str, home: Path, *, backends: int, wait_seconds: str | None = None) -> None:
        super().__init__(key, title, home)
        self.store = home / "store"
        self._names = ["singlequdit", "multiqudit", "rydberg", "fermions"][:backends]
        self._environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
        if wait_seconds is not None:
            self._environment["T_WAIT_MAIN"] = wait_seconds

    def begin(self) -> None:
        """Start the spooler."""
        command = [str(PEER), str(ROOT / "tests/peer/spooler.py"), str(self.store), *self._names]
        self.programs.append(Program(command, self._environment, self.home / "spooler.log", cwd=self.home))

    def ready(self) -> None:
        """Wait for the first job."""
        self.measure(1)

    def measure(self, jobs: int) -> Round:
        """Run jobs until the last status is written."""
        before, begin = cpu_seconds([self.programs[0].pid]), time.perf_counter()
        ids = [queue(self.store, "singlequdit") for _ in range(jobs)]
        left = [self.store / "status" / "singlequdit" / f"{job_id}.json" for job_id in ids]

        def done() -> bool:
            # They end in any order.
            left[:] = [path for path in left if b'"DONE"' not in path.read_bytes()]
            return not left

        wait(done, "the spooler did not end its jobs", pause=0.05)
        seconds = time.perf_counter() - begin
        cpu = (cpu_seconds([self.programs[0].pid]) - before) / jobs
        return Round(jobs=jobs, seconds=seconds, called=seconds, client=cpu)


def queue(store: Path, backend: str) -> str:
    """Put a job where a front end puts it, and its first status; return its id."""
    job_id = uuid.uuid4().hex[:24]
    status = {"job_id": job_id, "status": "INITIALIZING", "detail": "Got your json.", "error_message": "None"}
    for path, content in (
        (store / "status" / backend / f"{job_id}.json", json.dumps(status)),
        (store / "jobs" / "queued" / backend / f"{job_id}.json", DOCUMENT),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.tmp")
        beside.write_text(content)
        beside.replace(path)
    return job_id
