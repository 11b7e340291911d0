"""Documents that are checked before they are handed in, many at once, in a process that lives long."""

import asyncio
import contextlib
import os
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import NamedTuple, Self

from models.errors import Fault, JobRejected, LimitExceeded, SandboxError
from tasks.sandbox.batches import Validated, validate_all
from tasks.sandbox.rlimits import Limits
from tasks.services import Services

MAX_BATCH, MAX_BATCH_BYTES = 100, 1_000_000
"""So many documents, and bytes of them, one child gets at once; one that is larger goes alone."""


SLOW_SECONDS, HELD_SECONDS = 5.0, 600.0
"""Whose documents took so long each holds one child at a time for a while: the others are left to everybody."""


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


_Calls = deque[deque[_Wanted]]
"""What was asked in each call, and has not begun."""


class Checker:
    """Checks documents in child processes as their runs will; it belongs to one event loop.

        async with Checker(services) as checker:
            verdicts = await checker.check_all([("rydberg", document), ("fermions", other)])

    Whoever asks takes turns with all others who ask, and so do the calls of each of them. Whose documents are slow
    holds one child at a time. What nobody waits for any more is not begun, and ended if it was.

    Args:
        at_once: so many children are at work at one time; by default one a core, and two at least.
        limits: of each check; those of a job if left out.
    """

    def __init__(self, services: Services, at_once: int = 0, limits: Limits | None = None) -> None:
        self._limits = services.limits if limits is None else limits
        self._sandbox = services.sandbox.for_checks(many=True)
        self._free = at_once or max(2, os.cpu_count() or 1)
        self._askers: dict[str, _Calls] = {}
        self._slow_until: dict[str, float] = {}
        self._at_work: set[asyncio.Task[None]] = set()
        self._working_for: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes; whoever still waits is told that nobody checks any more."""
        for wanted in [wanted for calls in self._askers.values() for call in calls for wanted in call]:
            _answer(wanted, SandboxError("the sandbox has been closed"))
        self._askers.clear()
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

    async def check_all(self, documents: Sequence[tuple[str, bytes]], asked_by: str = "") -> list[Verdict]:
        """Check documents, each of the backend that is named with it; a verdict for each, in their order.

        Args:
            asked_by: the user who takes his turn; empty for the laboratory itself, which is never held back.
        """
        loop = asyncio.get_running_loop()
        wanted = [_Wanted(backend, document, loop.create_future()) for backend, document in documents]
        self._askers.setdefault(asked_by, deque()).append(deque(sorted(wanted, key=lambda each: each.backend)))
        self._begin()
        # A caller that goes away cancels the futures, and with them what has not begun.
        return await asyncio.gather(*(each.verdict for each in wanted))

    def _begin(self) -> None:
        while self._free and (whose := self._whose_turn()) is not None:
            if not (batch := self._next(whose)):
                continue
            self._free -= 1
            self._working_for[whose] += 1
            task = asyncio.create_task(self._check(batch, whose))
            self._at_work.add(task)
            task.add_done_callback(partial(self._ended, whose))
            for wanted in batch:
                wanted.verdict.add_done_callback(partial(_end_unwanted, task, batch))

    def _ended(self, whose: str, task: "asyncio.Task[None]") -> None:
        self._at_work.discard(task)
        self._working_for.subtract([whose])
        self._working_for = +self._working_for  # nobody is kept who has none
        self._free += 1
        self._begin()

    def _whose_turn(self) -> str | None:
        """Return who has the fewest children at work, of these the one who waits for longest; None if nobody may."""
        now = time.monotonic()
        may = [
            whose
            for whose in self._askers
            if not (whose and self._working_for[whose] and now < self._slow_until.get(whose, now))
        ]
        return min(may, key=self._working_for.__getitem__, default=None)

    def _next(self, whose: str) -> list[_Wanted]:
        """Return what one child gets next: of the one whose turn it is, and of others as far as there is room."""
        batch: list[_Wanted] = []
        self._take_of(whose, batch)
        for other in [other for other in self._askers if other != whose] if batch else []:
            self._take_of(other, batch)
        if whose in self._askers:
            self._askers[whose] = self._askers.pop(whose)
        return batch

    def _take_of(self, whose: str, batch: list[_Wanted]) -> None:
        """Move what there is room for from the calls of one who asks; of these the first to give comes last then."""
        calls = self._askers[whose]
        waiting: _Calls = deque()
        served: _Calls = deque()
        for call in calls:
            while call and call[0].verdict.done():
                call.popleft()
            before = len(batch)
            self._take(call, batch)
            if call:
                (waiting if before or len(batch) == before else served).append(call)
        self._askers[whose] = waiting + served
        if not self._askers[whose]:
            del self._askers[whose]

    def _take(self, call: deque[_Wanted], batch: list[_Wanted]) -> None:
        """Move what there is room for from a call to a batch."""
        room = MAX_BATCH_BYTES - sum(len(each.document) for each in batch)
        while call and (
            not batch
            or (
                len(batch) < MAX_BATCH
                and call[0].backend == batch[0].backend
                and len(call[0].document) <= room
                and self._sandbox.lasts(batch[0].backend)
            )
        ):
            wanted = call.popleft()
            if not wanted.verdict.done():
                batch.append(wanted)
                room -= len(wanted.document)

    async def _check(self, batch: list[_Wanted], whose: str) -> None:
        begun = time.monotonic()
        try:
            documents = [wanted.document for wanted in batch]
            answers = await validate_all(self._sandbox, batch[0].backend, documents, self._limits)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told, and the next are checked
            answers = [SandboxError(f"the check failed with {type(error).__name__}")] * len(batch)
        except BaseException:
            for wanted in batch:
                _answer(wanted, SandboxError("the sandbox has been closed"))
            raise
        finally:
            if (now := time.monotonic()) - begun > SLOW_SECONDS * len(batch):
                self._slow_until = {each: until for each, until in self._slow_until.items() if until > now}
                self._slow_until[whose] = now + HELD_SECONDS
        for wanted, answer in zip(batch, answers, strict=True):
            _answer(wanted, _verdict(answer))


def _end_unwanted(task: "asyncio.Task[None]", batch: list[_Wanted], _: object) -> None:
    """End what is checked for nobody, and its process with it."""
    if all(wanted.verdict.cancelled() for wanted in batch):
        task.cancel()


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
