"""What every command about one job or one page costs in a large log, and every such route of the HTTP API.

`python benchmarks/tools.py --jobs 100000 1000000` makes logs of that many jobs below `.cache/bench-tools`, where they
are kept for the next time, and runs each command as a process of its own, each route against a real `quledger serve`.
Printed are medians: wall and CPU time, and beside them those of `quledger --version`, which asks no log.
"""

import argparse
import contextlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from processes import Program, cpu_seconds, machine
from sqlalchemy import text
from tools_log import fill, finish

from models.identity.streams import user_stream
from models.settings import Settings
from storage.log.database import reading
from tasks.services import Services

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".cache/bench-tools"
PROGRAM = (sys.executable, "-m", "deployments.cli.app")
LIMITS = {100_000: 1.0, 1_000_000: 2.0}
DONE, OTHER = "cafe" + "0" * 20, "cafe" + "1" * 20
VERSION = "--version"

ASKED = {
    "waiting": "SELECT job_id FROM job WHERE phase = 'waiting' ORDER BY submitted_at DESC LIMIT 1",
    "running": "SELECT job_id FROM job WHERE phase = 'running' LIMIT 1",
    "failed": "SELECT job_id FROM job WHERE ended = 'ERROR' ORDER BY submitted_at DESC LIMIT 1",
    "old": "SELECT job_id FROM job ORDER BY submitted_at LIMIT 1",
    "group": "SELECT group_name FROM job WHERE group_name <> '' ORDER BY submitted_at DESC LIMIT 1",
    "calibration": "SELECT calibration FROM job WHERE ended = 'DONE' ORDER BY submitted_at DESC LIMIT 1",
}
"""What the commands are about, and what finds it."""

COMMANDS = f"""
{VERSION}
status {DONE}
status {{waiting}}
status {{running}}
status {{old}} --at 500d
history {DONE}
why {DONE}
why {{waiting}}
why {{running}}
result {DONE}
diff {DONE} {OTHER}
diff {{old}} {{failed}}
verify {DONE}
wait {DONE}
watch {DONE}
label {DONE} bench={{turn}}
list
list --limit 1000
list --backend rydberg
list --backend fermions
list --user user7
list --user carol
list --state queued
list --state validated
list --state done
list --state error
list --state error --user carol
list --state queued --backend fermions
list --group {{group}}
list --label sample=A7
list --label sample=none
list --at 500d
list --at 500d --backend fermions
group
group {{group}}
results --standing-on {{calibration}}
results --withdrawn
backends
backends history rydberg
backends show {{calibration}}
export {DONE} --archive {{folder}}/{{turn}}.zip --no-programs
export {DONE} --jobs {{folder}}/{{turn}}.parquet
pause fermions --reason bench
resume fermions
cancel --backend fermions --state queued
cancel --user user7 --state queued
cancel --group {{group}}
retry --state error --user carol
retry --backend fermions
rerun {DONE} --exact --dry-run
retention --results-days 36500
storages
health
user list
token list
db current
"""

ROUTES = f"""
/v1/jobs/{DONE}
/v1/jobs/{{waiting}}
/v1/jobs/{DONE}/history
/v1/jobs/{{waiting}}/why
/v1/jobs/{{running}}/why
/v1/jobs/{DONE}/document
/v1/jobs/{DONE}/result
/v1/jobs/{DONE}/changes
/v1/jobs
/v1/jobs?limit=1000
/v1/jobs?backend=fermions
/v1/jobs?user=carol
/v1/jobs?state=QUEUED
/v1/jobs?state=ERROR&backend=fermions
/v1/jobs?state=QUEUED&backend=fermions
/v1/jobs?group={{group}}
/v1/jobs?label=sample%3DA7
/v1/jobs?label=sample%3Dnone
/v1/groups
/v1/groups/{{group}}
/v1/backends
/v1/backends/rydberg
/v1/backends/rydberg/calibrations
/v1/calibrations/{{calibration}}
/v1/results?standing_on={{calibration}}
/v1/results?withdrawn=true
/v1/health
/v1/metrics
/v1/me
"""


class Cost(NamedTuple):
    """Seconds of one run."""

    wall: float
    cpu: float


