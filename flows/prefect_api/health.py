"""Asks Prefect whether it answers, what time it has, and whether its schedules of our deployments fire."""

import functools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from models import clock
from models.health import PREFECT, SCHEDULES, Part
from models.health_of_prefect import Schedule, judge_schedules
from models.settings import redact_url
from tasks.health.side_by_side import Answer, Question, parts_unknown

if TYPE_CHECKING:
    import httpx

ASK_SECONDS = 2.5
"""So long one call may take; all of them together have a deadline besides."""

SLACK = timedelta(seconds=60)
"""What Prefect's scheduler may be late besides its own rhythm."""

OURS = "quledger"
"""The tag of our deployments."""

WAITING = ["Scheduled", "Late"]
"""Names of the states of a run that nobody has taken; one that waits for the run before it has another."""

_SPAN: TypeAdapter[timedelta] = TypeAdapter(timedelta)


def question(url: str) -> Question:
    """Return what is asked of the Prefect at this address."""
    do = "look at Prefect's server; `quledger up` starts one"
    return Question((PREFECT, SCHEDULES), functools.partial(_ask, url), do=do)


def _ask(url: str) -> Answer:
    import httpx  # noqa: PLC0415 - where there is no Prefect, nothing is asked

    from flows.prefect_api.client import REFUSED, authentication, refusal  # noqa: PLC0415 - as above

    named = redact_url(url)
    try:
        with httpx.Client(base_url=url.rstrip("/"), timeout=ASK_SECONDS, headers=authentication()) as client:
            asked_at = clock.now()
            health = client.get("/health").raise_for_status()
            ahead = _ahead(health, asked_at, clock.now())
            schedules = judge_all(lambda *call: _call(client, *call), clock.now())
    except httpx.HTTPStatusError as error:
        code = error.response.status_code
        why = refusal(url) if code in REFUSED else f"Prefect at {named} answered {code}"
        return Answer(parts_unknown(question(url), why))
    except httpx.TimeoutException:
        return Answer(parts_unknown(question(url), f"Prefect at {named} has not answered for {ASK_SECONDS:g} seconds"))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Answer(parts_unknown(question(url), f"Prefect at {named} does not answer ({type(error).__name__})"))
    except (ValueError, KeyError, TypeError):
        return Answer(parts_unknown(question(url), f"what answers at {named} is no Prefect API that is known here"))
    works = Part(name=PREFECT, status="ok", says=f"answers at {named}")
    return Answer([works, schedules], {} if ahead is None else {"Prefect": ahead})


def _ahead(response: "httpx.Response", before: datetime, after: datetime) -> float | None:
    """Return by how much Prefect's clock is ahead of ours beyond doubt; its header has whole seconds."""
    try:
        told = parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None
    if told > after:
        return (told - after).total_seconds()
    return min(0.0, (told - before).total_seconds() + 1.0)


def _call(client: "httpx.Client", method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    return client.request(method, path, json=body).raise_for_status().json()


def judge_all(call: Callable[..., Any], now: datetime) -> Part:
    """Judge the schedules of our deployments.

    Args:
        call: asks Prefect: method, path, body.
    """
    scheduler = call("GET", "/admin/settings")["server"]["services"]["scheduler"]
    ahead = _span(scheduler["min_scheduled_time"]) - 2 * timedelta(seconds=scheduler["loop_seconds"]) - SLACK
    deployments = call("POST", "/deployments/filter", {"deployments": {"tags": {"all_": [OURS]}}})
    schedules = [_schedule(call, each, now) for each in deployments if _fires(each)]
    return judge_schedules(schedules, now, ahead, enabled=scheduler["enabled"])


def _fires(deployment: dict[str, Any]) -> bool:
    return not deployment["paused"] and any(schedule["active"] for schedule in deployment["schedules"])


def _schedule(call: Callable[..., Any], deployment: dict[str, Any], now: datetime) -> Schedule:
    body = {
        "deployments": {"id": {"any_": [deployment["id"]]}},
        "flow_runs": {"state": {"name": {"any_": WAITING}}},
        "limit": 1,
    }
    first = _starts(call("POST", "/flow_runs/filter", body | {"sort": "EXPECTED_START_TIME_ASC"}))
    last = _starts(call("POST", "/flow_runs/filter", body | {"sort": "EXPECTED_START_TIME_DESC"}))
    every = [each["schedule"].get("interval") for each in deployment["schedules"] if each["active"]]
    return Schedule(
        name=deployment["name"],
        next_at=next((at for at in last if at > now), None),
        late_since=next((at for at in first if at <= now), None),
        every=min(every) if every and None not in every else None,
    )


def _starts(runs: Sequence[dict[str, Any]]) -> list[datetime]:
    found = [datetime.fromisoformat(run["expected_start_time"]) for run in runs if run["auto_scheduled"]]
    return [each.astimezone(UTC) for each in found]


def _span(text: Any) -> timedelta:
    return _SPAN.validate_python(text)
