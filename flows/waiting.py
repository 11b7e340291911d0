"""Two ways to wait for work that is done in a thread."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

from models.errors import QuledgerError

_LOG = logging.getLogger("quledger.drain")


async def patiently(work: Callable[[], None]) -> None:
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
async def repeating(work: Callable[[], None], seconds: float) -> AsyncIterator[None]:
    """Do the work again and again in a thread while the block runs; an error is reported and the work goes on."""

    async def repeat() -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await asyncio.to_thread(work)
            except Exception as error:  # noqa: BLE001 - it has to go on, whatever happened this time
                _LOG.warning("housekeeping_failed action=try_again: %s: %s", type(error).__name__, error)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
