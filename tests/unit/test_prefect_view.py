"""How Prefect is asked where it is busy: a call is repeated, and a refusal for another reason is not."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flows.prefect_api.client import PrefectSilent, prefect_runs

RUN = {"id": "11111111-1111-1111-1111-111111111111", "name": "job", "state_type": "COMPLETED"}


@contextmanager
def answering(*codes: int) -> Iterator[tuple[str, list[str]]]:
    """Serve these codes one after the other, the last one for ever; a run of one job goes with each."""
    waiting, asked = list(codes), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            body = json.dumps([RUN]).encode()
            self.send_response(waiting.pop(0) if len(waiting) > 1 else waiting[0])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api", asked
        finally:
            server.shutdown()


def test_a_call_is_repeated_while_prefect_is_busy():
    """503 is what Prefect answers where SQLite is locked; behind a proxy it may be 429 or 502."""
    with answering(503, 429, 502, 200) as (url, asked):
        (run,) = prefect_runs(url, ["job"])
    assert (run.job_id, run.state) == ("job", "COMPLETED")
    assert asked == ["/api/flow_runs/filter"] * 4


@pytest.mark.parametrize(("code", "says"), [(401, "does not let us in"), (422, "answered 422")])
def test_a_refusal_is_not_repeated(code: int, says: str):
    """What would be refused again is told at once."""
    with answering(code, 200) as (url, asked), pytest.raises(PrefectSilent, match=says):
        prefect_runs(url, ["job"])
    assert len(asked) == 1
