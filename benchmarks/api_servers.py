"""The servers that are measured: `quledger serve` with a home of its own, a minimal Django app; what they are sent."""

import atexit
import json
import os
import random
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from measuring import wait
from processes import Program, cpu_seconds

from flows.publish_backends import publish
from models.facts import Cancelled, CancelRequested
from models.identity.facts import UserAdded
from models.identity.streams import user_stream
from models.settings import Settings
from models.submissions import Begun, Submission
from storage.identity.directory import Directory
from tasks.jobs.submission import submit_all
from tasks.services import Services

ROOT = Path(__file__).resolve().parent.parent
PEER = ROOT / ".cache/bench-peer/bin/python"
GROUP = 1000
ASKED = 500
"""So many different jobs are asked for."""

DOCUMENTS: dict[str, dict[str, Any]] = {
    "singlequdit": {"instructions": [["load", [0], [50]], ["rlx", [0], [1.57]], ["measure", [0], []]], "num_wires": 1},
    "multiqudit": {
        "instructions": [["load", [0], [20]], ["load", [1], [20]], ["rlx", [0], [1.57]], ["measure", [0], []]],
        "num_wires": 2,
    },
    "fermions": {
        "instructions": [["load", [0], []], ["fhop", [0, 1, 2, 3], [0.5]], ["measure", [0], []], ["measure", [2], []]],
        "num_wires": 4,
    },
    "rydberg": {
        "instructions": [["rydberg_full", [0, 1, 2, 3, 4], [2.2, 0, 0]], ["measure", [0], []], ["measure", [1], []]],
        "num_wires": 2,
    },
}
"""One experiment for each backend of cold atoms."""


def document(backend: str) -> dict[str, Any]:
    """Return a job document of this backend."""
    return {"experiment_0": {**DOCUMENTS[backend], "shots": 500}}


def post(path: str, token: str, body: object) -> str:
    """Return a whole request with a JSON body."""
    text = json.dumps(body)
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(text.encode())}\r\n\r\n{text}"
    )


def get(path: str, token: str) -> str:
    """Return a whole request."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"


@dataclass
class Measured:
    """What one load did: seconds, CPU in seconds a request, and cores that others used meanwhile."""

    requests: int
    seconds: float
    server: float
    client: float
    others: float
    latencies: list[float] = field(repr=False)

    def percentile(self, share: float) -> float:
        """Return the latency, in milliseconds, that so many were within."""
        return sorted(self.latencies)[min(len(self.latencies) - 1, int(share * len(self.latencies)))] * 1e3


class Server:
    """A server on loopback."""

    def __init__(self, program: Program, port: int, token: str) -> None:
        self.program, self.port, self.token = program, port, token

    def load(
        self, requests: list[str], connections: int, seconds: float, expected: tuple[str, int] = ("", -1)
    ) -> Measured:
        """Send requests for so long."""
        given = {"port": self.port, "connections": connections, "seconds": seconds, "requests": requests}
        before, busy = cpu_seconds([self.program.pid]), _busy()
        done = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, str(ROOT / "benchmarks/http_load.py")],
            input=json.dumps(given | {"expected": expected}),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        server, all_busy, found = cpu_seconds([self.program.pid]) - before, _busy() - busy, json.loads(done.stdout)
        number = found["requests"]
        return Measured(
            requests=number,
            seconds=found["seconds"],
            server=server / number,
            client=found["cpu"] / number,
            others=max(0.0, all_busy - server - found["cpu"]) / found["seconds"],
            latencies=found["latencies"],
        )

    def qlued_posts(self) -> list[str]:
        """Return requests of qlued's version 2 that hand in a job."""
        return [
            post(f"/api/v2/{name}/post_job", "", {"job": json.dumps(document(name)), "token": self.token})
            for name in DOCUMENTS
        ]

    def qlued_status(self, jobs: list[tuple[str, str]]) -> list[str]:
        """Return requests of qlued's version 2 that ask for these jobs (backend, id)."""
        return [
            get(f"/api/v2/{backend}/get_job_status?{urlencode({'job_id': job_id, 'token': self.token})}", "")
            for backend, job_id in jobs
        ]


