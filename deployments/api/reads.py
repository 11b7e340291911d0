"""Short reads of the log, without a thread where that is quicker.

Python runs one thread at a time: to hand a request to a thread and back costs more than to look up a token and a job in
a file on this machine. A database elsewhere has to be waited for, and so has a file that does not answer at once.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

SLOW_SECONDS = 0.1
"""A read that takes longer has kept all others waiting."""

REST_SECONDS = 10.0
"""So long the reads that follow have threads."""


class Reads:
    """Reads of the log by indexes. They belong to one event loop.

    Args:
        is_near: whether the database is a file on this machine.
    """

    def __init__(self, *, is_near: bool) -> None:
        self._threads_until = float("-inf") if is_near else float("inf")

    async def run(self, read: Callable[[], Answer]) -> Answer:
        """Return what a read returns."""
        began = time.monotonic()
        if began < self._threads_until:
            return await asyncio.to_thread(read)
        try:
            return read()
        finally:
            ended = time.monotonic()
            if ended - began > SLOW_SECONDS:
                self._threads_until = ended + REST_SECONDS
