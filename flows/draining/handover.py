"""How one drain follows the other in a process that outlives them: jobs under way go on, and nobody waits for them."""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any

_current: contextvars.ContextVar["Handover"] = contextvars.ContextVar("handover")


class Handover:
    """What the drains of one process share: the jobs that run in it, and the word that the next one is here.

    A drain that ends leaves its jobs to the process; they count against the places of the next one until they end.

    Attributes:
        jobs: what runs, whichever drain began it.
    """

    def __init__(self) -> None:
        self.jobs: set[asyncio.Task[None]] = set()
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
        if self.jobs:
            await asyncio.wait(self.jobs, timeout=seconds)
        for task in self.jobs:
            task.cancel()
        await asyncio.gather(*self.jobs, return_exceptions=True)