class Ours(Server):
    """`quledger serve` over a log with so many jobs, every second of them of the user who asks."""

    def __init__(self, folder: Path, jobs: int) -> None:
        home = folder / f"home{jobs}"
        self.services = Services(Settings(home=home))
        self.services.open()
        directory = Directory(self.services.log.engine)
        directory.append(user_stream("alice"), UserAdded(role="member"), actor="bench")
        token = directory.issue(user_stream("alice"), ("read", "submit"), actor="bench").text
        mine = [job for job in self.fill(jobs) if job[2] == "alice"]
        self.jobs = [(backend, job_id) for backend, job_id, _ in random.Random(1).sample(mine, min(ASKED, len(mine)))]  # noqa: S311
        environment = {name: value for name, value in os.environ.items() if not name.startswith("QULEDGER_")}
        environment |= {"QULEDGER_HOME": str(home), "QULEDGER_API_REQUESTS_A_MINUTE": "10000000"}
        environment["QULEDGER_API_WAITS_A_USER"] = "1000000"
        # As where a drain serves: it mirrors what is handed in, and not the process that is measured.
        environment["QULEDGER_PUBLISH_SECONDS"] = "1000000"
        publish(self.services, [*DOCUMENTS])
        program = Program(
            [sys.executable, "-m", "deployments.cli.app", "serve", "--port", "0"], environment, folder / "serve.log"
        )
        atexit.register(program.end)  # whatever fails from here on
        said = program.process.stdout.readline()
        super().__init__(program, urlsplit(said.split()[3]).port or 0, token)

    def fill(self, jobs: int, user: str = "") -> list[tuple[str, str, str]]:
        """Append jobs to the log; return backend, id and user of each."""
        names = list(DOCUMENTS)
        made: list[tuple[str, str, str]] = []
        for start in range(0, jobs, GROUP):
            group = [
                Submission(
                    backend=names[nth // 2 % len(names)],
                    document=json.dumps(document(names[nth // 2 % len(names)])).encode(),
                    user=user or ("alice" if nth % 2 else f"user{nth % 20}"),
                    source="api",
                    shots=500,
                )
                for nth in range(start, min(jobs, start + GROUP))
            ]
            for submission, answer in zip(group, submit_all(self.services, group), strict=True):
                assert isinstance(answer, Begun)  # noqa: S101 - it would have no job
                made.append((submission.backend, answer.job.job_id, submission.user))
        return made

    def cancel(self, job_id: str) -> float:
        """Let a job end; return the moment in which that was in the log."""
        job = self.services.log.get(job_id)
        facts = (CancelRequested(by="bench"), Cancelled())
        self.services.log.append(job, *facts, attempt=job.attempt, actor="bench")
        return time.monotonic()

    def posts(self) -> list[str]:
        """Return requests that hand in a job."""
        return [post("/v1/jobs", self.token, {"backend": name, "document": document(name)}) for name in DOCUMENTS]

    def batches(self, size: int) -> list[str]:
        """Return a request that hands in so many jobs of all backends."""
        names = list(DOCUMENTS)
        jobs = [{"backend": name, "document": document(name)} for name in (names[nth % 4] for nth in range(size))]
        return [post("/v1/jobs:batch", self.token, {"jobs": jobs})]

    def status(self) -> list[str]:
        """Return requests that ask where jobs stand."""
        return [get(f"/v1/jobs/{job_id}", self.token) for _, job_id in self.jobs]

    def lists(self) -> list[str]:
        """Return a request for the first page of the user's jobs."""
        return [get("/v1/jobs?limit=50", self.token)]


class Django(Server):
    """The minimal Django app, on gunicorn."""

    def __init__(self, folder: Path, jobs: int = 100) -> None:
        token, source = secrets.token_hex(16), ROOT / "benchmarks/peer"
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PEER_DATABASE": str(folder / "django.db")}
        made = [str(PEER), str(source / "qlued_django.py"), token]
        subprocess.run(made, env=environment, check=True)  # noqa: S603 - our own words
        options = ["--workers=2", "--threads=16", "--keep-alive=60", "--bind=127.0.0.1:0", f"--chdir={source}"]
        command = [str(PEER), "-m", "gunicorn", *options, "--log-level=info", "qlued_django:application"]
        log = folder / "django.log"
        program = Program(command, environment, log)
        atexit.register(program.end)  # whatever fails from here on
        wait(lambda: "Listening at" in log.read_text(), "the Django app did not start")
        url = log.read_text().partition("Listening at: ")[2].split()[0]
        super().__init__(program, urlsplit(url).port or 0, token)
        self.load(self.qlued_posts(), 4, 2.0)
        self.jobs = self._known(folder / "django.db", jobs)

    @staticmethod
    def _known(path: Path, jobs: int) -> list[tuple[str, str]]:
        import sqlite3  # noqa: PLC0415 - of this app alone

        with sqlite3.connect(path) as connection:
            return list(connection.execute("SELECT backend, job_id FROM peer_job LIMIT ?", (jobs,)))


def _busy() -> float:
    """Return the CPU seconds that everybody on this machine has used."""
    fields = [int(each) for each in Path("/proc/stat").read_text().partition("\n")[0].split()[1:]]
    user, nice, system, _, _, irq, softirq, *_ = fields
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
