"""Work that is done again and again while something else goes on."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from models.policy import MAX_PAUSE, back_off

_LOG = logging.getLogger("quledger.drain")


@contextlib.asynccontextmanager
async def run_periodically(what: str, work: Callable[[], Awaitable[object]], seconds: float) -> AsyncIterator[None]:
    """Do the work again and again while the block runs; an error is reported, and the pauses grow until it works."""

    async def repeat() -> None:
        failures = 0
        while True:
            await asyncio.sleep(back_off(seconds, failures, max(seconds, MAX_PAUSE)))
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - it has to go on, whatever happened this time
                failures += 1
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
