"""Child processes for untrusted jobs: each can be killed at any moment and has limits of its own.

    async with Sandbox() as sandbox:
        async with sandbox.job("fermions", document, job_id="20240101_120000-fermions-lab-a1b2c", limits=limits) as job:
            size = await job.call("validate")
            program = await job.call("compile", seed=7)
            result = await job.call("execute")

The children come from a fork server (`tasks.sandbox.fork_server`), which alone kills and waits for them; those of
backends that only interpret data may serve several jobs, one after the other (`tasks.sandbox.child_pool`). Job
documents are not trusted, nor are the answers that come back; a backend is code that the operator has installed:
nothing here keeps it from reading what this user may read or from using the network. On macOS there is no
limit of memory.
"""

import asyncio
import contextlib
import importlib
import itertools
import logging
import math
import os
import signal
import socket
from collections import defaultdict
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Literal, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field

from models.errors import BackendFailed, ChildDied, Fault, JobRejected, LimitExceeded, SandboxError
from tasks.sandbox.answers import BadAnswer, Words, clean, read_answer, read_count, read_header
from tasks.sandbox.child import MAX_FAULTS, MAX_HEADER, MAX_TRACEBACK, PREFIX, pack
from tasks.sandbox.child_pool import MAX_JOBS, Child, ChildPool, PoolKey
from tasks.sandbox.fork_client import ChildEnd, ForkServerClient
from tasks.sandbox.fork_server import NOT_FORKED
from tasks.sandbox.rlimits import MEGABYTE

log = logging.getLogger("quledger.sandbox")

PRELOADED = ("numpy", "scipy.linalg", "scipy.special", "tasks.backends.registry")
START_SECONDS = 60.0

PARSED = 16
"""So many times its own size a JSON text may take in memory once it is read."""

Step = Literal["validate", "compile", "execute", "check"]
_BODY: dict[str, str] = {"compile": "program", "execute": "document"}
CHUNK = 256 * 1024
"""Bytes that are received at once."""


class Limits(BaseModel):
    """What one job may use in its child process.

    Attributes:
        cpu_seconds: CPU time; rounded up to whole seconds, since the kernel counts those.
        wall_seconds: time in which the job is at work, all its calls together.
        memory_mb: memory beyond what the fork server has loaded, in megabytes of 10^6 bytes.
        answer_mb: size of the largest answer, in the same megabytes.
    """

    model_config = ConfigDict(frozen=True)

    cpu_seconds: float = Field(default=40.0, gt=0)
    wall_seconds: float = Field(default=50.0, gt=0)
    memory_mb: float = Field(default=2048.0, gt=0)
    answer_mb: float = Field(default=512.0, gt=0)


