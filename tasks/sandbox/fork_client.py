"""The sandbox's way to its fork server: starts it, asks it for children and has them killed."""

import asyncio
import contextlib
import os
import socket
import subprocess
from collections import deque
from typing import NamedTuple

from tasks import python
from tasks.sandbox.fork_server import ENDED, FORK, KILL, MESSAGE, READY

DEVICES = "QULEDGER_DEVICES"
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", DEVICES)
"""All that the children see of this process's environment."""

ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL", "VECLIB", "NUMEXPR", "RAYON")}
ONE_THREAD["QISKIT_IN_PARALLEL"] = "TRUE"  # so that Qiskit starts no threads or processes of its own

END_SECONDS = 5.0
"""The longest wait for the end of a process that has been told to end."""


class ChildEnd(NamedTuple):
    """How a child ended; `status` is that of `wait`, None if the fork server ended first."""

    status: int | None
    cpu_seconds: float


class ForkServerClient:
    """One fork server as seen from here; it never comes back once it is lost.

    Args:
        preload: modules that it imports.
        needs: modules beyond those; it loads the backends that need just them.
    """

    def __init__(self, resolver: str, preload: tuple[str, ...], needs: tuple[str, ...] = ()) -> None:
        self._control, theirs = socket.socketpair()
        self._control.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                python.command("tasks.sandbox.fork_server", str(theirs.fileno()), resolver, ",".join(needs), *preload),
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

    def fork(self, number: int) -> tuple[socket.socket, "asyncio.Future[ChildEnd]"]:
        """Ask for a child; return the channel to it and what will say how it ended."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        end = self._ends[number] = self._loop.create_future()
        # Whatever keeps the other end open, nothing more is to come once the child has ended.
        end.add_done_callback(lambda _: _shut(ours))
        self._post(MESSAGE.pack(FORK, number, 0, 0.0), theirs)
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


def _shut(channel: socket.socket) -> None:
    with contextlib.suppress(OSError):
        channel.shutdown(socket.SHUT_RD)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    if DEVICES in kept:
        kept[DEVICES] = os.path.abspath(os.path.expanduser(kept[DEVICES]))  # there is neither this folder nor a home
    # No home: libraries would look for settings and credentials in it.
    return kept | ONE_THREAD | {"HOME": "/nonexistent", "PYTHONPATH": python.path()}
