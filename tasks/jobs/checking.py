"""Documents that are checked before they are handed in, many at once, in a process that lives long."""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from models.errors import Fault, JobRejected, LimitExceeded, SandboxError
from tasks.sandbox.batches import Validated, validate_all
from tasks.sandbox.rlimits import Limits
from tasks.services import Services

MAX_BATCH, MAX_BATCH_BYTES = 100, 1_000_000
"""So many documents, and bytes of them, one child gets at once; one that is larger goes alone."""


class Checked(NamedTuple):
    """A document without a fault: `cost` is the backend's prediction in its own published unit."""

    experiments: int
    shots: int
    cost: float | None


Verdict = Checked | JobRejected | SandboxError
"""What became of a check: the document is good, has faults (all of them listed), or could not be checked here."""


class _Wanted(NamedTuple):
    backend: str
    document: bytes
    verdict: "asyncio.Future[Verdict]"


class Checker:
    """Checks documents in child processes as their runs will; it belongs to one event loop.

        async with Checker(services) as checker:
            verdicts = await checker.check_all([("rydberg", document), ("fermions", other)])

    Whoever asks takes turns with all others who ask. What nobody waits for any more is not begun.

    Args:
        at_once: so many children are at work at one time.
        limits: of each check; those of a job if left out.
    """

    def __init__(self, services: Services, at_once: int = 0, limits: Limits | None = None) -> None:
        self._limits = services.limits if limits is None else limits
        self._sandbox = services.sandbox.for_checks(many=True)
        self._free = at_once or os.cpu_count() or 1
        self._callers: deque[deque[_Wanted]] = deque()
        self._at_work: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes; whoever still waits is told that nobody checks any more."""
        for wanted in [wanted for caller in self._callers for wanted in caller]:
            _answer(wanted, SandboxError("the sandbox has been closed"))
        self._callers.clear()
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)
        await self._sandbox.close()

    async def warm(self, backends: Iterable[str]) -> None:
        """Begin what the processes of these backends are forked from, one after another, before a document comes."""
        for backend in backends:
            with contextlib.suppress(SandboxError):  # the first document is told why
                await self._sandbox.fork_servers.get(backend)

    async def check(self, backend: str, document: bytes) -> Verdict:
        """Check one document."""
        (verdict,) = await self.check_all([(backend, document)])
        return verdict

    async def check_all(self, documents: Sequence[tuple[str, bytes]]) -> list[Verdict]:
        """Check documents, each of the backend that is named with it; a verdict for each, in their order."""
        loop = asyncio.get_running_loop()
        wanted = [_Wanted(backend, document, loop.create_future()) for backend, document in documents]
        self._callers.append(deque(sorted(wanted, key=lambda each: each.backend)))
        self._begin()
        # A caller that goes away cancels the futures, and with them what has not begun.
        return await asyncio.gather(*(each.verdict for each in wanted))

    def _begin(self) -> None:
        while self._free and (batch := self._next()):
            self._free -= 1
            task = asyncio.create_task(self._check(batch))
            self._at_work.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._at_work.discard(task)
        self._free += 1
        self._begin()

    def _next(self) -> list[_Wanted]:
        """Return what one child gets next: of the caller whose turn it is, and of others as far as there is room."""
        batch: list[_Wanted] = []
        callers, self._callers = self._callers, deque()
        served: deque[_Wanted] = deque()
        for caller in callers:
            while caller and caller[0].verdict.done():
                caller.popleft()
            was_empty = not batch
            self._take(caller, batch)
            if was_empty and batch:
                served = caller
            elif caller:
                self._callers.append(caller)
        if served:
            self._callers.append(served)
        return batch

    def _take(self, caller: deque[_Wanted], batch: list[_Wanted]) -> None:
        """Move what there is room for from a caller to a batch."""
        room = MAX_BATCH_BYTES - sum(len(each.document) for each in batch)
        while caller and (
            not batch
            or (
                len(batch) < MAX_BATCH
                and caller[0].backend == batch[0].backend
                and len(caller[0].document) <= room
                and self._sandbox.lasts(batch[0].backend)
            )
        ):
            wanted = caller.popleft()
            if not wanted.verdict.done():
                batch.append(wanted)
                room -= len(wanted.document)

    async def _check(self, batch: list[_Wanted]) -> None:
        try:
            documents = [wanted.document for wanted in batch]
            answers = await validate_all(self._sandbox, batch[0].backend, documents, self._limits)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told, and the next are checked
            answers = [SandboxError(f"the check failed with {type(error).__name__}")] * len(batch)
        except BaseException:
            for wanted in batch:
                _answer(wanted, SandboxError("the sandbox has been closed"))
            raise
        for wanted, answer in zip(batch, answers, strict=True):
            _answer(wanted, _verdict(answer))


def _answer(wanted: _Wanted, verdict: Verdict) -> None:
    if not wanted.verdict.done():
        wanted.verdict.set_result(verdict)


def _verdict(answer: Validated) -> Verdict:
    if isinstance(answer, dict):
        return Checked(answer["experiments"], answer["shots"], answer["cost"])
    if isinstance(answer, LimitExceeded):
        rejected = JobRejected(Fault(message=str(answer), code="cost"))
        rejected.__cause__ = answer
        return rejected
    return answer
