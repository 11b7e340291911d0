"""How one drain follows the other in a process that outlives them: jobs under way go on, and nobody waits for them."""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any


class JobsUnderWay:
    """The jobs that a process runs. One that has ended holds no place any more, only its task until Prefect knows."""

    def __init__(self) -> None:
        self._under_way: dict[asyncio.Task[None], asyncio.Event] = {}

    def __len__(self) -> int:
        """Return how many have a task."""
        return len(self._under_way)

    def add(self, task: asyncio.Task[None], ended: asyncio.Event) -> None:
        """Add a job until its task is done; `ended` is set before that, when the log knows how the job has ended."""
        self._under_way[task] = ended
        task.add_done_callback(self._under_way.pop)

    def tasks(self) -> list[asyncio.Task[None]]:
        """Return the tasks of all."""
        return list(self._under_way)

    async def stop(self) -> None:
        """Cancel all, which gives back the jobs that have not ended."""
        tasks = self.tasks()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def awaited(self) -> list[asyncio.Event]:
        """Return what will say so when one of those ends that have not."""
        return [ended for ended in self._under_way.values() if not ended.is_set()]


_current: contextvars.ContextVar["Handover"] = contextvars.ContextVar("handover")


class Handover:
    """What the drains of one process share: the jobs that run in it, and the word that the next one is here.

    A drain that ends leaves its jobs to the process; they count against the places of the next one until they end.

    Attributes:
        jobs: what runs, whichever drain began it.
    """

    def __init__(self) -> None:
        self.jobs = JobsUnderWay()
        self.wanted = asyncio.Event()
        # Jobs are no part of the run that began them: neither its client nor its context may end under them.
        self._context = contextvars.copy_context()

    @staticmethod
    def current() -> "Handover | None":
        """Return the handover of this process; None where it ends with its drain."""
        return _current.get(None)

    def use(self) -> None:
        """Let the drains that are begun from here on follow one another."""
        _current.set(self)

    def begin(self, job: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a job that goes on when the drain that begins it has ended."""
        return asyncio.create_task(job, name=name, context=self._context.copy())

    async def close(self, seconds: float) -> None:
        """Wait so long for what still runs; then it is cancelled, which gives its jobs back."""
        if tasks := self.jobs.tasks():
            await asyncio.wait(tasks, timeout=seconds)
        await self.jobs.stop()
