"""Work that is done again and again while something else goes on."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from models.policy import MAX_PAUSE, back_off

_LOG = logging.getLogger("quledger.drain")


@contextlib.asynccontextmanager
async def run_periodically(
    what: str, work: Callable[[], Awaitable[object]], seconds: float, *, at_once: bool = False
) -> AsyncIterator[None]:
    """Do the work again and again while the block runs; an error is reported, and the pauses grow until it works.

    Args:
        at_once: begin with the work, not with a pause.
    """

    async def repeat() -> None:
        failures, pause = 0, 0.0 if at_once else seconds
        while True:
            await asyncio.sleep(pause)
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - it has to go on, whatever happened this time
                failures += 1
                _LOG.warning("%s_failed action=try_again: %s: %s", what, type(error).__name__, error)
            else:
                failures = 0
            pause = back_off(seconds, failures, max(seconds, MAX_PAUSE))

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
