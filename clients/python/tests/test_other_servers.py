"""Answers that no Quledger server gives: of something else at its address, without end, or larger than any memory."""

import asyncio
import itertools
import time
import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from quledger_client import AsyncClient, Client, QuledgerError, Unreachable, transport
from quledger_client.waiting import wait

TOKEN = "qlg_0123456789ab_" + "5" * 48
DOCUMENT = {"experiment_0": {"instructions": [], "num_wires": 1, "shots": 3}}
CALLS: dict[str, Callable[[Client], Any]] = {
    "backend": lambda client: client.backend("b"),
    "job": lambda client: client.job("j1"),
    "jobs": lambda client: list(client.jobs()),
    "store": lambda client: client.store(DOCUMENT),
    "submit": lambda client: client.submit("b", DOCUMENT),
}
BODIES = [b"[1]", b"{}", b"null", b'"x"', b'{"jobs": [{}], "next": ""}', b"[" * 100_000]


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:6].decode())
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_is_none_of_our_answers_is_an_error_of_ours(server: Any, say: Any, call: Any, body: bytes, status: int):
    server.script = [say(status, body)]
    with Client(server.url, TOKEN) as client, pytest.raises(QuledgerError, match=r"is this the address|no address"):
        call(client)


def test_no_more_is_unpacked_than_any_answer_has(server: Any, say: Any, monkeypatch: pytest.MonkeyPatch):
    """It is asked for once: what is too large now is so the next time."""
    monkeypatch.setattr(transport, "MOST_BYTES", 1000)
    server.script = [say(200, zlib.compress(b" " * 1000 + b"{}"), {"Content-Encoding": "deflate"})]

    async def ask() -> None:
        async with AsyncClient(server.url, TOKEN) as client:
            await client.me()

    with Client(server.url, TOKEN) as client, pytest.raises(QuledgerError, match="the answer is larger"):
        client.me()
    with pytest.raises(QuledgerError, match="the answer is larger"):
        asyncio.run(ask())
    assert len(server.asked) == 2
    server.script = [say(200, zlib.compress(b" " * 998 + b"{}"), {"Content-Encoding": "deflate"})]
    with Client(server.url, TOKEN) as client:
        assert client.me() == {}


def test_an_answer_that_trickles_is_given_up(server: Any, say: Any, monkeypatch: pytest.MonkeyPatch):
    """A large one may take longer than the timeout; a minute for two bytes is too long."""
    server.script = [say(200, {})]
    minutes = SimpleNamespace(monotonic=itertools.count(0, 60).__next__, sleep=time.sleep)
    monkeypatch.setattr(transport, "time", minutes)
    with Client(server.url, TOKEN, timeout=70, patience=0) as client:
        assert client.me() == {}
    with Client(server.url, TOKEN, timeout=50, patience=0) as client, pytest.raises(Unreachable, match="not answer"):
        client.me()


def test_a_server_that_answers_each_long_poll_at_once_is_not_asked_without_a_pause():
    """A proxy may leave out our conditions, and something else know no versions."""
    from quledger_client.wire import Answer  # noqa: PLC0415 - only this test plays the connection

    for body in (b'{"state": "QUEUED", "version": 3}', b'{"state": "QUEUED"}'):
        call = wait("j1", None, 60)
        step, pauses = next(call), 0
        for _ in range(8):
            pauses += step.request is None
            step = call.send(Answer(200, body=body))
        assert pauses >= 3
