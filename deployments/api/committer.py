"""Submissions that come at the same time are appended in one transaction: a disk that is asked once serves them all."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Thing = TypeVar("Thing")
Answer = TypeVar("Answer")

MAX_GROUP = 1000


class Committer(Generic[Thing, Answer]):
    """Hands groups to a function that takes time, one group after another. It belongs to one event loop.

    Args:
        commit: returns one answer for each thing, in order; called in a thread. What it raises is raised to all.
    """

    def __init__(self, commit: Callable[[Sequence[Thing]], Sequence[Answer]]) -> None:
        self._commit = commit
        self._waiting: list[tuple[Sequence[Thing], asyncio.Future[Sequence[Answer]]]] = []
        self._working: asyncio.Task[None] | None = None

    async def put(self, things: Sequence[Thing]) -> Sequence[Answer]:
        """Have these things done together with what others put in meanwhile, and return their answers.

        A caller that goes away takes nothing back: what it has put in is done.
        """
        answered: asyncio.Future[Sequence[Answer]] = asyncio.get_running_loop().create_future()
        answered.add_done_callback(_looked_at)
        self._waiting.append((things, answered))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await asyncio.shield(answered)

    async def close(self) -> None:
        """Wait until all that was put in is done."""
        if self._working is not None:
            await self._working

    async def _work(self) -> None:
        while self._waiting:
            group = [self._waiting.pop(0)]
            size = len(group[0][0])
            while self._waiting and size + len(self._waiting[0][0]) <= MAX_GROUP:
                size += len(self._waiting[0][0])
                group.append(self._waiting.pop(0))
            things = [thing for each, _ in group for thing in each]
            try:
                answers = await asyncio.to_thread(self._commit, things)
            except Exception as error:  # noqa: BLE001 - it belongs to those who wait
                for _, answered in group:
                    if not answered.done():
                        answered.set_exception(error)
                continue
            start = 0
            for each, answered in group:
                if not answered.done():
                    answered.set_result(answers[start : start + len(each)])
                start += len(each)
        self._working = None


def _looked_at(answered: "asyncio.Future[Sequence[Answer]]") -> None:
    """Let an error pass whose caller has gone."""
    if not answered.cancelled():
        answered.exception()
