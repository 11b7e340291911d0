"""A server on loopback that answers what a test says, for what a real one cannot be made to do."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest


class Said(NamedTuple):
    """An answer; with the status 0 the connection is closed without one."""

    status: int
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody changes it


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Scripted:
    """A server whose answers are in a list, or made by a function; the last one is given again and again."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: list[Said] | Callable[[Asked], Said] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.asked.append(Asked(self.command, self.path, headers, body))
                said = outer.next()
                if not said.status:
                    self.close_connection = True
                    return
                content = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
                if said.status == 304:
                    content = b""
                self.send_response(said.status)
                for name, value in {**said.headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - named by the library

            def log_message(self, *_args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def next(self) -> Said:
        """Return the answer to the request that came last."""
        if callable(self.script):
            return self.script(self.asked[-1])
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Scripted]:
    """Yield a server whose script the test writes."""
    scripted = Scripted()
    yield scripted
    scripted.stop()


@pytest.fixture
def say() -> type[Said]:
    """Return what an answer is made of."""
    return Said
