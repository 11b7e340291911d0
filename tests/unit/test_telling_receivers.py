"""Receivers that never come to an end: they are given up in time, and hold nobody up."""

import contextlib
import json
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from flows.telling.channel import NotTold
from flows.telling.mail import Mail
from flows.telling.webhook import Webhook
from models import clock
from models.notices import Notice

SECRET = "s3cret-of-the-receiver"


def notice(**data: str) -> Notice:
    """Return that a job has ended."""
    about = {"job_id": "j", "backend": "b", "user": "u", "project": "", "state": "DONE", "reason": ""} | data
    return Notice("a" * 32, "job.ended", clock.now(), json.dumps({"data": about}))


@contextlib.contextmanager
def saying(first: bytes, again: bytes) -> Iterator[str]:
    """Run a server that says something, and then something else for ever; yield its address."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self.request.sendall(first)
                while True:
                    self.request.sendall(again)
                    time.sleep(0.02)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"HTTP/1.1 200 OK\r\nx: ", b"y"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (b"", b"\x00\r\n"),
    ],
)
def test_a_webhook_that_answers_for_ever_is_given_up(
    first: bytes, again: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte by byte, or without ever saying how it ends."""
    monkeypatch.setattr("flows.telling.webhook.SECONDS", 0.5)
    began = time.monotonic()
    with saying(first, again) as address, pytest.raises(NotTold, match="does not answer"):
        Webhook(f"http://{address}/", SECRET, ["job.ended"]).tell(notice(), clock.now())
    assert time.monotonic() - began < 5


def test_the_body_of_an_answer_is_not_read() -> None:
    """However long it is."""
    with saying(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", b"x" * 1000) as address:
        Webhook(f"http://{address}/", SECRET, ["job.ended"]).tell(notice(), clock.now())


def test_a_mail_server_that_greets_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that cannot be reached."""
    monkeypatch.setattr("flows.telling.mail.MAIL_SECONDS", 0.5)
    began = time.monotonic()
    with saying(b"", b"220-here\r\n") as address, pytest.raises(NotTold, match="did not take it"):
        Mail(f"smtp://{address}", "lab@example.org", ["a@example.org"], ["job.ended"]).tell(notice(), clock.now())
    assert time.monotonic() - began < 5


def test_what_cannot_be_written_is_not_told() -> None:
    """And holds up none behind it."""
    with pytest.raises(NotTold):
        Mail("smtp://127.0.0.1:1", "lab@example.org", ["a@example.org"], []).tell(notice(user="\ud800"), clock.now())
