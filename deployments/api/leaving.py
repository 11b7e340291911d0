"""Work that stores nothing is ended when nobody waits for its answer any more."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

Made = TypeVar("Made")

GONE = 499
"""The status of an answer that nobody waits for, as other servers have it in their logs."""


async def while_there(request: Request, work: Coroutine[Any, Any, Made]) -> Made:
    """Return what comes of the work for a request whose body has been read.

    Raises:
        ClientDisconnect: its client has gone away before, and the work was ended.
    """
    working, leaving = asyncio.create_task(work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def answer_nobody(_request: Request, _error: Exception) -> Response:
    """Answer a request whose client has gone away, for the record alone."""
    return Response(status_code=GONE)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
