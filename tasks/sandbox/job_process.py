"""Child processes for untrusted jobs: each can be killed at any moment and has limits of its own.

    async with Sandbox() as sandbox:
        async with sandbox.job("fermions", document, job_id="20240101_120000-fermions-lab-a1b2c", limits=limits) as job:
            size = await job.call("validate")
            program = await job.call("compile", seed=7)
            result = await job.call("execute")

The children come from a fork server (`tasks.sandbox.fork_server`), which alone kills and waits for them; those of
backends that only interpret data may serve several jobs, one after the other (`tasks.sandbox.child_pool`). Job
documents are not trusted, nor are the answers that come back. Walls keep a child from all that its backend has not
said that it needs, where the kernel has them (`tasks.sandbox.walls`). On macOS there are none, and no limit of memory.
"""

import asyncio
import contextlib
import math
import socket
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Literal, Self

from models.errors import BackendFailed, ChildDied, JobRejected, LimitExceeded
from tasks.sandbox.child_pool import MAX_JOBS, ChildPool, PoolKey
from tasks.sandbox.fork_client import Child, ForkServers, ServerKind, receive_part
from tasks.sandbox.protocol import (
    MAX_HEADER,
    PREFIX,
    BadAnswer,
    Words,
    clean,
    pack,
    raise_error,
    read_answer,
    read_header,
)
from tasks.sandbox.rlimits import MEGABYTE, Limits
from tasks.sandbox.walls import ALL, hide_memory

PRELOADED = ("numpy", "scipy.linalg", "scipy.special", "tasks.backends.registry")

CHECK = ServerKind(needs=("check",))
"""A child that has checked a result is kept for the next one, and for nothing else."""

PARSED = 16
"""So many times its own size a JSON text may take in memory once it is read."""

Step = Literal["validate", "compile", "execute", "describe", "check"]
_BODY: dict[str, str] = {"compile": "program", "execute": "document", "describe": "text"}


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
                job so far), `max_rss_mb` (the child so far), `versions`, `backend_config_sha256` and
                `calibration_sha256`. `describe` answers what the result stands on: `text`, and its hashes.
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
            self._child = child = self._child or await self._sandbox.child(self._job, self._limits, self._kind)
            started = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(self._wall_left):
                    header, body = await self._exchange(child.channel, step, seed)
            except TimeoutError:
                raise LimitExceeded(f"the job took more than {self._limits.wall_seconds:g} s", "wall") from None
            except (EOFError, ConnectionError):
                (await child.killed()).explain(self._limits, child.cpu_seconds)
            self._wall_left = max(0.001, self._wall_left - asyncio.get_running_loop().time() + started)
            if "error" in header:
                raise_error(header, self._limits, self._job["job_id"])
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
            header_size, body_size = PREFIX.unpack(await receive_part(channel, PREFIX.size))
            if header_size > MAX_HEADER or body_size > self._job["answer_bytes"]:
                raise BadAnswer  # our own part of the child says so before it sends anything of that size
            header = read_header(await receive_part(channel, header_size))
            if "progress" not in header:
                return header, await receive_part(channel, body_size)
            self.progress = words.progress(header, header_size + body_size, loop.time())