class JobProcess:
    """The child process of one job; it is forked, or one that was kept is taken, at the first call. One call at a time.

    Attributes:
        progress: how many experiments of how many have been executed, as far as the child has said.
    """

    def __init__(  # noqa: PLR0913 - what a job is and may use
        self,
        sandbox: "Sandbox",
        job: dict[str, Any],
        document: bytes,
        limits: Limits,
        kind: PoolKey | None,
        more: bytes = b"",
    ) -> None:
        self._sandbox, self._job, self._document, self._limits, self._kind = sandbox, job, document, limits, kind
        self._more = more
        self._wall_left = limits.wall_seconds
        # A stranger's result is judged by what the job asked for.
        self._asked_for = b"" if job["is_ours"] else document
        self._experiments: int | None = None
        self._child: Child | None = None
        self._is_introduced = self._is_over = self._may_stay = False
        self._used = 0.0
        self.progress = (0, 0)

    async def call(self, step: Step, *, seed: int | None = None) -> dict[str, Any]:
        """Run one step, and first those before it that have not been run.

        Args:
            step: `validate` answers `experiments` and `shots` (counts) and `cost` (the backend's prediction, or
                None). `compile` answers `program` (JSON as bytes), `program_sha256` and `seed`. `execute` answers
                `document` (the contract's result document as bytes), `seconds` (the run alone), `cpu_seconds` (the
                job so far), `max_rss_mb` (the child so far), `versions` and `backend_config_sha256`.
            seed: for the compilation; needed by the first call that compiles.

        Raises:
            JobRejected: the document has faults.
            BackendFailed: the backend raised something else, or gave what no backend may give.
            LimitExceeded: the job needs more than its limits. The child is gone.
            ChildDied: the child or the fork server ended without an answer. The child is gone.
        """
        if self._is_over:
            raise ChildDied("the job's process has ended")
        self._may_stay = False
        try:
            self._child = child = self._child or await self._found()
            started = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(self._wall_left):
                    header, body = await self._exchange(child.channel, step, seed)
            except TimeoutError:
                raise LimitExceeded(f"the job took more than {self._limits.wall_seconds:g} s", "wall") from None
            except (EOFError, ConnectionError):
                self._explain(await child.killed(), child.cpu_seconds)
            self._wall_left = max(0.001, self._wall_left - asyncio.get_running_loop().time() + started)
            if "error" in header:
                self._raise(header)
            answer = read_answer(step, header)
            self._experiments = answer.get("experiments", self._experiments)
            if step == "execute" and answer["is_small"]:
                self._may_stay, self._used = True, answer["cpu_seconds"]
            return answer | ({_BODY[step]: body} if step in _BODY else {})
        except BadAnswer:
            await self.close()
            raise
        except (JobRejected, BackendFailed):
            raise
        except BaseException:
            await self.close()
            raise

    async def check(self, result: bytes) -> None:
        """Check the result document of a stranger's backend where none of its code has been; ours checks its own.

        Raises:
            BackendFailed: it is not what a result has to be.
            ChildDied: the process that checks it ended without an answer.
        """
        if self._job["is_ours"]:
            return
        if self._experiments is None:  # an earlier attempt has validated it
            await self.call("validate")
        if self._experiments is not None:
            await self._sandbox.check(result, self._asked_for, self._experiments, self._limits)

    async def close(self) -> None:
        """Let the child go if it is done and may be kept; else kill it with all of its session, and wait for that."""
        self._is_over = True
        child, self._child = self._child, None
        if child is None:
            return
        if self._may_stay and self._kind is not None:
            child.cpu_seconds += self._used
            if self._sandbox.kept.keep(self._kind, child):
                return
        try:
            await child.killed()
        finally:
            child.channel.close()

    async def _found(self) -> Child:
        child = self._sandbox.kept.take(self._kind) if self._kind is not None else None
        child = child or await self._forked()
        child.jobs += 1
        return child

    async def _forked(self) -> Child:
        number = next(self._sandbox.numbers)
        try:
            server = await self._sandbox.server(self._job["backend"])
            child = Child(server, number)
            if server.is_lost:  # it had died unseen, which shows only when it is spoken to
                child.channel.close()
                child = Child(await self._sandbox.server(self._job["backend"]), number)
        except OSError as error:
            raise ChildDied(f"the system has no room for the job's process ({error.strerror})") from None
        return child

    async def _exchange(self, channel: socket.socket, step: Step, seed: int | None) -> tuple[dict[str, Any], bytes]:
        loop = asyncio.get_running_loop()
        request: dict[str, Any] = {"step": step, "seed": seed}
        bodies: tuple[bytes, ...] = ()
        if not self._is_introduced:
            self._is_introduced, bodies = True, (self._document, self._more)
            request["job"], self._document, self._more = self._job, b"", b""
        await loop.sock_sendall(channel, pack(request, sum(map(len, bodies))))
        for body in filter(None, bodies):
            await loop.sock_sendall(channel, body)
        words = Words(loop.time())
        while True:
            header_size, body_size = PREFIX.unpack(await _receive(channel, PREFIX.size))
            if header_size > MAX_HEADER or body_size > self._job["answer_bytes"]:
                raise BadAnswer  # our own part of the child says so before it sends anything of that size
            header = read_header(await _receive(channel, header_size))
            if "progress" not in header:
                return header, await _receive(channel, body_size)
            self.progress = words.progress(header, header_size + body_size, loop.time())

    def _explain(self, end: ChildEnd, before: float) -> NoReturn:
        if end.status is None:
            raise ChildDied("the job's process was lost together with the fork server")
        if end.status == NOT_FORKED:
            raise ChildDied("the system had no process for the job")
        code = os.waitstatus_to_exitcode(end.status)
        seconds = math.ceil(self._limits.cpu_seconds)
        if code == -signal.SIGXCPU or (code < 0 and end.cpu_seconds - before >= seconds):
            raise LimitExceeded(f"the job used more than {seconds} s of CPU time", "cpu")
        if code == -signal.SIGKILL:
            raise ChildDied("the job's process was killed; the machine may be short of memory")
        how = f"by a signal: {signal.strsignal(-code)}" if code < 0 else f"by itself, with status {code}"
        raise ChildDied(f"the job's process ended {how}")

    def _raise(self, header: dict[str, Any]) -> NoReturn:
        """Raise what the child answered instead of a result."""
        match header:
            case {"error": "memory"}:
                raise LimitExceeded(f"the job needed more than {self._limits.memory_mb:g} MB of memory", "memory")
            case {"error": "answer"}:
                raise LimitExceeded(f"the job's answer is larger than {self._limits.answer_mb:g} MB", "answer")
            case {"error": "rejected", "faults": list(faults)}:
                with contextlib.suppress(ValueError):
                    told = [Fault.model_validate(fault) for fault in faults[:MAX_FAULTS]]
                    raise JobRejected(*told, more=read_count(header.get("more", 0)))
            case {"error": "failed", "kind": str(kind), "message": str(message), "retryable": bool(retryable)}:
                trace = str(header.get("traceback", ""))[:MAX_TRACEBACK]
                log.debug("job %s: the backend failed\n%s", self._job["job_id"], trace)
                raise BackendFailed(clean(kind), clean(message), retryable=retryable)
        raise BadAnswer


