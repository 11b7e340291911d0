"""Runs that Prefect cannot give back are told from a server that gives nothing for a while: no good run is touched."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from flows.prefect_api import unreadable_runs

GOOD = [f"good-{number}" for number in range(20)]
BAD = [f"bad-{number}" for number in range(3)]
FILTERS = {"flows": {"name": {"any_": ["verify"]}}}


class Server(ThreadingHTTPServer):
    """Lists, changes and deletes runs as Prefect's API does.

    Attributes:
        bad: runs that spoil each list in which they stand, whatever is done to them.
        down: so many of the next lists fail, whatever stands in them.
        touched: the runs about which something else was asked than a list.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.runs = [*GOOD, *BAD]
        self.bad: set[str] = set()
        self.down = 0
        self.touched: set[str] = set()


class _Answer(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/history"):
            self._say(200, [{"id": run, "state_type": "COMPLETED"} for run in self.server.runs])
        elif self.path.endswith("/filter"):
            wanted = set(body["flow_runs"]["id"]["any_"])
            self.server.down -= 1
            fails = self.server.down >= 0 or bool(wanted & self.server.bad & set(self.server.runs))
            self._say(500 if fails else 200, [])
        else:
            self.server.touched.add(self.path.split("/")[-2])
            self._say(200, {})

    def do_PATCH(self) -> None:
        self.server.touched.add(self.path.split("/")[-1])
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say(204, {})

    def do_DELETE(self) -> None:
        self.server.touched.add(run := self.path.split("/")[-1])
        self.server.runs.remove(run)
        self._say(204, {})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _say(self, status: int, body: object) -> None:
        content = b"" if status == 204 else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that is asked without long pauses."""
    monkeypatch.setattr(unreadable_runs, "PAUSE", 0.01)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def url(server: Server) -> str:
    """Return where the server listens."""
    return f"http://127.0.0.1:{server.server_port}/api"


def test_only_the_runs_that_cannot_be_given_are_cleared_away(server: Server):
    """Among good runs, whatever flow they are of, each bad one is found; the good ones are left alone."""
    server.bad = set(BAD)
    assert unreadable_runs.clear(url(server), FILTERS) == 3
    assert server.touched == set(BAD)
    assert server.runs == GOOD


@pytest.mark.parametrize("failures", [1, 2, 3, 7, 8, 20, 40])
def test_a_server_that_fails_for_a_while_has_no_bad_runs(server: Server, failures: int):
    """However long it answers 500 to everything, no run is changed for it."""
    server.down = failures
    with contextlib.suppress(httpx.HTTPStatusError):  # nothing is known then, and nothing is done
        assert unreadable_runs.clear(url(server), FILTERS) == 0
    assert server.touched == set()
    assert server.runs == GOOD + BAD
