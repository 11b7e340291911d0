"""`quledger up` in a folder of its own, and what people do with it over HTTP."""

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from tests import forked, prefect_home
from tests.forked import ForkedProcess
from tests.installation import PROGRAM, ROOT, Installation, experiment
from tests.processes_in_waiting import name_of
from tests.waiting import until

READY_SECONDS = 500

GOOD = {"experiment_0": experiment(["load", [0], [20]], ["rlx", [0], [1.0]], ["measure", [0], []])}


def computed(seconds: int) -> dict[str, Any]:
    """Return a job of `multiqudit` that takes about so many seconds of one core."""
    loads = (["load", [wire], [atoms]] for wire, atoms in enumerate((4, 4, 4, 8, 8)))
    steps = [["multiqudit_full", [0, 1, 2, 3, 4], [1.0] * 5]] * (7 * seconds // 2)
    return {"experiment_0": experiment(*loads, *steps, ["measure", [0], []], wires=5, shots=10)}


LONG = computed(20)


class ControlRoom:
    """One laboratory with everything running, and the process that holds it."""

    def __init__(
        self, folder: Path, api: str | None = None, *, cold: bool = False, door: bool = False, **settings: str
    ) -> None:
        """Prepare it.

        Args:
            api: of a server that runs already; otherwise `start` brings one.
            cold: start it as a user does, by `exec`, and not from what is imported already.
            door: also serve the HTTP API, at any free port.
        """
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
        self.installation = Installation(folder, api)
        if api is None:
            prefect_home.fill(self.installation.home / "prefect")
        self.installation.environment |= settings
        self.installation.api = api or f"http://127.0.0.1:{self.port}/api"
        # None is kept open: an idle one may be closed just as it is used again.
        self.client = httpx.Client(
            base_url=self.installation.api, timeout=120, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self.output = folder / "up.txt"
        self.process: ForkedProcess | subprocess.Popen[bytes] | None = None
        self._cold = cold
        self._more = ["--api-port", "0"] if door else ["--no-api"]

    def start(self) -> None:
        """Start `quledger up` and wait until it says that it is ready and a drain runs."""
        arguments, environment = ["up", "--port", str(self.port), *self._more], self.installation.environment
        with self.output.open("wb") as output, open(os.devnull) as nothing:
            files = (nothing.fileno(), output.fileno(), output.fileno())
            if forked.can_run(environment) and not self._cold:
                self.process = ForkedProcess(arguments, environment, files)
            else:
                stdin, stdout, stderr = files
                self.process = subprocess.Popen(
                    [*PROGRAM, *arguments], env=environment, cwd=ROOT, stdin=stdin, stdout=stdout, stderr=stderr
                )
        self.wait(lambda: "Ctrl-C" in self.output.read_text() or self.process.poll() is not None, READY_SECONDS)
        assert self.process.poll() is None, self.output.read_text()
        self.wait(lambda: self.runs("drain-queue", "RUNNING"), READY_SECONDS)

    def stop(self) -> int:
        """End it as Ctrl-C does; return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(90)

    def processes(self) -> list[int]:
        """Return the ids of the program's processes: itself, server, worker and what those have started."""
        assert self.process is not None
        found = [self.process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in task.read_text().split()]
        return found

    def process_of(self, module: str) -> int:
        """Return the process that runs a module of ours."""
        for pid in self.processes():
            place = Path(f"/proc/{pid}")
            started = module.encode() in (place / "cmdline").read_bytes().split(b"\0")
            if started or (place / "comm").read_text().strip() == name_of(module):
                return pid
        raise AssertionError(module)

    def kill(self) -> None:
        """Kill every process at once, as a power cut does."""
        processes = self.processes()
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask Prefect's API, once."""
        return self.client.request(method, path, **more)

    def launch(self, job: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Create a flow run of `run-job`, as the form or `curl` does."""
        deployment = self.ask("GET", "/deployments/name/run-job/run-job").json()["id"]
        body = {"parameters": {"job": job}} | more
        answer = self.ask("POST", f"/deployments/{deployment}/create_flow_run", json=body)
        assert answer.status_code in (200, 201), answer.text
        created: dict[str, Any] = answer.json()
        return created

    def drop(self, number: int, document: dict[str, Any] = GOOD, *, backend: str = "singlequdit") -> str:
        """Put a job into its queue folder, as a front end does; return its id."""
        job_id = f"{number:024x}"
        self.installation.queue(backend, f"{job_id}.json", json.dumps(document).encode())
        return job_id

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a flow run as it stands."""
        found: dict[str, Any] = self.ask("GET", f"/flow_runs/{run_id}").raise_for_status().json()
        return found

    def ended(self, run_id: str, seconds: float = 120) -> dict[str, Any]:
        """Return a flow run that has ended, as soon as it has."""
        self.wait(lambda: self.run(run_id)["state_type"] in {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}, seconds)
        return self.run(run_id)

    def runs(self, flow: str, *states: str) -> list[dict[str, Any]]:
        """Return the newest runs of a flow.

        Args:
            states: types, such as COMPLETED, or names, such as Late, of which one is the run's; none means all.
        """
        body: dict[str, Any] = {"flows": {"name": {"any_": [flow]}}, "sort": "START_TIME_DESC", "limit": 200}
        if states:  # many wait for their time, and to read them costs the server as much as a job
            kind = "type" if states[0].isupper() else "name"
            body["flow_runs"] = {"state": {kind: {"any_": list(states)}}}
        found: list[dict[str, Any]] = self.ask("POST", "/flow_runs/filter", json=body).raise_for_status().json()
        return found

    def wait(self, condition: Callable[[], object], seconds: float = 120) -> None:
        """Return as soon as the condition holds; fail if that takes longer."""

        def holds() -> object:
            with contextlib.suppress(httpx.HTTPError):
                return condition()
            return False

        until(holds, seconds, max_pause=0.6, told=self.output.read_text)


@contextlib.contextmanager
def control_room(folder: Path, *, door: bool = False, **settings: str) -> Iterator[ControlRoom]:
    """Give a running control room; it is ended with the block, however that is left."""
    room = ControlRoom(folder, door=door, **settings)
    try:
        room.start()
        yield room
    finally:
        if room.process is not None and room.process.poll() is None:
            room.stop()
        room.client.close()