class Sandbox:
    """Runs jobs in child processes. It belongs to one event loop.

    A fork server starts with the first job. Backends that need modules of their own, which take seconds to import, get
    a fork server of their own with their first job: the others neither wait for those modules nor carry them.

    Args:
        resolver: `module:function` that returns the backend of a name. The module may say more: `names()` which of
            ours are loaded beforehand, `loaded()` which of other packages, `needs(name)` which modules a backend alone
            needs, `access(name)` what its jobs may reach, `ours(name)` whether it is of this package, and
            `lasting(name)` whether a process may serve several of its jobs.
        preload: modules that the fork server imports, so that no child has to.
        hidden: files and folders that no job may read, though they lie beside what it imports.
        walls: the walls that may be put up.
    """

    def __init__(
        self,
        *,
        resolver: str = "tasks.backends.registry:load_here",
        preload: tuple[str, ...] = PRELOADED,
        hidden: tuple[str, ...] = (),
        walls: tuple[str, ...] = ALL,
    ) -> None:
        self._resolver = resolver
        self.fork_servers = ForkServers(resolver, preload, hidden, walls)
        self.kept = ChildPool()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the fork servers with all of their children; there will be no more."""
        self.kept.close()
        await self.fork_servers.close()

    @contextlib.asynccontextmanager
    async def job(
        self, backend: str, document: bytes, *, job_id: str, limits: Limits | None = None
    ) -> AsyncIterator[JobProcess]:
        """Yield the process of one job; when the block is left, by whatever way, the process is gone, or idle."""
        limits = limits or Limits()
        job, kind = self.told(backend, job_id, limits)
        process = JobProcess(self, job, document, limits, kind)
        try:
            yield process
        finally:
            await process.close()

    def told(self, backend: str, job_id: str, limits: Limits) -> tuple[dict[str, Any], PoolKey | None]:
        """Return what a child is told of a job, and which kept children fit it; None if none does."""
        kind = None
        if self.lasts(backend):
            kind = PoolKey(self.fork_servers.kind(backend), limits.cpu_seconds, limits.memory_mb)
        job = {
            "backend": backend,
            "job_id": job_id,
            "resolver": self._resolver,
            "cpu_seconds": limits.cpu_seconds,
            "memory_bytes": int(limits.memory_mb * MEGABYTE),
            "answer_bytes": int(limits.answer_mb * MEGABYTE),
            "is_ours": bool(self.fork_servers.ask("ours", backend, default=False)),
            "jobs": 1 if kind is None else MAX_JOBS,
        }
        return job, kind

    def lasts(self, backend: str) -> bool:
        """Say whether a child may serve several jobs of this backend."""
        return bool(self.fork_servers.ask("lasting", backend, default=False))

    async def child(self, job: dict[str, Any], limits: Limits, kind: PoolKey | None) -> Child:
        """Return a child for a job, one that was kept if there is one.

        Raises:
            SandboxError: the sandbox has been closed, or the system has no room for a process.
        """
        child = self.kept.take(kind) if kind is not None else None
        # A child for many jobs, with the limits of each, is one that starts no processes.
        child = child or await self.fork_servers.fork(job["backend"], limits if job["jobs"] == 1 else None)
        child.jobs += 1
        return child

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
            PoolKey(CHECK, limits.cpu_seconds, memory_mb),
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


class SharedSandbox:
    """One sandbox for all that run in a process at the same time: made for the first borrower, ended with the last.

    A worker or a drain borrows it for all of its life, and each job while it is under way. Whoever has one has secrets,
    which no job may read out of its memory or environment.

    Args:
        hidden: files and folders that no job may read (see `Sandbox`).
    """

    def __init__(self, hidden: tuple[str, ...] = ()) -> None:
        self._hidden = hidden
        self._sandbox: Sandbox | None = None
        self._borrowers = 0

    def for_checks(self, *, many: bool = False) -> Sandbox:
        """Return one apart that only validates; where it is not for many, its fork server is soon there."""
        hide_memory()
        preload = PRELOADED if many else ()
        return Sandbox(resolver="tasks.backends.checks:load", preload=preload, hidden=self._hidden)

    @contextlib.asynccontextmanager
    async def borrowed(self) -> AsyncIterator[Sandbox]:
        """Lend the sandbox while the block runs."""
        hide_memory()
        sandbox = self._sandbox = self._sandbox or Sandbox(hidden=self._hidden)
        self._borrowers += 1
        try:
            yield sandbox
        finally:
            self._borrowers -= 1
            if not self._borrowers:
                self._sandbox = None  # whoever comes while it ends gets a new one
                await sandbox.close()
