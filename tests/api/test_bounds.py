"""What a request is held to before anything of it is parsed."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from deployments.api.bounds import Bounds, Rates

LOCAL = frozenset({"127.0.0.1"})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the number of bytes of the body."""
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(body)).encode()})


def bounded(**changes: Any) -> Bounds:
    """Return the bounds around `echo`, with small numbers."""
    settings = {"hosts": LOCAL, "max_bytes": lambda _path: 10, "a_minute": 60, "burst": 3} | changes
    return Bounds(echo, **settings)


def asked(
    app: Bounds, parts: Iterable[bytes] = (b"",), method: str = "POST", **headers: str
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Return code, headers and body of what one request is answered with."""
    found: list[Any] = []
    waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    waiting[-1]["more_body"] = False

    async def receive() -> Any:
        if not waiting:
            await asyncio.sleep(60)
        return waiting.pop(0)

    async def send(message: Any) -> None:
        found.append(message)

    named = [(name.encode(), value.encode()) for name, value in ({"host": "127.0.0.1:8000"} | headers).items()]
    scope = {"type": "http", "method": method, "path": "/v1/jobs", "headers": named, "client": ("127.0.0.1", 5)}
    asyncio.run(app(scope, receive, send))
    return found[0]["status"], dict(found[0]["headers"]), b"".join(each.get("body", b"") for each in found[1:])


def test_a_body_within_the_bound_arrives_whole() -> None:
    """However many parts it comes in."""
    code, _, body = asked(bounded(), [b"12345", b"67890"])
    assert (code, body) == (200, b"10")


def test_a_body_that_says_that_it_is_too_large_is_not_read() -> None:
    """And the connection is closed, as its rest is still on the way."""
    code, headers, _ = asked(bounded(), [b"x"], **{"content-length": "11"})
    assert (code, headers[b"connection"]) == (413, b"close")


def test_a_body_that_grows_too_large_is_not_kept() -> None:
    """What it says of its length need not be true."""
    assert asked(bounded(), [b"123456"] * 100)[0] == 413


def test_a_body_that_does_not_come_to_its_end_is_given_up() -> None:
    """Else slow senders would hold all connections."""
    app = bounded(read_seconds=0.05)

    async def never() -> Any:
        await asyncio.sleep(60)

    found: list[Any] = []

    async def send(message: Any) -> None:
        found.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 5),
    }
    asyncio.run(app(scope, never, send))
    assert found[0]["status"] == 408


@pytest.mark.parametrize(("bound", "other", "code"), [("MAX_HELD", 503, 503), ("MAX_HELD_OF_ONE", 200, 503)])
def test_bodies_that_are_held_at_once_are_bounded_and_given_back(
    monkeypatch: pytest.MonkeyPatch, bound: str, other: int, code: int
) -> None:
    """Many large requests together are as bad as one that is too large; one address alone cannot have all the room."""
    monkeypatch.setattr(f"deployments.api.bounds.{bound}", 15)
    inside: list[int] = []

    async def ask_inside(_scope: Any, receive: Any, send: Any) -> None:
        # While one request of eight bytes is under way, another one of eight is too much.
        await receive()
        for address in ("10.0.0.2", "10.0.0.1") if not inside else ():
            inside.append(0)
            answer = await asyncio.to_thread(asked, outer, [b"12345678"], **{"x-forwarded-for": address})
            inside[-1] = answer[0]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    outer = Bounds(ask_inside, hosts=LOCAL, max_bytes=lambda _path: 10, a_minute=60, burst=3, behind_proxy=True)
    assert asked(outer, [b"12345678"], **{"x-forwarded-for": "10.0.0.1"})[0] == 200
    assert inside == [other, code]
    assert asked(outer, [b"12345678"], **{"x-forwarded-for": "10.0.0.1"})[0] == 200


def test_what_needs_no_body_brings_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that waits would hold it for minutes."""
    monkeypatch.setattr("deployments.api.bounds.MAX_NEEDLESS", 5)
    assert [asked(bounded(), [b"123456"], method=method)[0] for method in ("GET", "DELETE", "POST")] == [413, 413, 200]


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8000", "", "127.0.0.1.evil.example"),
        *("127.0.0.1:1@evil.example", "127.0.0.1:80/x", "127.0.0.1:²"),
    ],
)
def test_another_host_is_refused(host: str) -> None:
    """A page of another site whose name is made to lead here cannot ask us."""
    assert asked(bounded(), host=host)[0] == 421


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000"])
def test_a_host_of_ours_is_served_on_any_port(host: str) -> None:
    """The port is chosen at the start."""
    assert asked(bounded(), host=host)[0] == 200


def test_an_address_of_version_6_is_a_host() -> None:
    """It holds colons itself."""
    assert asked(bounded(hosts=frozenset({"[::1]"})), host="[::1]:8000")[0] == 200


def test_who_comes_too_often_waits() -> None:
    """Before anything is parsed."""
    app = bounded()
    assert [asked(app)[0] for _ in range(4)] == [200, 200, 200, 429]


def test_behind_a_proxy_each_address_has_its_own_rate_and_none_can_be_made_up() -> None:
    """The last entry alone is written by the proxy."""
    app = bounded(behind_proxy=True, burst=1)
    forwarded = "x-forwarded-for"
    assert asked(app, **{forwarded: "10.0.0.1"})[0] == 200
    assert asked(app, **{forwarded: "10.0.0.2"})[0] == 200
    assert asked(app, **{forwarded: "9.9.9.9, 10.0.0.1"})[0] == 429


def test_every_answer_says_what_a_browser_may_do_with_it() -> None:
    """Those that are refused too."""
    for code, headers, _ in (asked(bounded()), asked(bounded(), host="evil.example")):
        assert code in (200, 421)
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert headers[b"x-frame-options"] == b"DENY"
        assert b"default-src 'none'" in headers[b"content-security-policy"]


def test_a_bucket_fills_again_with_time() -> None:
    """One request a second at sixty a minute."""
    now = 0.0
    rates = Rates(60, 2, now=lambda: now)
    assert [rates.take("alice") for _ in range(3)] == [True, True, False]
    assert rates.wait("alice") == pytest.approx(1.0)
    now = 1.0
    assert [rates.take("alice") for _ in range(2)] == [True, False]
    assert rates.take("bob")
