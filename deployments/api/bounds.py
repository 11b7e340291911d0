"""What a request is held to before anything of it is parsed: host, size, time, rate; and the headers of each answer."""

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.api.nearness import IS_NEAR, is_near
from deployments.api.problems import UNFORESEEN, Problem, Shape, answer
from models.errors import printable

_LOG = logging.getLogger("quledger.api")

READ_SECONDS = 30.0
"""So long the body of a request may take to come."""

MAX_HELD = 256_000_000
"""Bytes of bodies that are held at once, whoever sent them."""

MAX_HELD_OF_ONE = 170_000_000
"""Those of one address, so that it cannot keep all others out."""

WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE"})
"""What needs none: a request that waits for a change would hold it as long."""

MAX_NEEDLESS = 64_000

MAX_ADDRESSES = 10_000
"""So many callers are kept apart; whoever was quiet for longest is forgotten first."""

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_POLICY = (
    b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self';"
    b" form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What a page may load: what this server sends, and nothing that stands in the page itself."""


_PROBLEMS = {
    name: Problem(type="about:blank", title=title, status=code, detail=detail)
    for name, code, title, detail in (
        ("host", 421, "Another host", "this server is not reached under that name; QULEDGER_API_HOSTS lists the names"),
        ("rate", 429, "Too much at once", "too many requests came from this address; wait a little"),
        ("busy", 503, "Not available now", "too many large requests are under way; wait a little"),
    )
}


class Bounds:
    """Refuses what is too large, too slow, too often, or meant for another host, and reads the rest to its end.

    Args:
        hosts: names under which this server is reached, without a port; `*` for any.
        max_bytes: of the body of a request to this path.
        burst: requests that one address may send at once before it is held to its rate.
        a_minute: requests of one address in a minute.
        behind_proxy: take the caller's address from the last entry of X-Forwarded-For.
        shapes: how a dialect says a problem, by the first part of its paths.
    """

    def __init__(  # noqa: PLR0913 - one argument a bound
        self,
        app: ASGIApp,
        *,
        hosts: frozenset[str],
        max_bytes: Callable[[str], int],
        a_minute: int,
        burst: int,
        behind_proxy: bool = False,
        read_seconds: float = READ_SECONDS,
        shapes: Mapping[str, Shape] = MappingProxyType({}),
    ) -> None:
        self._app, self._hosts, self._max_bytes = app, hosts, max_bytes
        self._rates = Rates(a_minute, burst)
        self._behind_proxy, self._read_seconds = behind_proxy, read_seconds
        self._shapes = shapes
        self._held: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        # What the server logs of a request, it takes from its own scope; other dialects' tokens stand in queries.
        own, scope = scope, dict(scope)
        own["query_string"] = b""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _guard(message)
            await send(message)

        refused = self._refusal(scope, headers)
        if refused is not None:
            await self._answer(scope, refused)(scope, receive, send_guarded)
            return
        IS_NEAR.set(is_near((scope.get("client") or ("",))[0], headers))
        body, address = bytearray(), self._address(scope, headers)
        most = self._max_bytes(scope["path"])
        if scope["method"] in WITHOUT_BODY:
            most = min(most, MAX_NEEDLESS)
        try:
            refused = await self._fill(body, receive, headers, most, address)
            if refused is not None:
                await self._answer(scope, refused)(scope, receive, send_guarded)
                return
            await self._run(scope, _replay(bytes(body), receive), send_guarded)
        finally:
            self._held[address] -= len(body)
            if not self._held[address]:
                del self._held[address]

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a request answered; what nobody has foreseen is logged here and nowhere else."""
        is_begun = is_whole = False

        async def watched(message: Message) -> None:
            nonlocal is_begun, is_whole
            is_begun = True
            is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if is_begun and not is_whole:
                raise  # the server logs it and ends the connection: nothing else says that the rest is missing
            _LOG.error(
                "request_failed action=answer code=500 method=%s path=%s: %s",
                *(printable(scope["method"]), printable(scope["path"])),
                type(error).__name__,
                exc_info=error,
            )
            if not is_begun:
                await self._answer(scope, UNFORESEEN)(scope, receive, send)

    def _answer(self, scope: Scope, refused: Problem) -> Response:
        first = scope["path"].lstrip("/").partition("/")[0]
        return answer(refused, {"Connection": "close"}, self._shapes.get(f"/{first}"))

    async def _fill(
        self, body: bytearray, receive: Receive, headers: dict[bytes, bytes], most: int, address: str
    ) -> Problem | None:
        """Read a body to its end; return why it is refused, None where it is not."""
        if _length(headers) > most:
            return _too_large(most)
        try:
            async with asyncio.timeout(self._read_seconds):
                while True:
                    message = await receive()
                    part = message.get("body", b"")
                    if len(body) + len(part) > most:
                        return _too_large(most)
                    if part and not self._may_hold(len(part), address):
                        return _PROBLEMS["busy"]
                    body += part
                    self._held[address] += len(part)
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        return None
        except TimeoutError:
            return Problem(
                type="about:blank",
                title="The request came too slowly",
                status=408,
                detail=f"its body has to be here within {self._read_seconds:g} s",
            )

    def _may_hold(self, more: int, address: str) -> bool:
        return self._held[address] + more <= MAX_HELD_OF_ONE and self._held.total() + more <= MAX_HELD

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> Problem | None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        end = host.index("]") + 1 if host.startswith("[") and "]" in host else 0
        name, colon, port = host[end:].partition(":")
        # It becomes a part of addresses in answers: `localhost:1@elsewhere` leads to another host.
        is_port = not colon or (port.isascii() and port.isdigit())
        if not is_port or ("*" not in self._hosts and host[:end] + name not in self._hosts):
            return _PROBLEMS["host"]
        if not self._rates.take(self._address(scope, headers)):
            return _PROBLEMS["rate"]
        return None

    def _address(self, scope: Scope, headers: dict[bytes, bytes]) -> str:
        if self._behind_proxy and (given := headers.get(b"x-forwarded-for")):
            # The last entry is the proxy's own; those before it anybody may have written.
            return given.decode("latin-1").rpartition(",")[2].strip()
        return str((scope.get("client") or ("",))[0])


class Rates:
    """How often each caller may come: a bucket that holds `burst` requests and gets `a_minute` of them in a minute."""

    def __init__(self, a_minute: float, burst: float, now: Callable[[], float] = time.monotonic) -> None:
        self._a_second, self._burst, self._now = a_minute / 60, burst, now
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> bool:
        """Take one request out of a caller's bucket; False where it is empty."""
        now = self._now()
        left, since = self._left.pop(caller, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._a_second)
        self._left[caller] = (left - 1 if left >= 1 else left), now
        if len(self._left) > MAX_ADDRESSES:
            self._left.popitem(last=False)
        return left >= 1

    def wait(self, caller: str) -> float:
        """Return the seconds until the bucket holds a request again."""
        left, since = self._left.get(caller, (self._burst, self._now()))
        return max(0.0, (1 - left) / self._a_second - (self._now() - since))


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _length(headers: dict[bytes, bytes]) -> int:
    text = headers.get(b"content-length", b"0")
    return int(text) if text.isdigit() and len(text) < 20 else 0  # noqa: PLR2004 - a longer one is read, and counted


def _too_large(most: int) -> Problem:
    return Problem(
        type="about:blank", title="Too large", status=413, detail=f"the body has more than {most} bytes; send less"
    )


def _guard(message: MutableMapping[str, Any]) -> None:
    headers = message["headers"] = list(message.get("headers", []))
    present = {name.lower() for name, _ in headers}
    headers += [pair for pair in _HEADERS if pair[0] not in present]
    if b"content-security-policy" not in present:
        headers.append((b"content-security-policy", _POLICY))
    if b"cache-control" not in present:
        headers.append((b"cache-control", b"no-store"))
