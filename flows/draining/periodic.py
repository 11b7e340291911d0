"""Two ways to wait for work that is done in a thread."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from models.errors import QuledgerError

_LOG = logging.getLogger("quledger.drain")

MAX_PAUSE = 30.0
"""How long a drain waits at most, in seconds, before it tries a storage or a Prefect that fails again."""


async def retry_twice(work: Callable[[], None]) -> None:
    """Do the work in a thread; it is tried again a little later before its error is the caller's."""
    for pause in (0.5, 2.0):
        try:
            await asyncio.to_thread(work)
        except QuledgerError as error:
            _LOG.warning("housekeeping_failed action=try_again: %s", error)
            await asyncio.sleep(pause)
        else:
            return
    await asyncio.to_thread(work)


@contextlib.asynccontextmanager
async def run_periodically(what: str, work: Callable[[], Awaitable[object]], seconds: float) -> AsyncIterator[None]:
    """Do the work again and again while the block runs; an error is reported, and the pauses grow until it works."""

    async def repeat() -> None:
        failures = 0
        while True:
            await asyncio.sleep(min(seconds * 2**failures, max(seconds, MAX_PAUSE)))
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - it has to go on, whatever happened this time
                failures = min(failures + 1, 10)
                _LOG.warning("%s_failed action=try_again: %s: %s", what, type(error).__name__, error)
            else:
                failures = 0

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
