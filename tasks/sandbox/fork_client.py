"""The way to a fork server: starts it, asks it for children and has those killed."""

import asyncio
import contextlib
import json
import math
import os
import signal
import socket
import subprocess
from collections import deque
from typing import Any, NamedTuple, NoReturn

from models.errors import ChildDied, LimitExceeded
from tasks import python
from tasks.sandbox.descendants import MAX_PROCESSES
from tasks.sandbox.fork_server import BEYOND, ENDED, FORK, KILL, MESSAGE, NOT_FORKED, READY
from tasks.sandbox.rlimits import Limits

DEVICES = "QULEDGER_DEVICES"
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", DEVICES)
"""All that the children see of this process's environment."""

ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL", "VECLIB", "NUMEXPR", "RAYON")}
ONE_THREAD["QISKIT_IN_PARALLEL"] = "TRUE"  # so that Qiskit starts no threads or processes of its own

CHUNK = 256 * 1024  # bytes that are received at once
END_SECONDS = 5.0
"""The longest wait for the end of a process that has been told to end."""


class ChildEnd(NamedTuple):
    """How a child ended; `status` is that of `wait`, None if the fork server ended first."""

    status: int | None
    cpu_seconds: float

    def explain(self, limits: Limits, used_before: float) -> NoReturn:
        """Raise why the child ended without an answer.

        Args:
            limits: those of its job.
            used_before: CPU time of the jobs before that, in seconds.

        Raises:
            LimitExceeded: the job used more than it may.
            ChildDied: it ended for any other reason.
        """
        if self.status is None:
            raise ChildDied("the job's process was lost together with the fork server")
        if self.status == NOT_FORKED:
            raise ChildDied("the system had no process for the job")
        seconds = math.ceil(limits.cpu_seconds)
        match BEYOND.get(self.status):
            case "processes":
                raise LimitExceeded(f"the job had more than {MAX_PROCESSES} processes of its own", "processes")
            case "memory":
                raise LimitExceeded(f"the job's processes needed more than {limits.memory_mb:g} MB of memory", "memory")
            case "cpu":
                raise LimitExceeded(f"the job's processes used more than {seconds} s of CPU time", "cpu")
        code = os.waitstatus_to_exitcode(self.status)
        if code == -signal.SIGXCPU or (code < 0 and self.cpu_seconds - used_before >= seconds):
            raise LimitExceeded(f"the job used more than {seconds} s of CPU time", "cpu")
        if code == -signal.SIGKILL:
            raise ChildDied("the job's process was killed; the machine may be short of memory")
        how = f"by a signal: {signal.strsignal(-code)}" if code < 0 else f"by itself, with status {code}"
        raise ChildDied(f"the job's process ended {how}")


