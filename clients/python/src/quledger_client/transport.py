"""Requests over HTTP, for threads and for event loops; all that decides anything is in the calls.

This file alone imports httpx, which takes longer than all else here: it is imported when the first request is sent.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

import httpx

from quledger_client.endpoint import Endpoint
from quledger_client.errors import QuledgerError
from quledger_client.wire import NOT_OURS, Answer, Call, Request, Step, T

_UNAUTHORIZED = 401
_KEPT_ALIVE = 20
_KEPT_SECONDS = 3.0
"""Servers close what is idle for longer, and what is sent at that moment is lost."""

MOST_HELD = 100
"""Requests that the server holds at once; others go past them. It holds 200 of a user."""

MOST_BYTES = 2**31
"""Of one answer, unpacked: a short one may stand for more than any memory holds, and one may have no end."""

SLOWEST = 1000
"""Bytes a second: what comes for longer than the timeout, and slower, is not waited for."""


class _Bearer(httpx.Auth):
    """Shows the token; no setting of the machine puts another one in its place."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def auth_flow(self, request: httpx.Request) -> Any:
        request.headers["Authorization"] = f"Bearer {self._endpoint.token.reveal()}"
        yield request


class _Base:
    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        self._endpoint, self._timeout = endpoint, timeout
        self._settings: dict[str, Any] = {
            "auth": _Bearer(endpoint),
            "headers": {"User-Agent": f"quledger-client/{_version()}", "Accept": "application/json, */*;q=0.5"},
            "timeout": timeout,
            "limits": httpx.Limits(
                max_connections=None, max_keepalive_connections=_KEPT_ALIVE, keepalive_expiry=_KEPT_SECONDS
            ),
            "trust_env": not endpoint.is_local,  # no proxy gets to see what is meant for this machine
        }

    def _arguments(self, request: Request) -> dict[str, Any]:
        return {
            "method": request.method,
            "url": self._endpoint.url + request.path,
            "params": list(request.query) or None,
            "content": request.body,
            "headers": dict(request.headers),
            "timeout": httpx.Timeout(self._timeout, read=self._timeout + request.seconds),
        }

    def _lost(self, error: httpx.HTTPError | httpx.InvalidURL) -> Answer:
        where = self._endpoint.url
        was_sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        if isinstance(error, httpx.TimeoutException):
            return Answer(lost=f"{where} does not answer (waited {self._timeout:g} s)", was_sent=was_sent)
        why = f" ({error})" if str(error) else ""
        what = "the connection broke" if was_sent else "nothing answers there"
        return Answer(lost=f"{where}: {what}{why}", was_sent=was_sent)

    def _collector(self, response: httpx.Response) -> "tuple[list[bytes], Callable[[bytes], None]]":
        """Return where the parts of a body go, and what puts them there as long as it can be one of ours."""
        parts: list[bytes] = []
        begun, size = time.monotonic(), 0

        def take(part: bytes) -> None:
            nonlocal size
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                raise QuledgerError(f"the answer is larger than {MOST_BYTES / 1e9:.1f} GB", status=response.status_code)
            if time.monotonic() - begun > self._timeout + size / SLOWEST:
                raise httpx.ReadTimeout("too slow")

        return parts, take

    def _is_stale(self, answer: Answer) -> bool:
        """Return whether another address or token is to be tried at once."""
        refused = answer.status == _UNAUTHORIZED or (not answer.status and not answer.was_sent)
        return refused and self._endpoint.has_changed()


class Transport(_Base):
    """Waits with the thread that calls; several threads may."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        super().__init__(endpoint, timeout)
        self._http = httpx.Client(**self._settings)
        self._held = threading.BoundedSemaphore(MOST_HELD)

    def run(self, call: Call[T]) -> T:
        """Do a call to its end."""
        try:
            step = next(call)
            while True:
                if step.request is None:
                    time.sleep(step.pause)
                    answer = Answer()
                else:
                    answer = self._sent(step.request)
                step = _after(call, answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _sent(self, request: Request) -> Answer:
        with self._held if request.seconds else contextlib.nullcontext():
            answer = self._send(request)
            return self._send(request) if self._is_stale(answer) else answer

    def _send(self, request: Request) -> Answer:
        # Whatever goes wrong is raised from here or further up: the frames below hold the token.
        try:
            with self._http.stream(**self._arguments(request)) as response:
                parts, take = self._collector(response)
                for part in response.iter_bytes():
                    take(part)
            return _answer(response, parts)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return self._lost(error)
        except KeyboardInterrupt:
            pass
        raise KeyboardInterrupt


class AsyncTransport(_Base):
    """Waits with the event loop."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        super().__init__(endpoint, timeout)
        self._http = httpx.AsyncClient(**self._settings)
        self._held = asyncio.BoundedSemaphore(MOST_HELD)

    async def run(self, call: Call[T]) -> T:
        """Do a call to its end."""
        try:
            step = next(call)
            while True:
                if step.request is None:
                    await asyncio.sleep(step.pause)
                    answer = Answer()
                else:
                    answer = await self._sent(step.request)
                step = _after(call, answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _sent(self, request: Request) -> Answer:
        async with self._held if request.seconds else contextlib.nullcontext():
            answer = await self._send(request)
            return await self._send(request) if self._is_stale(answer) else answer

    async def _send(self, request: Request) -> Answer:
        try:
            async with self._http.stream(**self._arguments(request)) as response:
                parts, take = self._collector(response)
                async for part in response.aiter_bytes():
                    take(part)
            return _answer(response, parts)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return self._lost(error)


def _answer(response: httpx.Response, parts: list[bytes]) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, b"".join(parts))


def _after(call: Call[T], answer: Answer) -> Step:
    """Return the next step of a call.

    Raises:
        QuledgerError: among others, the answer is JSON of something else.
    """
    try:
        return call.send(answer)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise QuledgerError(NOT_OURS, status=answer.status or None) from error


def _version() -> str:
    try:
        return metadata.version("quledger-client")
    except metadata.PackageNotFoundError:
        return "0"
