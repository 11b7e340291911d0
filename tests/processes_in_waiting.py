"""What a forked program starts in turn: children of it that stand by with all imported, and become what it starts.

A program starts its server, its worker or its sandbox's fork server when it has threads already, and cannot fork then.
So they are forked before, wait until the program starts their module, and become the child that `subprocess.Popen`
would have started, with its arguments, environment, folder and files. Where none stands by any more, it is started as
ever.
"""

import atexit
import fcntl
import importlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

FORK_SERVER = "tasks.sandbox.fork_server"
FORK_SERVERS = [FORK_SERVER] * 2
"""One for the backends that need nothing of their own, and one for the qubits."""

SERVER = "deployments.processes.embedded_server"
WORKER = "deployments.processes.embedded_worker"
API = "deployments.processes.embedded_api"
COMMANDS = "deployments.processes.prefect_commands"
DEPLOY = "deployments.deploy"

STARTED_BY = {API: FORK_SERVERS, DEPLOY: [COMMANDS], WORKER: FORK_SERVERS}
"""What a module that was forked starts in turn."""

MESSAGE_BYTES = 100_000
MAX_FILES = 8
MAX_NAME = 15
BEYOND_ALL = 500
"""A number of no file that a process of ours is given."""

_waiting: list[tuple[str, int, socket.socket]] = []
"""A module, the child that stands by for it, and how to tell it to go on."""


def stand_by(modules: Sequence[str]) -> None:
    """Fork a child for each module from this process, which has one thread; the next start of each will be it."""
    for module in modules:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            ours.close()
            for *_, channel in _waiting:
                channel.close()
            _waiting.clear()
            _wait_and_become(module, theirs)
        theirs.close()
        _waiting.append((module, pid, ours))
    if modules:
        subprocess.Popen = Popen  # type: ignore[misc]


class Popen(subprocess.Popen[Any]):
    """Starts a program; where a child stands by for it, by telling that to go on."""

    def _execute_child(self, *given: Any) -> None:
        arguments, _, _, _, pass_fds, cwd, environment = given[:7]
        waiting = next((each for each in _waiting if each[0] in arguments), None)
        if waiting is None:
            super()._execute_child(*given)  # type: ignore[misc]
            return
        stdin, _, _, stdout, _, stderr = pipes = given[10:16]
        files = {0: stdin, 1: stdout, 2: stderr, **{number: number for number in pass_fds}}
        files = {number: file for number, file in files.items() if file != -1}
        _waiting.remove(waiting)
        module, pid, channel = waiting
        how = {
            "arguments": arguments[arguments.index(module) + 1 :],
            "environment": dict(os.environ if environment is None else environment),
            "folder": cwd or os.getcwd(),
            "numbers": list(files),
            "new_session": given[21],
        }
        with channel:
            socket.send_fds(channel, [json.dumps(how, default=os.fspath).encode()], list(files.values()))
        self.pid, self._child_created = pid, True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def name_of(module: str) -> str:
    """Return the name that the process of a module bears in the system's list, where it was forked."""
    return module.rpartition(".")[2][:MAX_NAME]


def _wait_and_become(module: str, channel: socket.socket) -> NoReturn:
    message, files, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, MAX_FILES)
    if not message:
        os._exit(0)  # the program has ended and needed none
    how = json.loads(message)
    if how["new_session"]:
        os.setsid()
    take_files(dict(zip(how["numbers"], files, strict=True)))
    become(module, how["arguments"], how["environment"], how["folder"])


def become(module: str, arguments: Sequence[str], environment: Mapping[str, str], folder: str) -> NoReturn:
    """Be a module that is run as a program, in a process that was forked and has its files."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    Path("/proc/self/comm").write_text(name_of(module))  # its command line stays that of the tests' fork server
    stand_by(STARTED_BY.get(module, ()))
    if "tests.preloaded" in sys.modules and module != FORK_SERVER:
        from tests.preloaded import AGAIN  # noqa: PLC0415 - as said

        AGAIN.begin()
    code = 1
    try:
        importlib.import_module(module).main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - said as Python says it at its end
        sys.excepthook(*sys.exc_info())
    finally:
        end_python()
        os._exit(code)


def take_files(files: dict[int, int]) -> None:
    """Have these files under these numbers, and no others beyond the standard ones."""
    beyond = {number: fcntl.fcntl(file, fcntl.F_DUPFD, BEYOND_ALL) for number, file in files.items()}
    os.closerange(3, BEYOND_ALL)
    for number, file in beyond.items():
        os.dup2(file, number)
    os.closerange(BEYOND_ALL, os.sysconf("SC_OPEN_MAX"))
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)


def end_python() -> None:
    """Do what Python does at its end, and a process that was forked leaves out."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
