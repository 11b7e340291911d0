"""Whoever hangs up takes with him what was done for his answer alone."""

import asyncio
import logging
import threading
from collections.abc import Sequence

import httpx
import pytest

from tasks.jobs import checking
from tests.api.conftest import SPIN, FrontDoor
from tests.api.test_pages_forms import GOOD
from tests.api.visitor import Visitor

WAITED = 20


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[threading.Event]:
    """A check that has no end, and whether it has begun and was ended."""
    begun, over = threading.Event(), threading.Event()

    async def endless(_sandbox: object, _backend: str, _documents: Sequence[bytes], _limits: object) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            over.set()

    monkeypatch.setattr(checking, "validate_all", endless)
    return [begun, over]


def test_a_check_ends_with_its_client(
    door: FrontDoor, ended: list[threading.Event], caplog: pytest.LogCaptureFixture
) -> None:
    """Else who asks and hangs up, again and again, keeps all processes from the others."""
    caplog.set_level(logging.ERROR)
    body = {"backend": "singlequdit", "document": SPIN}
    headers = {"Authorization": f"Bearer {door.token('alice')}"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{door.url}/v1/check", json=body, headers=headers, timeout=2)
    assert [event.wait(WAITED) for event in ended] == [True, True]
    assert door.ask("alice", "GET", "/v1/me").status_code == 200
    assert not caplog.records


def test_the_form_is_no_longer_checked_for_nobody(
    door: FrontDoor, ended: list[threading.Event], caplog: pytest.LogCaptureFixture
) -> None:
    """It is checked anew with each change, and the answer before is not waited for."""
    caplog.set_level(logging.ERROR)
    visitor = Visitor(door, "bob")
    assert visitor.form_token
    visitor.client.timeout = httpx.Timeout(2)
    with pytest.raises(httpx.ReadTimeout):
        visitor.post("/ui/check", **GOOD)
    assert [event.wait(WAITED) for event in ended] == [True, True]
    assert not caplog.records
