"""The way to the fork servers of a sandbox: they are started, asked for children, and told to kill those.

There is one for each kind of backend, so that each has the imports and walls that it needs.
"""

import asyncio
import contextlib
import importlib
import itertools
import json
import math
import os
import socket
import subprocess
from collections import defaultdict, deque
from typing import Any, NamedTuple

from models.backend import Access
from models.errors import ChildDied, SandboxError
from tasks import python
from tasks.sandbox.child_end import ChildEnd
from tasks.sandbox.fork_server import ENDED, FORK, KILL, MESSAGE, READY
from tasks.sandbox.rlimits import Limits
from tasks.sandbox.walls import ALL

START_SECONDS = 60.0

DEVICES = "QULEDGER_DEVICES"
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", DEVICES)
"""All that the children see of this process's environment."""

ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL", "VECLIB", "NUMEXPR", "RAYON")}
ONE_THREAD["QISKIT_IN_PARALLEL"] = "TRUE"  # so that Qiskit starts no threads or processes of its own

CHUNK = 256 * 1024  # bytes that are received at once
END_SECONDS = 5.0
"""The longest wait for the end of a process that has been told to end."""


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


class ServerKind(NamedTuple):
    """Which backends a fork server has the children of.

    Attributes:
        needs: the modules that they need beyond those that all do.
        access: what their jobs may reach; None if they do not say.
        is_ours: whether they are of this package; no code of another one is ever imported beside them.
    """

    needs: tuple[str, ...] = ()
    access: Access | None = Access()
    is_ours: bool = True


class ForkServers:
    """The fork servers of a sandbox, one for each kind of backend; each starts with the first job for it.

    Args:
        resolver: `module:function` that returns the backend of a name (see `Sandbox`).
        preload: modules that each of them imports.
        hidden: files and folders that no job may read, though they lie beside what it imports.
        walls: the walls that may be put up (`tasks.sandbox.walls`).
    """

    def __init__(
        self, resolver: str, preload: tuple[str, ...], hidden: tuple[str, ...] = (), walls: tuple[str, ...] = ALL
    ) -> None:
        self._resolver, self._preload, self._hidden, self._walls = resolver, preload, hidden, walls
        self._starting: defaultdict[ServerKind, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._servers: dict[ServerKind, ForkServerClient] = {}
        self._numbers = itertools.count(1)
        self._is_closed = False

    async def close(self) -> None:
        """End them with all of their children; there will be no more."""
        self._is_closed = True
        for server in self._servers.values():
            await server.end()

    async def fork(self, backend: str, limits: Limits | None) -> Child:
        """Return a new child for a job of this backend.

        Args:
            limits: what it and the processes that it starts may use together, if that is to be watched.

        Raises:
            SandboxError: the sandbox has been closed.
            ChildDied: the system has no room for it, or the fork server does not start.
        """
        number = next(self._numbers)
        try:
            server = await self.get(backend)
            child = Child(server, number, limits)
            if server.is_lost:  # it had died unseen, which shows only when it is spoken to
                child.channel.close()
                child = Child(await self.get(backend), number, limits)
        except OSError as error:
            raise ChildDied(f"the system has no room for the job's process ({error.strerror})") from None
        return child

    async def get(self, backend: str = "") -> ForkServerClient:
        """Return a fork server that is ready: for jobs of this backend, or of ours that need no modules of their own.

        Raises:
            SandboxError: the sandbox has been closed.
            ChildDied: the fork server does not start.
        """
        kind = self.kind(backend)
        async with self._starting[kind]:
            if self._is_closed:
                raise SandboxError("the sandbox has been closed")
            server = self._servers.get(kind)
            if server is not None and server.is_lost:
                await server.end()
                server = None
            if server is None:
                server = self._servers[kind] = ForkServerClient(self._start(kind))
            if not server.ready.done():
                await asyncio.wait([server.ready], timeout=START_SECONDS)
            if server.is_lost or not server.ready.done():
                server.lose()
                raise ChildDied("the fork server does not start; its standard error says why")
            return server

    def kind(self, backend: str) -> ServerKind:
        """Return which fork server this backend belongs to; without a name, that of ours which need nothing."""
        if not backend:
            return ServerKind()
        return ServerKind(
            tuple(self.ask("needs", backend, default=())),
            self.ask("access", backend, default=None),
            self._is_ours(backend),
        )

    def _start(self, kind: ServerKind) -> dict[str, Any]:
        """Return what a fork server is told at its start."""
        # Of other packages nothing is imported here that nobody has asked for: what it declares is known no sooner.
        listed = "names" if kind.is_ours else "loaded"
        names: list[str] = getattr(self._registry(), listed, list)()
        return {
            "resolver": self._resolver,
            "modules": [*self._preload, *kind.needs],
            "backends": [name for name in names if self._is_ours(name) == kind.is_ours and self.kind(name) == kind],
            "access": kind.access and kind.access.model_dump(),
            "hidden": self._hidden,
            "walls": self._walls,
        }

    def _is_ours(self, backend: str) -> bool:
        return bool(self.ask("ours", backend, default=False))

    def ask(self, what: str, backend: str, *, default: Any) -> Any:
        """Return what the resolver's module says of a backend, if it says anything."""
        function = getattr(self._registry(), what, None)
        return function(backend) if callable(function) else default

    def _registry(self) -> Any:
        return importlib.import_module(self._resolver.partition(":")[0])


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
