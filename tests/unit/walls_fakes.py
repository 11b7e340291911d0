"""Backends that try to get out of their process, for the tests of its walls.

A backend ACCESS-WHAT declares ACCESS, and WHAT it does is a function of `Actions`; `attempts` tries each of `Attempts`.
"""

import contextlib
import ctypes
import importlib
import os
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from models.backend import Access
from tests.unit.sandbox_fakes import CONFIG

ACCESS = {
    "closed": Access(),
    "open": None,
    "breeding": Access(processes=True),
    "starting": Access(programs=True),
    "connected": Access(network=True),
    "reading": Access(paths=("/proc/version",), devices=("/dev/tty",)),
}

DRAIN_SIDE = os.getppid()
"""As it is imported in the fork server, its parent; in a child the fork server's own is `os.getppid()`."""

LIBC = ctypes.CDLL(None, use_errno=True)


def access(name: str) -> Access | None:
    """Return what a backend declares."""
    return ACCESS[name.partition("-")[0]]


def ours(name: str) -> bool:
    """Count those that declare nothing beyond their imports as ours."""
    return name.startswith("closed")


def names() -> list[str]:
    """Return what fork servers load beforehand."""
    return [f"{access}-attempts" for access in ACCESS]


loaded = names


def called(answer: int) -> None:
    """Raise what a function of libc has refused."""
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Attempts:
    """Each does what no job should, given a folder with a file `secret`, the drain's process id and a port."""

    @staticmethod
    def read(folder: str, **_: Any) -> None:
        Path(folder, "secret").read_text()

    @staticmethod
    def look(folder: str, **_: Any) -> None:
        os.listdir(folder)

    @staticmethod
    def write(folder: str, **_: Any) -> None:
        Path(folder, "new").open("w").close()

    @staticmethod
    def remove(folder: str, **_: Any) -> None:
        os.unlink(f"{folder}/victim")

    @staticmethod
    def change_mode(folder: str, **_: Any) -> None:
        os.chmod(f"{folder}/secret", 0o666)

    @staticmethod
    def truncate(folder: str, **_: Any) -> None:
        os.truncate(f"{folder}/truncated", 0)

    @staticmethod
    def tcp(port: int, **_: Any) -> None:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()

    @staticmethod
    def udp(port: int, **_: Any) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
            sending.sendto(b"secret", ("127.0.0.1", port))

    @staticmethod
    def unix_socket(folder: str, **_: Any) -> None:
        with socket.socket(socket.AF_UNIX) as connecting:
            connecting.connect(f"{folder}/socket")

    @staticmethod
    def signal_drain(drain: int, **_: Any) -> None:
        os.kill(drain, 0)

    @staticmethod
    def signal_fork_server(**_: Any) -> None:
        os.kill(os.getppid(), 0)

    @staticmethod
    def environment_of_drain(drain: int, **_: Any) -> None:
        Path(f"/proc/{drain}/environ").read_bytes()

    @staticmethod
    def command_of_drain(drain: int, **_: Any) -> None:
        Path(f"/proc/{drain}/cmdline").read_bytes()

    @staticmethod
    def limits_of_drain(drain: int, **_: Any) -> None:
        resource.prlimit(drain, resource.RLIMIT_CORE)

    @staticmethod
    def fork(**_: Any) -> None:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)

    @staticmethod
    def program(**_: Any) -> None:
        subprocess.run(["/bin/true"], check=True)

    @staticmethod
    def shared_memory(**_: Any) -> None:
        called(LIBC.shmget(0x51EDE, 4096, 0o1600))
        called(LIBC.shmctl(LIBC.shmget(0x51EDE, 4096, 0o600), 0, None))

    @staticmethod
    def namespace(**_: Any) -> None:
        called(LIBC.unshare(0x10000000))


class Uses:
    """Each does what every job may."""

    @staticmethod
    def import_module(**_: Any) -> None:
        importlib.import_module("colorsys")
        importlib.import_module("tests.unit.histories")

    @staticmethod
    def read_about_itself(**_: Any) -> None:
        Path("/proc/self/status").read_text()

    @staticmethod
    def use_devices(**_: Any) -> None:
        Path("/dev/null").write_text("nothing")
        os.urandom(8)

    @staticmethod
    def limit_itself(**_: Any) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))


def outcome(attempt: Any, given: dict[str, Any]) -> str:
    """Return `done`, or `denied` with how it was refused; anything else is a mistake of the test."""
    try:
        attempt(**given)
    except (PermissionError, FileNotFoundError) as error:  # what /proc or a path hides is not there
        return f"denied: {error.strerror}"
    return "done"


def tried(group: type, given: dict[str, Any]) -> dict[str, str]:
    """Try all of a group."""
    functions = {name: function for name, function in vars(group).items() if isinstance(function, staticmethod)}
    return {name: outcome(function, given) for name, function in functions.items()}


class Actions:
    """What a backend does, given the document of its job."""

    @staticmethod
    def attempts(given: dict[str, Any]) -> dict[str, str]:
        return tried(Uses, given) | tried(Attempts, given)

    @staticmethod
    def good(_given: dict[str, Any]) -> int:
        return 42

    @staticmethod
    def relay(given: dict[str, Any]) -> None:
        """Compute in processes that each end before their own limit, and of which nobody asks what they used."""
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            pids = [os.fork() for _ in range(2)]
            if 0 in pids:
                until = time.process_time() + given["each"]
                while time.process_time() < until:
                    pass
                os._exit(0)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, 0)  # until all have ended

    @staticmethod
    def hoard(given: dict[str, Any]) -> None:
        """Take memory in several processes, each of which keeps to its limit."""
        for _ in range(given["width"]):
            if os.fork() == 0:
                held = bytearray(given["megabytes"] * 1_000_000)
                held[::4096] = b"x" * len(held[::4096])
                signal.pause()
        signal.pause()

    @staticmethod
    def bomb(_given: dict[str, Any]) -> None:
        """Double, again and again, in sessions of their own; should nobody end it, it ends in a few seconds."""
        until = time.monotonic() + 5
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                if os.fork() == 0:
                    os.setsid()
        os._exit(0)

    @staticmethod
    def comet(_given: dict[str, Any]) -> None:
        """Leave something behind that is always another process."""
        if os.fork() == 0:
            until = time.monotonic() + 20
            while time.monotonic() < until:
                os.setsid()
                if os.fork():
                    os._exit(0)
            os._exit(0)


class Backend:
    """Does one thing when it executes."""

    config = CONFIG

    def __init__(self, name: str) -> None:
        self.action = getattr(Actions, name.partition("-")[2])

    def validate(self, document: Any) -> list[Any]:
        return [document]

    def compile(self, experiments: list[Any], seed: int) -> Any:
        return experiments[0]

    def execute(self, program: Any) -> list[Any]:
        return [
            {"header": {"name": "x"}, "shots": 0, "success": True, "data": {"memory": []}, "said": self.action(program)}
        ]


def load(name: str) -> Backend:
    """Return the backend ACCESS-WHAT."""
    return Backend(name)
