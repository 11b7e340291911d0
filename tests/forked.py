"""The program in a process of its own, forked from one that has imported all that it needs.

Such a process is real: it has its own id, files, environment and exit code, it runs the program's `main`, and it dies
by `kill -9`. What happens before `main`, the start of Python and the imports, is tested with the installed program.
"""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import forkserver, reduction
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

from tests import fork_servers, processes_in_waiting
from tests.logging_variables import LOGGING
from tests.processes_in_waiting import API, COMMANDS, FORK_SERVER, FORK_SERVERS, SERVER, WORKER

ROOT = Path(__file__).parents[1]

READ_LATE = {
    "PREFECT_HOME",  # the program sets it to a folder of its own before it imports Prefect
    *("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"),
    *("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS"),
    *LOGGING,
}
"""What Prefect reads when it needs it; of all else it reads a part as it is imported."""


def _of_python(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(("PYTHON", "LANG", "LC_", "LD_"))}


_OF_PYTHON = _of_python(os.environ)
_context = multiprocessing.get_context("forkserver")
# One of its own: other tests fork what has imported something else.
_server = forkserver.ForkServer()
_starting = threading.Lock()
_server.set_forkserver_preload(["tests.preloaded", "tests.forked"])


def share(folder: Path) -> None:
    """Fork from the same process as other test processes, which share this folder."""
    fork_servers.share(_server, folder / "programs")


def can_run(environment: Mapping[str, str]) -> bool:
    """Say whether a program with this environment may be forked: what it would read as it starts is read already."""
    of_prefect = {name for name in environment if name.startswith("PREFECT_")}
    return of_prefect <= READ_LATE and _of_python(environment) == _OF_PYTHON


class ForkedProcess:
    """`quledger` in a forked process, for those who know `subprocess.Popen`."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        files: tuple[int, int, int],
        folder: str = str(ROOT),
    ) -> None:
        """Start it.

        Args:
            files: what it has as standard input, output and error; the caller may close them.
            folder: where it is called.
        """
        self.args = ["quledger", *arguments]
        self._start(_be_program, list(arguments), dict(environment), [reduction.DupFd(file) for file in files], folder)

    def _start(self, target: Callable[..., object], *given: object) -> None:
        # A daemon: the end of the tests waits for no process that one of them has left stopped.
        self._process = _context.Process(target=target, args=given, daemon=True)
        with _starting, mock.patch.object(forkserver, "connect_to_new_process", _server.connect_to_new_process):
            self._process.start()
        assert self._process.pid is not None
        self.sentinel, self.pid = self._process.sentinel, self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code; minus the number of the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, and return its exit code.

        Raises:
            subprocess.TimeoutExpired: it takes longer.
        """
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


class ForkedModule(ForkedProcess):
    """A module of ours that is started by `subprocess.Popen`, perhaps with a pipe as standard input, and forked."""

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, pass_fds: Sequence[int] = (), **more: Any
    ) -> None:
        """Start it; what it prints goes to the file `stdout`, if there is one, and `stdin` may be a pipe."""
        module, *arguments = command[command.index("-m") + 1 :]
        self.args, output = list(command), more.get("stdout", subprocess.DEVNULL)
        theirs, ours = os.pipe()
        self.stdin = os.fdopen(ours, "wb")
        if more.get("stdin") != subprocess.PIPE:
            self.stdin.close()
        with os.fdopen(theirs) as given, open(os.devnull, "wb") as nothing:
            printed = (nothing if output == subprocess.DEVNULL else output).fileno()
            files = {0: given.fileno(), 1: printed, 2: printed, **{number: number for number in pass_fds}}
            kept = {number: reduction.DupFd(file) for number, file in files.items()}
            self._start(_be_module, module, arguments, dict(env), str(cwd), kept)


@contextlib.contextmanager
def forking(module: ModuleType) -> Iterator[None]:
    """Within the block, what this module starts by `subprocess.Popen` is forked."""
    with mock.patch.object(module, "subprocess", SimpleNamespace(**vars(subprocess) | {"Popen": ForkedModule})):
        yield


def run(
    arguments: Sequence[str], environment: Mapping[str, str], text: str, timeout: float
) -> "subprocess.CompletedProcess[str]":
    """Run the program to its end, as `subprocess.run` does.

    Raises:
        subprocess.TimeoutExpired: it took longer, and was killed.
    """
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        given.write(text)
        given.seek(0)
        process = ForkedProcess(arguments, environment, (given.fileno(), output.fileno(), errors.fileno()))
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        printed = [os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode() for file in (output, errors)]
    return subprocess.CompletedProcess(process.args, code, *printed)


def end() -> None:
    """Kill what still runs, and wait until the process that forked it has ended."""
    for process in multiprocessing.active_children():
        process.kill()
        process.join()
    _server._stop()  # type: ignore[attr-defined]


def _be_program(arguments: list[str], environment: dict[str, str], files: list[Any], folder: str) -> None:
    """Be the program: all that a process has of its own becomes what `exec` would have made it."""
    for number, file in enumerate(files):
        given = file.detach()
        os.dup2(given, number)
        os.close(given)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    sys.argv = ["quledger", *arguments]
    processes_in_waiting.stand_by(_started_by(arguments, environment))
    from deployments.cli.app import main  # noqa: PLC0415 - it is there already in the process that is forked
    from tests.preloaded import AGAIN  # noqa: PLC0415 - as above

    AGAIN.begin()
    try:
        main()
    finally:
        processes_in_waiting.end_python()


def _be_module(
    module: str, arguments: list[str], environment: dict[str, str], folder: str, files: dict[int, Any]
) -> None:
    """Be a module that is run as a program; it has a session of its own."""
    os.setsid()
    processes_in_waiting.take_files({number: file.detach() for number, file in files.items()})
    processes_in_waiting.become(module, arguments, environment, folder)


def _started_by(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the modules that a command starts as processes of their own."""
    if arguments[:1] == ["submit"]:
        return [FORK_SERVER]
    if arguments[:1] in (["serve"], ["worker"]):
        return FORK_SERVERS
    if arguments[:1] not in (["demo"], ["drain"], ["up"]):
        return []
    server = [] if "PREFECT_API_URL" in environment and arguments[0] != "demo" else [SERVER]
    if arguments[0] != "up":
        return [*server, *FORK_SERVERS]
    kept = [*server, WORKER, *([] if "--no-api" in arguments else [API])]
    return [*kept, COMMANDS, *kept]  # each of them twice: one that dies is started again