class ForkServerClient:
    """One fork server as seen from here; it never comes back once it is lost.

    Args:
        start: what it is told at its start (see `tasks.sandbox.fork_server`).
    """

    def __init__(self, start: dict[str, Any]) -> None:
        self._control, theirs = socket.socketpair()
        self._control.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                python.command("tasks.sandbox.fork_server", str(theirs.fileno()), json.dumps(start)),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/", env=_environment(),
                pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip
        self.pid = self._process.pid
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.is_lost = False
        self._ends: dict[int, asyncio.Future[ChildEnd]] = {}
        self._outbox: deque[tuple[bytes, socket.socket | None]] = deque()
        self._inbox = b""
        self._loop.add_reader(self._control, self._read)

    def fork(self, number: int, limits: Limits | None) -> tuple[socket.socket, "asyncio.Future[ChildEnd]"]:
        """Ask for a child; return the channel to it and what will say how it ended.

        Args:
            limits: what it and the processes that it starts may use together, if that is to be watched.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        end = self._ends[number] = self._loop.create_future()
        # Whatever keeps the other end open, nothing more is to come once the child has ended.
        end.add_done_callback(lambda _: _shut(ours))
        memory, cpu = (math.ceil(limits.memory_mb), limits.cpu_seconds) if limits else (0, 0.0)
        self._post(MESSAGE.pack(FORK, number, memory, cpu), theirs)
        return ours, end

    def kill(self, number: int) -> None:
        """Have a child killed, with all of its session."""
        if number in self._ends:
            self._post(MESSAGE.pack(KILL, number, 0, 0.0), None)

    def _post(self, message: bytes, channel: socket.socket | None) -> None:
        self._outbox.append((message, channel))
        if len(self._outbox) == 1:
            self._write()

    def _write(self) -> None:
        while self._outbox:
            message, channel = self._outbox[0]
            try:
                socket.send_fds(self._control, [message], [channel.fileno()] if channel else [])
            except BlockingIOError:
                self._loop.add_writer(self._control, self._write)
                return
            except OSError:
                self.lose()
                return
            if channel:
                channel.close()
            self._outbox.popleft()
        self._loop.remove_writer(self._control)

    def _read(self) -> None:
        try:
            data = self._control.recv(64 * MESSAGE.size)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.lose()
            return
        self._inbox += data
        whole = len(self._inbox) - len(self._inbox) % MESSAGE.size
        for what, number, status, cpu_seconds in MESSAGE.iter_unpack(self._inbox[:whole]):
            if what == READY and not self.ready.done():
                self.ready.set_result(None)
            elif what == ENDED:
                self._ends.pop(number).set_result(ChildEnd(status, cpu_seconds))
        self._inbox = self._inbox[whole:]

    def lose(self) -> None:
        """Give the server up: whatever it had under way has died with it."""
        if self.is_lost:
            return
        self.is_lost = True
        self._loop.remove_reader(self._control)
        self._loop.remove_writer(self._control)
        self._control.close()
        if not self.ready.done():
            self.ready.set_result(None)
        for end in self._ends.values():
            end.set_result(ChildEnd(None, 0.0))
        self._ends.clear()
        for _, channel in self._outbox:
            if channel:
                channel.close()
        self._outbox.clear()

    async def end(self) -> None:
        """End the server with its children and wait until it is gone."""
        self.lose()
        try:
            await asyncio.to_thread(self._process.wait, END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)


class Child:
    """One child process and the way to it.

    Attributes:
        channel: what the job's messages go through.
        end: how it ended, once it has.
        jobs: how many it has been given.
        cpu_seconds: what the jobs that it has done used.
    """

    def __init__(self, server: ForkServerClient, number: int, limits: Limits | None) -> None:
        self._server, self._number = server, number
        self.channel: socket.socket
        self.end: asyncio.Future[ChildEnd]
        self.channel, self.end = server.fork(number, limits)
        self.jobs = 0
        self.cpu_seconds = 0.0

    async def killed(self) -> ChildEnd:
        """Kill the child, if it has not ended by itself, and return how it ended."""
        self._server.kill(self._number)
        await asyncio.wait([self.end], timeout=END_SECONDS)
        return self.end.result() if self.end.done() else ChildEnd(None, 0.0)


async def receive_part(channel: socket.socket, size: int) -> bytes:
    """Receive so many bytes of a message, and let the others of the event loop have their turns meanwhile.

    Raises:
        EOFError: the other side is gone.
    """
    parts = []
    while size:
        part = await asyncio.get_running_loop().sock_recv(channel, min(size, CHUNK))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
        # What is there already is received at once: without this nobody else would have a turn, nor the clock.
        await asyncio.sleep(0)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _shut(channel: socket.socket) -> None:
    with contextlib.suppress(OSError):
        channel.shutdown(socket.SHUT_RD)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    if DEVICES in kept:
        kept[DEVICES] = os.path.abspath(os.path.expanduser(kept[DEVICES]))  # there is neither this folder nor a home
    # No home: libraries would look for settings and credentials in it.
    return kept | ONE_THREAD | {"HOME": "/nonexistent", "PYTHONPATH": python.path()}
