"""One laboratory of a test: the installed program as a process, in a folder of its own."""

import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from deployments.cli.render import event_value
from models.settings import Settings
from models.submissions import Submission
from storage.audit.verify import Verifier
from storage.log.database import open_database
from storage.log.event_log import EventLog
from storage.providers.protocol import StorageProvider
from storage.providers.registry import open_storage
from storage.providers.stores import Stores
from tasks.jobs.submission import submit_document
from tasks.services import Services
from tests import forked
from tests.contract.storages import Place, Servers, kind_named, surrounded
from tests.forked import ROOT, ForkedProcess
from tests.waiting import until

PROGRAM = [sys.executable, "-m", "deployments.cli.app"]
RUN_SECONDS = 250.0

ONE_BACKEND = ("--backend", "singlequdit")
"""Has a drain serve the backend that most tests have jobs of: for every further one it would do some work more."""

DRAIN = ("drain", "--until-empty", *ONE_BACKEND)


class Started:
    """A program that was left running; what it prints goes to a file, for a pipe that nobody reads would stop it."""

    def __init__(self, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self._printed, path = tempfile.mkstemp()
        os.unlink(path)
        weakref.finalize(self, os.close, self._printed)
        self._process: ForkedProcess | subprocess.Popen[bytes]
        with open(os.devnull) as nothing:
            files = (nothing.fileno(), self._printed, self._printed)
            if forked.can_run(environment):
                self._process = ForkedProcess(arguments, environment, files)
            else:
                stdin, stdout, stderr = files
                self._process = subprocess.Popen(
                    [*PROGRAM, *arguments], env=environment, cwd=ROOT, stdin=stdin, stdout=stdout, stderr=stderr
                )
        self.pid = self._process.pid
        self.poll, self.wait = self._process.poll, self._process.wait
        self.send_signal, self.terminate = self._process.send_signal, self._process.terminate
        self.kill = self._process.kill

    @property
    def returncode(self) -> int | None:
        """Its exit code, None while it runs."""
        return self.poll()

    def printed(self) -> str:
        """Return what it has printed so far."""
        return os.pread(self._printed, os.fstat(self._printed).st_size, 0).decode(errors="replace")

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait until it has ended, and return what it printed."""
        self.wait(timeout)
        return self.printed(), ""


class Installation:
    """One laboratory: a home with a database and a storage, and the program `quledger`.

    Attributes:
        store: the folder of its storage, where that is a folder.
    """

    def __init__(self, folder: Path, api: str | None, place: Place | None = None) -> None:
        self.home = folder / "home"
        self.store = folder / "store"
        self.place = place
        self.api = api
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("QULEDGER_", "PREFECT_"))}
        self.environment = kept | {
            "QULEDGER_HOME": str(self.home),
            "QULEDGER_STORAGE": self.store.as_uri(),
            "QULEDGER_POLL_SECONDS": "0.2",
            "QULEDGER_SETTLE_SECONDS": "0.1",
            "QULEDGER_RETRY_SECONDS": "0.2",
            "HOME": str(folder),
            "COLUMNS": "200",
        }
        if place is not None:
            self.environment |= {"QULEDGER_STORAGE": place.url, **place.environment}
        if api is not None:
            self.environment["PREFECT_API_URL"] = api

    def run(
        self, *arguments: str, check: bool = True, text: str = "", cold: bool = False, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the program to its end.

        Args:
            cold: start it as a user does, by `exec`, and not from what is imported already.
        """
        environment = self.environment | settings
        if cold or not forked.can_run(environment):
            done = subprocess.run(
                [*PROGRAM, *arguments],
                env=environment,
                cwd=ROOT,
                input=text,
                capture_output=True,
                text=True,
                timeout=RUN_SECONDS,
                check=False,
            )
        else:
            done = forked.run(arguments, environment, text, RUN_SECONDS)
        if check:
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def verified(self, *, seconds: float = 90, **settings: str) -> None:
        """Reconcile until `verify` finds nothing: a run that died is put right in Prefect a lease later."""

        def is_right() -> bool:
            self.run("reconcile", **settings)
            done = self.run("verify", check=False, **settings)
            said.append(done.stdout + done.stderr)
            return done.returncode == 0

        said: list[str] = []
        # Each look is two processes.
        until(is_right, seconds, pause=1.0, max_pause=2.0, told=lambda: said[-1])

    def start(self, *arguments: str, **settings: str) -> "Started":
        """Start the program and leave it running."""
        return Started(arguments, self.environment | settings)

    def json(self, *arguments: str, text: str = "", **settings: str) -> Any:
        """Run the program with --json and return what it printed."""
        return json.loads(self.run(*arguments, "--json", check=True, text=text, **settings).stdout)

    def submit(self, backend: str, document: object, *, user: str = "") -> str:
        """Submit a document as `quledger submit` does, and return the job's id."""
        text = document if isinstance(document, str) else json.dumps(document)
        services = Services(Settings(home=self.home, storage=self.url))
        return submit_document(services, Submission(backend=backend, document=text.encode(), user=user)).job_id

    @property
    def url(self) -> str:
        """Where its storage is."""
        return self.store.as_uri() if self.place is None else self.place.url

    @functools.cached_property
    def storage(self) -> StorageProvider:
        """Its storage, used beside the program."""
        return open_storage(self.url)

    def queue(self, backend: str, name: str, content: bytes) -> None:
        """Put a document into a queue folder, as a front end does."""
        if self.place is not None:
            self.storage.put(f"jobs/queued/{backend}/{name}", content)
            return
        path = self.store / "jobs" / "queued" / backend / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def read(self, path: str) -> Any:
        """Return the JSON document at a path of the storage."""
        return json.loads(self.storage.get(path))

    def exists(self, path: str) -> bool:
        """Say whether a document is in the storage."""
        return self.storage.exists(path)

    def documents(self, folder: str) -> list[str]:
        """Return the paths of all JSON documents below a folder of the storage, sorted."""
        found = []
        for entry in self.storage.entries(folder):
            path = f"{folder}/{entry.name}"
            if not entry.regular:
                found += self.documents(path)
            elif entry.name.endswith(".json"):
                found.append(path)
        return sorted(found)

    @property
    def log(self) -> EventLog:
        """The event log, read beside the program: quicker than a process for each question."""
        if "QULEDGER_DATABASE" in self.environment:
            return self._log_on_server
        return EventLog(open_database(Settings(home=self.home).database_url))

    @functools.cached_property
    def _log_on_server(self) -> EventLog:
        """One for all questions: whoever names a server disposes of its engine."""
        return EventLog(open_database(self.environment["QULEDGER_DATABASE"]))

    def states(self) -> dict[str, str]:
        """Return the state of every job by id."""
        return {job.job_id: job.state.value for job in self.log.jobs(limit=100_000)}

    def history(self, job_id: str) -> list[dict[str, Any]]:
        """Return every event of a job as `quledger history --json` prints it."""
        return [event_value(event) for event in self.log.history(job_id)]

    def findings(self) -> list[str]:
        """Return what `quledger verify` finds between log, views and storage."""
        return [str(finding) for finding in Verifier(self.log.engine, Stores.single(self.storage)).all()]

    def prefect(self, path: str, body: dict[str, Any]) -> Any:
        """Ask Prefect's API."""
        return httpx.post(f"{self.api}{path}", json=body, timeout=30).raise_for_status().json()


@contextlib.contextmanager
def installation_on(kind: str, folder: Path, api: str | None, servers: Servers) -> Iterator[Installation]:
    """Give a laboratory on an empty storage of a kind; this process finds the storage too while the block runs."""
    place = servers.place(kind_named(kind), folder)
    with surrounded(place):
        yield Installation(folder, api, place)


def experiment(*instructions: list[Any], wires: int = 1, shots: int = 100, **more: Any) -> dict[str, Any]:
    """Return one experiment of a job document."""
    return {"instructions": list(instructions), "num_wires": wires, "shots": shots, "wire_order": "interleaved"} | more
