"""Retention for Prefect's own database: old runs of ours are deleted there. Our log is not touched."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import httpx

from flows.prefect_api.client import PrefectSilent, ask, authentication
from flows.prefect_api.unreadable_runs import clear
from models.clock import to_text
from models.settings import redact_url

JOBS = "run-job"
OTHERS = ("drain-queue", "reconcile", "verify", "publish-backends", "health")
OVER = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]

BATCH = 50
"""The most runs that Prefect deletes at once."""

ASK_SECONDS = 60.0


class Pruned(NamedTuple):
    """How many runs were deleted, and how many were left because our log does not know their job as ended."""

    runs: int
    left: int


def prune(url: str, before: datetime, has_ended: Callable[[str], bool]) -> Pruned:
    """Delete what Prefect has of runs that ended before a moment: the runs, their task runs, artifacts and logs.

    Args:
        url: of Prefect's API.
        has_ended: says whether our log knows a job as ended.

    Raises:
        PrefectSilent: it does not answer; what was deleted so far stays deleted, and the call can be repeated.
    """
    over: dict[str, Any] = {"state": {"type": {"any_": OVER}}, "end_time": {"before_": to_text(before)}}
    try:
        with httpx.Client(base_url=url.rstrip("/"), timeout=ASK_SECONDS, headers=authentication()) as client:
            return _prune(client, over, has_ended)
    except httpx.HTTPStatusError as error:
        msg = f"Prefect at {redact_url(url)} answered {error.response.status_code} and did not prune any further"
        raise PrefectSilent(msg) from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        msg = f"Prefect at {redact_url(url)} did not prune ({type(error).__name__})"
        raise PrefectSilent(msg) from None


def _prune(client: httpx.Client, over: dict[str, Any], has_ended: Callable[[str], bool]) -> Pruned:
    runs = left = 0
    for flow in (JOBS, *OTHERS):
        kept = 0
        while True:
            body = {"flows": {"name": {"any_": [flow]}}, "flow_runs": over, "sort": "ID_DESC"}
            page = _page(client, body | {"limit": BATCH, "offset": kept})
            ours = [run["id"] for run in page if flow != JOBS or has_ended(run["name"])]
            deleted = _delete(client, over, ours) if ours else 0
            runs += deleted
            kept += len(page) - deleted
            if len(page) < BATCH:
                break
        left += kept
    return Pruned(runs, left)


def _page(client: httpx.Client, body: dict[str, Any]) -> Any:
    """Return some runs, after clearing away those that Prefect fails on."""
    try:
        return _ask(client, "/flow_runs/filter", body)
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.INTERNAL_SERVER_ERROR:
            raise
    if not clear(str(client.base_url), {"flows": body["flows"], "flow_runs": body["flow_runs"]}):
        raise PrefectSilent("Prefect answers its list of runs with an error of its own (500)")
    return _ask(client, "/flow_runs/filter", body)


def _delete(client: httpx.Client, over: dict[str, Any], ids: list[str]) -> int:
    """Delete these runs unless somebody has begun them again meanwhile; return how many were deleted."""
    # Prefect deletes task runs and logs with the runs, and leaves artifacts behind.
    while artifacts := _ask(client, "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": ids}}, "limit": 200}):
        for artifact in artifacts:
            _delete_artifact(client, artifact["id"])
    done = _ask(client, "/flow_runs/bulk_delete", {"flow_runs": over | {"id": {"any_": ids}}, "limit": BATCH})
    return len(done["deleted"])


def _delete_artifact(client: httpx.Client, artifact_id: str) -> None:
    try:
        ask(client, "DELETE", f"/artifacts/{artifact_id}")
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:
            raise


def _ask(client: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    return ask(client, "POST", path, body).json()
