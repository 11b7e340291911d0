"""Many documents of one backend, validated in one child after the other, for backends whose children are kept.

A document that kills or blocks the child is the one that was not answered: it alone bears the blame, and those behind
it go on in another child.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from models.errors import BackendFailed, JobRejected, LimitExceeded, SandboxError
from tasks.sandbox.child_pool import PoolKey
from tasks.sandbox.fork_client import CHUNK, Child
from tasks.sandbox.job_process import Sandbox
from tasks.sandbox.protocol import (
    MAX_HEADER,
    PREFIX,
    TOLD_ALONE,
    BadAnswer,
    pack,
    raise_error,
    read_answer,
    read_header,
)
from tasks.sandbox.rlimits import Limits

Validated = dict[str, Any] | JobRejected | SandboxError
"""What `validate` answers, or why there is no such answer."""


async def validate(sandbox: Sandbox, backend: str, document: bytes, limits: Limits) -> Validated:
    """Validate one document in a child of its own."""
    try:
        async with sandbox.job(backend, document, job_id="", limits=limits) as process:
            return await process.call("validate")
    except (JobRejected, SandboxError) as error:
        return error


async def validate_all(sandbox: Sandbox, backend: str, documents: Sequence[bytes], limits: Limits) -> list[Validated]:
    """Validate documents of one backend; an answer for each, in their order.

    Args:
        limits: of each of them.
    """
    job, kind = sandbox.told(backend, "", limits)
    if kind is None:
        return [await validate(sandbox, backend, document, limits) for document in documents]
    answers: list[Validated] = []
    while len(answers) < len(documents):
        batch = _Batch(sandbox, job, limits, kind)
        try:
            await batch.run(documents[len(answers) :])
        except SandboxError as error:
            # Without a child there was nobody whom a document could harm.
            harmed = [error] * (1 if batch.has_begun else len(documents) - len(answers) - len(batch.answers))
            answers += [*batch.answers, *harmed]
        else:
            answers += batch.answers
    return [
        await validate(sandbox, backend, document, limits) if answer == TOLD_ALONE else answer
        for document, answer in zip(documents, answers, strict=True)
    ]


class _Batch:
    """One exchange with one child.

    Attributes:
        answers: so far; the next document is the one that the child is at.
        has_begun: whether there is a child.
    """

    def __init__(self, sandbox: Sandbox, job: dict[str, Any], limits: Limits, kind: PoolKey) -> None:
        self._sandbox, self._job, self._limits, self._kind = sandbox, job, limits, kind
        self._is_good = True
        self.answers: list[Validated] = []
        self.has_begun = False

    async def run(self, documents: Sequence[bytes]) -> None:
        """Have documents validated.

        Raises:
            SandboxError: the child did not come through, and was ended.
        """
        child = await self._sandbox.child(self._job, self._limits, self._kind)
        self.has_begun = True
        is_kept = False
        try:
            is_small = await self._exchange(child, documents)
            is_kept = is_small and self._is_good and self._sandbox.kept.keep(self._kind, child)
        finally:
            if not is_kept:
                try:
                    await child.killed()
                finally:
                    child.channel.close()

    async def _exchange(self, child: Child, documents: Sequence[bytes]) -> bool:
        """Send them and read the answers; return whether the child has stayed small."""
        job = self._job | {"documents": [len(document) for document in documents]}
        request = pack({"job": job, "step": "batch", "seed": None}, sum(job["documents"]))
        loop = asyncio.get_running_loop()
        reader = _Reader(child.channel)
        try:
            async with asyncio.timeout(self._limits.wall_seconds) as patience:
                # A child that answers before it has read all would wait for us, and we for it: it reads all first.
                await loop.sock_sendall(child.channel, request + b"".join(documents))
                for _ in documents:
                    self.answers.append(self._read(await reader.header()))
                    patience.reschedule(loop.time() + self._limits.wall_seconds)
                done = read_answer("batch", await reader.header())
        except TimeoutError:
            raise LimitExceeded(f"the job took more than {self._limits.wall_seconds:g} s", "wall") from None
        except (EOFError, ConnectionError):
            (await child.killed()).explain(self._limits, child.cpu_seconds)
        child.cpu_seconds += done["cpu_seconds"]
        return bool(done["is_small"])

    def _read(self, header: dict[str, Any]) -> Validated:
        if header == TOLD_ALONE:
            return header
        if "error" not in header:
            return read_answer("validate", header)
        try:
            raise_error(header, self._limits, "")
        except BadAnswer:
            raise
        except (LimitExceeded, BackendFailed) as error:
            self._is_good = False  # who knows what it has left behind
            return error
        except JobRejected as error:
            return error


class _Reader:
    """Reads messages that have no body, many of them at once where they are there."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel, self._read = channel, bytearray()

    async def header(self) -> dict[str, Any]:
        """Return the header of the next message.

        Raises:
            EOFError: the other side is gone.
            BadAnswer: it is none.
        """
        while True:
            if len(self._read) >= PREFIX.size:
                header_size, body_size = PREFIX.unpack_from(self._read)
                if header_size > MAX_HEADER or body_size:
                    raise BadAnswer
                end = PREFIX.size + header_size
                if len(self._read) >= end:
                    text = bytes(self._read[PREFIX.size : end])
                    del self._read[:end]
                    return read_header(text)
            part = await asyncio.get_running_loop().sock_recv(self._channel, CHUNK)
            if not part:
                raise EOFError
            self._read += part
            await asyncio.sleep(0)  # what is there is received at once: the others shall have a turn
