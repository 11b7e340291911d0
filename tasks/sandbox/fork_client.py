"""The sandbox's way to its fork servers: starts them, asks them for children and has those killed."""

import asyncio
import contextlib
import importlib
import itertools
import math
import os
import signal
import socket
import subprocess
from collections import defaultdict, deque
from typing import Any, NamedTuple, NoReturn

from models.errors import ChildDied, LimitExceeded, SandboxError
from tasks import python
from tasks.sandbox.fork_server import ENDED, FORK, KILL, MESSAGE, NOT_FORKED, READY

DEVICES = "QULEDGER_DEVICES"
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", DEVICES)
"""All that the children see of this process's environment."""

ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL", "VECLIB", "NUMEXPR", "RAYON")}
ONE_THREAD["QISKIT_IN_PARALLEL"] = "TRUE"  # so that Qiskit starts no threads or processes of its own

CHUNK = 256 * 1024  # bytes that are received at once
START_SECONDS = 60.0
END_SECONDS = 5.0
"""The longest wait for the end of a process that has been told to end."""


class ChildEnd(NamedTuple):
    """How a child ended; `status` is that of `wait`, None if the fork server ended first."""

    status: int | None
    cpu_seconds: float

    def explain(self, cpu_limit: float, used_before: float) -> NoReturn:
        """Raise why the child ended without an answer.

        Args:
            cpu_limit: the most CPU time that its job might use, in seconds.
            used_before: CPU time of the jobs before that, in seconds.

        Raises:
            LimitExceeded: the job used more CPU time.
            ChildDied: it ended for any other reason.
        """
        if self.status is None:
            raise ChildDied("the job's process was lost together with the fork server")
        if self.status == NOT_FORKED:
            raise ChildDied("the system had no process for the job")
        code = os.waitstatus_to_exitcode(self.status)
        seconds = math.ceil(cpu_limit)
        if code == -signal.SIGXCPU or (code < 0 and self.cpu_seconds - used_before >= seconds):
            raise LimitExceeded(f"the job used more than {seconds} s of CPU time", "cpu")
        if code == -signal.SIGKILL:
            raise ChildDied("the job's process was killed; the machine may be short of memory")
        how = f"by a signal: {signal.strsignal(-code)}" if code < 0 else f"by itself, with status {code}"
        raise ChildDied(f"the job's process ended {how}")


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


class Child:
    """One child process and the way to it.

    Attributes:
        channel: what the job's messages go through.
        end: how it ended, once it has.
        jobs: how many it has been given.
        cpu_seconds: what the jobs that it has done used.
    """

    def __init__(self, server: ForkServerClient, number: int) -> None:
        self._server, self._number = server, number
        self.channel: socket.socket
        self.end: asyncio.Future[ChildEnd]
        self.channel, self.end = server.fork(number)
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


class ForkServers:
    """The fork servers of a sandbox, by the modules that they have loaded; each starts with the first job for it.

    Args:
        resolver: `module:function` that returns the backend of a name (see `Sandbox`).
        preload: modules that each of them imports.
    """

    def __init__(self, resolver: str, preload: tuple[str, ...]) -> None:
        self._resolver, self._preload = resolver, preload
        self._starting: defaultdict[tuple[str, ...], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._servers: dict[tuple[str, ...], ForkServerClient] = {}
        self._numbers = itertools.count(1)
        self._is_closed = False

    async def close(self) -> None:
        """End them with all of their children; there will be no more."""
        self._is_closed = True
        for server in self._servers.values():
            await server.end()

    async def fork(self, backend: str) -> Child:
        """Return a new child for a job of this backend.

        Raises:
            SandboxError: the sandbox has been closed.
            ChildDied: the system has no room for it, or the fork server does not start.
        """
        number = next(self._numbers)
        try:
            server = await self.get(backend)
            child = Child(server, number)
            if server.is_lost:  # it had died unseen, which shows only when it is spoken to
                child.channel.close()
                child = Child(await self.get(backend), number)
        except OSError as error:
            raise ChildDied(f"the system has no room for the job's process ({error.strerror})") from None
        return child

    async def get(self, backend: str = "") -> ForkServerClient:
        """Return a fork server that is ready: for jobs of this backend, or of those that need no modules of their own.

        Raises:
            SandboxError: the sandbox has been closed.
            ChildDied: the fork server does not start.
        """
        needs = self.needs(backend)
        async with self._starting[needs]:
            if self._is_closed:
                raise SandboxError("the sandbox has been closed")
            server = self._servers.get(needs)
            if server is not None and server.is_lost:
                await server.end()
                server = None
            if server is None:
                server = self._servers[needs] = ForkServerClient(self._resolver, self._preload, needs)
            if not server.ready.done():
                await asyncio.wait([server.ready], timeout=START_SECONDS)
            if server.is_lost or not server.ready.done():
                server.lose()
                raise ChildDied("the fork server does not start; its standard error says why")
            return server

    def needs(self, backend: str) -> tuple[str, ...]:
        """Return the modules that this backend alone needs."""
        return tuple(self.ask("needs", backend, default=()))

    def ask(self, what: str, backend: str, *, default: Any) -> Any:
        """Return what the resolver's module says of a backend, if it says anything."""
        registry = importlib.import_module(self._resolver.partition(":")[0])
        function = getattr(registry, what, None)
        return function(backend) if callable(function) else default


def _shut(channel: socket.socket) -> None:
    with contextlib.suppress(OSError):
        channel.shutdown(socket.SHUT_RD)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    if DEVICES in kept:
        kept[DEVICES] = os.path.abspath(os.path.expanduser(kept[DEVICES]))  # there is neither this folder nor a home
    # No home: libraries would look for settings and credentials in it.
    return kept | ONE_THREAD | {"HOME": "/nonexistent", "PYTHONPATH": python.path()}
