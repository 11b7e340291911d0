"""One request at the front door: who asks, and a thread to answer in."""

import asyncio
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from deployments.api.calls import Calls
from models.identity.access import Caller

Answer = TypeVar("Answer")


class Door:
    """The calls, for the caller whom a token names.

    Args:
        token: as it was shown; None where none was.
    """

    def __init__(self, calls: Calls, token: str | None) -> None:
        self.calls, self._token = calls, token

    @property
    def has_token(self) -> bool:
        """Whether a token was shown, good or not."""
        return bool(self._token)

    async def caller(self) -> Caller:
        """Return who asks.

        Raises:
            NotSignedIn: the token is missing, unknown, expired or revoked.
            LimitReached: the caller has sent too many requests in this minute.
        """
        return await self.look(lambda _calls, caller: caller)

    async def ask(self, function: Callable[[Calls, Caller], Answer]) -> Answer:
        """Answer in a thread, for the caller."""

        def answer() -> Answer:
            return function(self.calls, self.calls.visits.caller(self._token))

        return await asyncio.to_thread(answer)

    async def look(self, function: Callable[[Calls, Caller], Answer]) -> Answer:
        """Answer for the caller what a short read of the log says: a few rows by their indexes."""
        return await self.calls.reads.run(lambda: function(self.calls, self.calls.visits.caller(self._token)))

    async def look_again(self, caller: Caller, function: Callable[[Calls, Caller], Answer]) -> Answer:
        """Answer the same for a caller who has waited; it is no request more.

        Raises:
            NotSignedIn: his token has ended meanwhile.
        """
        return await self.calls.reads.run(lambda: function(self.calls, self.calls.visits.again(caller)))

    async def run(self, function: Callable[[Calls], Answer]) -> Answer:
        """Answer in a thread, for a caller who is known already."""
        return await asyncio.to_thread(function, self.calls)


def bearer(request: Request) -> str | None:
    """Return the token in the header `Authorization`, None where there is none."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" and token else None


async def door_of(request: Request) -> Door:
    """Return the door for one request; its caller need not be asked for. As a coroutine it needs no thread."""
    return Door(request.app.state.calls, bearer(request))


_SCHEME = HTTPBearer(auto_error=False, description="A token, from `quledger token new` or the page of your account.")


async def door_with_token(
    request: Request, _described: Annotated[HTTPAuthorizationCredentials | None, Security(_SCHEME)]
) -> Door:
    """Return the same for a route that needs a token, which the OpenAPI document then says."""
    return await door_of(request)


AtDoor = Annotated[Door, Depends(door_with_token)]
AnyDoor = Annotated[Door, Depends(door_of)]