def main() -> None:
    """Measure, and print a table for each log."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="only commands and routes that hold this text")
    options = parser.parse_args()
    for jobs in options.jobs:
        log = Log(jobs)
        print(f"\n{machine()}: {jobs:,} jobs, {log.megabytes:,} MB; medians of {options.rounds}\n")
        print(f"| {'command or route':48} |  wall s |   CPU s | beyond --version, CPU s | |")
        print("|---|---|---|---|---|", flush=True)
        missed = table(log, _lines(COMMANDS, options.only), options.rounds, log.command)
        with log.served() as route:
            missed += table(log, _lines(ROUTES, options.only), options.rounds, route, of_server=True)
        print(f"\n{missed} above the limit of {log.limit:g} s")


def table(log: "Log", lines: list[str], rounds: int, run: Callable[[str], Cost], *, of_server: bool = False) -> int:
    """Print what each line costs; return how many took longer than they may."""
    base: float | None = None
    missed = 0
    for line in lines:
        costs = [run(log.said(line, turn)) for turn in range(rounds)]
        wall, cpu = (statistics.median(each) for each in zip(*costs, strict=True))
        base = cpu if line == VERSION else base
        beyond = "" if of_server or base is None else f"{cpu - base:23.3f}"
        is_late = wall > log.limit
        missed += is_late
        print(f"| `{line:46}` | {wall:7.3f} | {cpu:7.3f} | {beyond:23} | {'late' if is_late else ''} |", flush=True)
    return missed


class Log:
    """A log with so many jobs in a home of its own; made if it is not there yet."""

    def __init__(self, jobs: int) -> None:
        self.home, self.limit = KEPT / str(jobs), LIMITS.get(jobs, 1.0 if jobs < 10**6 else 2.0)
        if not (self.home / "whole").exists():
            shutil.rmtree(self.home, ignore_errors=True)
            services = self._services()
            fill(services, jobs)
            finish(services, DONE, OTHER)
            services.log.engine.dispose()
            (self.home / "whole").touch()
        self.megabytes = (self.home / "quledger.db").stat().st_size // 2**20
        self.folder = self.home / "made"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        services = self._services()
        with reading(services.log.engine) as connection:
            self.asked = {name: connection.scalar(text(query)) for name, query in ASKED.items()}
        self.token = services.directory.issue(user_stream("boss"), ("read", "submit", "admin"), actor="bench").text
        services.log.engine.dispose()
        self.environment = {name: value for name, value in os.environ.items() if "QULEDGER" not in name}
        self.environment |= {"QULEDGER_HOME": str(self.home), "QULEDGER_API_REQUESTS_A_MINUTE": "1000000"}
        self.environment.pop("PREFECT_API_URL", None)

    def said(self, line: str, turn: int) -> str:
        """Return a command or a route with the names of what it is about."""
        return line.format(**self.asked, folder=self.folder, turn=f"{time.time_ns()}-{turn}")

    def command(self, line: str) -> Cost:
        """Run a command as a process."""
        before, began = _of_children(), time.perf_counter()
        done = subprocess.run(  # noqa: S603 - our own words
            [*PROGRAM, *line.split()], env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        wall = time.perf_counter() - began
        if done.returncode not in {0, 1, 3}:
            raise SystemExit(f"{line}: {done.stderr[-2000:]}")
        return Cost(wall, _of_children() - before)

    @contextlib.contextmanager
    def served(self) -> Iterator[Callable[[str], Cost]]:
        """Serve the log; what is yielded asks for a route."""
        program = Program([*PROGRAM, "serve", "--port", "0"], self.environment, self.folder / "serve.log", cwd=ROOT)
        try:
            port = urlsplit(program.process.stdout.readline().split()[3]).port

            def ask(route: str) -> Cost:
                headers = {"Authorization": f"Bearer {self.token}"}
                request = urllib.request.Request(f"http://127.0.0.1:{port}{route}", headers=headers)
                before, began = cpu_seconds([program.pid]), time.perf_counter()
                with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310 - our own server
                    answer.read()
                return Cost(time.perf_counter() - began, cpu_seconds([program.pid]) - before)

            ask("/v1/me")  # imports
            yield ask
        finally:
            program.end()

    def _services(self) -> Services:
        services = Services(Settings(home=self.home))
        services.open()
        return services


def _lines(text: str, only: str) -> list[str]:
    return [line for line in text.split("\n") if line and (only in line or line == VERSION)]


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