async def _receive(channel: socket.socket, size: int) -> bytes:
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


class Sandbox:
    """Runs jobs in child processes. It belongs to one event loop.

    A fork server starts with the first job. Backends that need modules of their own, which take seconds to import, get
    a fork server of their own with their first job: the others neither wait for those modules nor carry them.

    Args:
        resolver: `module:function` that returns the backend of a name; the module's `names()`, if it has one, says
            which backends are loaded beforehand, its `needs(name)` which modules a backend alone needs, and its
            `lasting(name)` whether a process may serve several of its jobs.
        preload: modules that the fork server imports, so that no child has to.
    """

    def __init__(self, *, resolver: str = "tasks.backends.registry:load", preload: tuple[str, ...] = PRELOADED) -> None:
        self._resolver, self._preload = resolver, preload
        self._starting: defaultdict[tuple[str, ...], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._servers: dict[tuple[str, ...], ForkServerClient] = {}
        self._is_closed = False
        self.kept = ChildPool()
        self.numbers = itertools.count(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the fork servers with all of their children; there will be no more."""
        self._is_closed = True
        self.kept.close()
        for server in self._servers.values():
            await server.end()

    @contextlib.asynccontextmanager
    async def job(
        self, backend: str, document: bytes, *, job_id: str, limits: Limits | None = None
    ) -> AsyncIterator[JobProcess]:
        """Yield the process of one job; when the block is left, by whatever way, the process is gone, or idle."""
        limits = limits or Limits()
        kind = None
        if self._asked("lasting", backend, default=False):
            kind = PoolKey(self._needs(backend), limits.cpu_seconds, limits.memory_mb)
        job = {
            "backend": backend,
            "job_id": job_id,
            "resolver": self._resolver,
            "cpu_seconds": limits.cpu_seconds,
            "memory_bytes": int(limits.memory_mb * MEGABYTE),
            "answer_bytes": int(limits.answer_mb * MEGABYTE),
            "is_ours": bool(self._asked("ours", backend, default=False)),
            "jobs": 1 if kind is None else MAX_JOBS,
        }
        process = JobProcess(self, job, document, limits, kind)
        try:
            yield process
        finally:
            await process.close()

    async def check(self, result: bytes, document: bytes, experiments: int, limits: Limits) -> None:
        """Check a result in a process that the backend which made it has never been in.

        Args:
            result: the result document.
            document: the job document.
            experiments: how many results there have to be.
            limits: those of the job; what it takes to read a large result comes on top.

        Raises:
            BackendFailed: the result is not what a result has to be.
            ChildDied: the process ended without an answer.
        """
        size = len(result) + len(document)
        memory_mb = limits.memory_mb + math.ceil(size / MEGABYTE) * PARSED
        checker = JobProcess(
            self,
            {
                "backend": "",
                "job_id": "",
                "is_ours": True,
                "experiments": experiments,
                "document_bytes": len(document),
                "cpu_seconds": limits.cpu_seconds,
                "memory_bytes": int(memory_mb * MEGABYTE),
                "answer_bytes": MEGABYTE,
                "jobs": MAX_JOBS,
            },
            document,
            limits,
            PoolKey(("check",), limits.cpu_seconds, memory_mb),
            result,
        )
        try:
            fault = (await checker.call("check"))["fault"]
        except LimitExceeded as error:
            raise BackendFailed("BadResult", f"its result cannot be checked: {error}") from None
        finally:
            await checker.close()
        if fault is not None:
            raise BackendFailed("BadResult", clean(fault))

    async def server(self, backend: str = "") -> ForkServerClient:
        """Return a fork server that is ready: for jobs of this backend, or of those that need no modules of their own.

        Raises:
            SandboxError: the sandbox has been closed.
            ChildDied: the fork server does not start.
        """
        needs = self._needs(backend)
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

    def _needs(self, backend: str) -> tuple[str, ...]:
        """Return the modules that this backend alone needs."""
        return tuple(self._asked("needs", backend, default=()))

    def _asked(self, what: str, backend: str, *, default: Any) -> Any:
        """Return what the resolver's module says of a backend, if it says anything."""
        registry = importlib.import_module(self._resolver.partition(":")[0])
        function = getattr(registry, what, None)
        return function(backend) if callable(function) else default


class SharedSandbox:
    """One sandbox for all that run in a process at the same time: made for the first borrower, ended with the last.

    A worker or a drain borrows it for all of its life, and each job while it is under way.
    """

    def __init__(self) -> None:
        self._sandbox: Sandbox | None = None
        self._borrowers = 0

    @contextlib.asynccontextmanager
    async def borrowed(self) -> AsyncIterator[Sandbox]:
        """Lend the sandbox while the block runs."""
        sandbox = self._sandbox = self._sandbox or Sandbox()
        self._borrowers += 1
        try:
            yield sandbox
        finally:
            self._borrowers -= 1
            if not self._borrowers:
                self._sandbox = None  # whoever comes while it ends gets a new one
                await sandbox.close()
