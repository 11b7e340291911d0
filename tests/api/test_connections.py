"""Connections on which no request comes, or none that ends."""

import socket
import time

import httpx
import pytest

from deployments.api.v1 import acts
from deployments.processes.connections import Connection
from models.identity.streams import user_stream
from tests.api.conftest import FrontDoor

WHOLE = b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def said(door: FrontDoor, *parts: bytes) -> bytes:
    """Return all that the server says to these parts until it ends the connection."""
    with socket.create_connection(("127.0.0.1", int(door.url.rpartition(":")[2])), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(0.05)  # so that they come one by one
        found = b""
        while more := connection.recv(65536):
            found += more
        return found


@pytest.mark.parametrize("parts", [[], [b"GET /v1/he"], [b"\r\n"], [WHOLE[:-2]], [WHOLE, b"\r\n"]])
def test_a_connection_without_a_request_is_ended(
    door: FrontDoor, monkeypatch: pytest.MonkeyPatch, parts: list[bytes]
) -> None:
    """Else whoever opens as many as there may be shuts everybody out."""
    monkeypatch.setattr(Connection, "head_seconds", 0.2)
    assert said(door, *parts).count(b"200 OK") == parts.count(WHOLE)


def test_a_request_with_headers_without_end_is_refused(door: FrontDoor) -> None:
    """They would be kept in memory until they end."""
    answer = said(door, WHOLE[:-2], *[b"X: " + b"x" * 20_000 + b"\r\n"] * 4)
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_a_body_may_be_larger_and_slower_than_a_head(door: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """And another request follows on the same connection."""
    monkeypatch.setattr(Connection, "head_seconds", 0.2)
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 300000\r\n\r\n"
    answer = said(
        door,
        head,
        b" " * 150_000,
        *[b""] * 8,
        b" " * 150_000,
        WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
    )
    assert (answer.count(b"401 Unauthorized"), answer.count(b"200 OK")) == (1, 1)


def test_a_stream_ends_when_its_token_is_revoked(
    door: FrontDoor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As if the job had ended: that is no failure of the server."""
    monkeypatch.setattr(acts, "BEAT_SECONDS", 0.1)
    token = door.directory.issue(user_stream("bob"), ("read",), actor="test")
    path = f"{door.url}/v1/jobs/{door.submit('bob')}/events"
    with httpx.stream("GET", path, headers={"Authorization": f"Bearer {token.text}"}, timeout=30) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "id: 0"
        assert ": still here" in lines
        door.directory.revoke(token.token_id, actor="test")
        assert set(lines) <= {"", ": still here"}
    assert not caplog.records
