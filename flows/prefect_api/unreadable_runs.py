"""Runs that Prefect has stored and cannot give back: each makes its server answer 500 to every list in which it stands.

Such a run is found by its id, which Prefect's history of runs tells without the rest, and by lists of ever fewer runs.
It ends as Failed, without its parameters and tags; if that does not help, it is deleted, and a run that says so is put
in its place. This is done only after a list has failed, and never to a run that can be read.
"""

import logging
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import stamina

from flows.prefect_api.client import authentication

_LOG = logging.getLogger("quledger.prefect")

REASON = (
    "refused: Prefect cannot show what this run was launched with"
    " (characters that are none, numbers that are too large, or values nested too deeply)"
)

MAX_PAGE = 1000
"""Prefect's own limit of one answer of the history."""

PAGE = 200
"""The same of a list of runs."""

RECHECKS = 2
"""A run has to fail so many times more, after a pause each, while other lists are given."""

PAUSE = 0.3
MAX_ATTEMPTS = 7
BUSY = (httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS)
ASK_SECONDS = 60.0

_TO_BEGIN = ("SCHEDULED", "PENDING", "PAUSED")

Filters = dict[str, Any]
"""Filters of the API for runs: `flows`, `flow_runs`, `deployments`."""


def clear(url: str, filters: Filters) -> int:
    """Clear away the runs that Prefect cannot give back; return their number.

    Args:
        url: of Prefect's API.

    Raises:
        httpx.HTTPError: it does not answer, or not as it should.
    """
    # A server that has answered 500 closes the connection.
    limits = httpx.Limits(max_keepalive_connections=0)
    base = url.rstrip("/")
    with httpx.Client(base_url=base, timeout=ASK_SECONDS, headers=authentication(), limits=limits) as client:
        bad = 0
        offset = 0
        while True:
            about = filters | {"limit": MAX_PAGE, "offset": offset}
            page = _send(client, "POST", "/ui/flow_runs/history", about).raise_for_status().json()
            states = {str(run["id"]): str(run["state_type"]) for run in page}
            ids = list(states)
            for start in range(0, len(ids), PAGE):
                for run_id in _unreadable(client, ids[start : start + PAGE]):
                    _end_run(client, run_id, filters, is_to_begin=states[run_id] in _TO_BEGIN)
                    bad += 1
            offset += len(page)
            if len(page) < MAX_PAGE:
                return bad


def _unreadable(client: httpx.Client, ids: list[str]) -> list[str]:
    """Return the runs that fail alone, several times, while the server gives other lists.

    Raises:
        httpx.HTTPStatusError: it gives no list at all: something else is wrong, and no run is to blame.
    """
    suspects: list[str] = []
    if not _is_given(client, ids):
        _expect_others(client)
        suspects = list(_failing(client, ids))
    for _ in range(RECHECKS if suspects else 0):
        time.sleep(PAUSE)
        suspects = [run_id for run_id in suspects if not _is_given(client, [run_id])]
        _expect_others(client)
    return suspects


def _failing(client: httpx.Client, ids: list[str]) -> Iterator[str]:
    """Yield the runs that the server does not give, halving each list that fails."""
    if not ids or _is_given(client, ids):
        return
    if len(ids) == 1:
        yield ids[0]
        return
    middle = len(ids) // 2
    yield from _failing(client, ids[:middle])
    yield from _failing(client, ids[middle:])


def _expect_others(client: httpx.Client) -> None:
    _send(client, "POST", "/flow_runs/filter", _filters_of([str(uuid4())])).raise_for_status()


def _is_given(client: httpx.Client, ids: list[str]) -> bool:
    answer = _send(client, "POST", "/flow_runs/filter", _filters_of(ids))
    if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
        return False
    answer.raise_for_status()
    return True


def _filters_of(ids: list[str]) -> Filters:
    return {"flow_runs": {"id": {"any_": ids}}, "limit": len(ids)}


def _end_run(client: httpx.Client, run_id: str, filters: Filters, *, is_to_begin: bool) -> None:
    if is_to_begin:  # before its parameters are taken away: nobody is to begin it without them
        _fail(client, run_id)
    harmless = {"name": f"refused-{run_id[:8]}", "parameters": {}, "tags": []}
    _send(client, "PATCH", f"/flow_runs/{run_id}", harmless)
    if _is_given(client, [run_id]):
        _LOG.warning("run_unreadable action=failed run=%s: Prefect could not give it back", run_id)
        return
    gone = _send(client, "DELETE", f"/flow_runs/{run_id}")
    if gone.status_code == httpx.codes.NOT_FOUND:
        return  # somebody else has cleared it away
    gone.raise_for_status()
    _LOG.warning("run_unreadable action=deleted run=%s: Prefect could not give it back", run_id)
    deployments = filters.get("deployments", {}).get("id", {}).get("any_", [])
    if is_to_begin and len(deployments) == 1:
        _put_failed_run(client, run_id, deployments[0])


def _fail(client: httpx.Client, run_id: str) -> None:
    state = {"type": "FAILED", "name": "Failed", "message": REASON}
    _send(client, "POST", f"/flow_runs/{run_id}/set_state", {"state": state, "force": True})


def _put_failed_run(client: httpx.Client, run_id: str, deployment_id: str) -> None:
    """Leave a run in place of one that was deleted, so that whoever launched it is told."""
    deployment = _send(client, "GET", f"/deployments/{deployment_id}")
    if deployment.is_success:
        about = {"flow_id": deployment.json()["flow_id"], "deployment_id": deployment_id}
        state = {"type": "FAILED", "name": "Failed", "message": REASON}
        _send(client, "POST", "/flow_runs/", about | {"name": f"refused-{run_id[:8]}", "state": state})


def _send(client: httpx.Client, method: str, path: str, body: Filters | None = None) -> httpx.Response:
    """Send a call that may be repeated, and repeat it while Prefect is busy or hangs up.

    Raises:
        httpx.HTTPError: it still is, or does, the last time.
    """

    @stamina.retry(
        on=(httpx.TransportError, httpx.HTTPStatusError),
        attempts=MAX_ATTEMPTS,
        timeout=None,
        wait_initial=PAUSE,
        wait_max=PAUSE,
        wait_jitter=0.0,
    )
    def send() -> httpx.Response:
        answer = client.request(method, path, json=body)
        return answer.raise_for_status() if answer.status_code in BUSY else answer

    return send()
