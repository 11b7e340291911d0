"""What Prefect says of jobs, asked over HTTP: no command that only compares has to import Prefect for it."""

import os
from typing import Any

import httpx

from models.audit import Run
from models.errors import QuledgerError
from models.settings import redact_url

PAGE = 200
"""Prefect's own limit of one answer."""

ASK_SECONDS = 15.0


class PrefectSilent(QuledgerError):
    """Prefect could not be asked; everything else may still be compared."""


def authentication() -> dict[str, Any]:
    """Return what an HTTP client needs to be let in, as Prefect's own settings say it."""
    key, password = os.environ.get("PREFECT_API_KEY"), os.environ.get("PREFECT_API_AUTH_STRING")
    if key:
        return {"headers": {"Authorization": f"Bearer {key}"}}
    if password:
        user, _, secret = password.partition(":")
        return {"auth": (user, secret)}
    return {}


def prefect_runs(url: str, job_ids: list[str]) -> list[Run]:
    """Return all runs that Prefect has of these jobs.

    Raises:
        PrefectSilent: it does not answer, or not as Prefect does.
    """
    runs: list[Run] = []
    body: dict[str, Any] = {
        "flows": {"name": {"any_": ["run-job"]}},
        "flow_runs": {"name": {"any_": job_ids}},
        "sort": "ID_DESC",
        "limit": PAGE,
    }
    try:
        with httpx.Client(timeout=ASK_SECONDS, **authentication()) as client:
            while True:
                answer = client.post(f"{url.rstrip('/')}/flow_runs/filter", json=body | {"offset": len(runs)})
                page = answer.raise_for_status().json()
                runs += [Run(str(each["id"]), str(each["name"]), str(each["state_type"])) for each in page]
                if len(page) < PAGE:
                    return runs
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        msg = f"Prefect at {redact_url(url)} could not be asked ({type(error).__name__}), so it was not compared"
        raise PrefectSilent(msg) from None
