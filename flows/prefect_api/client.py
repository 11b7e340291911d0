"""Calls to Prefect's API over HTTP: no command that only compares has to import Prefect for it."""

import base64
import os
from typing import Any

import httpx
import stamina
from stamina.instrumentation import set_on_retry_hooks

from models.audit import Run
from models.errors import QuledgerError
from models.settings import redact_url

PAGE = 200
"""The most runs that Prefect returns at once."""

ASK_SECONDS = 15.0

BUSY_SECONDS = 30.0
"""A call is repeated for so long while Prefect is busy, as it often is on SQLite."""

REFUSED = (401, 403)

set_on_retry_hooks([])  # a call that is repeated is no news to anybody


class PrefectSilent(QuledgerError):
    """Prefect could not be asked; everything else may still be compared."""


def authentication() -> dict[str, str]:
    """Return the headers with which Prefect lets a client in: of a password and a key it takes the password."""
    key, password = os.environ.get("PREFECT_API_KEY"), os.environ.get("PREFECT_API_AUTH_STRING")
    if password:
        return {"Authorization": f"Basic {base64.b64encode(password.encode()).decode()}"}
    return {"Authorization": f"Bearer {key}"} if key and key.isascii() else {}


def refusal(url: str) -> str:
    """Return what to tell the operator if Prefect does not let us in."""
    return f"Prefect at {redact_url(url)} does not let us in; look at PREFECT_API_AUTH_STRING (or PREFECT_API_KEY)"


def ask(client: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    """Send one call that may be repeated, and repeat it while Prefect is busy.

    Raises:
        httpx.HTTPError: it does not answer, or refuses for another reason, or is busy for too long.
    """

    @stamina.retry(on=_MayPass(), attempts=None, timeout=BUSY_SECONDS, wait_initial=0.2, wait_max=2.0, wait_jitter=0.0)
    def send() -> httpx.Response:
        return client.request(method, path, json=body).raise_for_status()

    return send()


class _MayPass:
    """Says of each failure of one call whether it may pass, so that the call is to be repeated."""

    def __init__(self) -> None:
        self._lost = self._broke = False

    def __call__(self, error: Exception) -> bool:
        if isinstance(error, (httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError)):
            # A server closes its connection behind an error, perhaps just when the next call goes out on it.
            first, self._lost = not self._lost, True
            return first
        if not isinstance(error, httpx.HTTPStatusError):
            return False
        if error.response.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
            # Twice: it is not busy, but cannot give what is asked for (see `flows.prefect_api.unreadable_runs`).
            first, self._broke = not self._broke, True
            return first
        return error.response.is_server_error or error.response.status_code == httpx.codes.TOO_MANY_REQUESTS


def prefect_runs(url: str, job_ids: list[str]) -> list[Run]:
    """Return all runs that Prefect has of these jobs.

    Raises:
        PrefectSilent: it does not answer, or not as Prefect does.
    """
    try:
        with httpx.Client(base_url=url.rstrip("/"), timeout=ASK_SECONDS, headers=authentication()) as client:
            return _runs(client, job_ids)
    except httpx.HTTPStatusError as error:
        if error.response.status_code in REFUSED:
            raise PrefectSilent(f"{refusal(url)}; it was not compared") from None
        code = error.response.status_code
        raise PrefectSilent(f"Prefect at {redact_url(url)} answered {code}, so it was not compared") from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        msg = f"Prefect at {redact_url(url)} could not be asked ({type(error).__name__}), so it was not compared"
        raise PrefectSilent(msg) from None


def _runs(client: httpx.Client, job_ids: list[str]) -> list[Run]:
    """Return all runs of these jobs, except those that Prefect fails on."""
    runs: list[Run] = []
    body: dict[str, Any] = {
        "flows": {"name": {"any_": ["run-job"]}},
        "flow_runs": {"name": {"any_": job_ids}},
        "sort": "ID_DESC",
        "limit": PAGE,
    }
    try:
        while True:
            page = ask(client, "POST", "/flow_runs/filter", body | {"offset": len(runs)}).json()
            runs += [Run(str(each["id"]), str(each["name"]), str(each["state_type"])) for each in page]
            if len(page) < PAGE:
                return runs
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.INTERNAL_SERVER_ERROR:
            raise
    middle = len(job_ids) // 2
    return _runs(client, job_ids[:middle]) + _runs(client, job_ids[middle:]) if middle else []
