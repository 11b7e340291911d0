"""The list of jobs: filters, pages by cursor, and the states of those that have not ended."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from deployments.api.pages.answers import PageRoute
from deployments.api.pages.rendering import render
from deployments.api.pages.timeline import tone
from deployments.api.pages.visits import AtPage
from deployments.api.views import JobView
from models.errors import InputError, UnknownJob
from models.job import FINAL, RUNNING, State
from models.labels import labels_said
from models.names import is_job_id
from storage.log import job_lists

router = APIRouter(prefix="/ui", route_class=PageRoute, include_in_schema=False)

PAGE = 50
NAMES = ("backend", "state", "user", "project", "group", "label", "since", "until", "q")
CHOICES: dict[str, frozenset[State]] = {"OPEN": RUNNING | {State.QUEUED}, "RUNNING": RUNNING} | {
    state.value: frozenset({state})
    for state in (State.QUEUED, State.DONE, State.ERROR, State.CANCELLED, State.WITHDRAWN)
}
MAX_FOLLOWED = 100


@router.get("/jobs")
async def list_jobs(request: Request, visit: AtPage) -> Response:
    """Show one page of the jobs that the visitor may see."""
    given = {name: request.query_params.get(name, "")[:300].strip() for name in NAMES}
    cursor = request.query_params.get("cursor", "")
    wrong, found = "", job_lists.Page([], None)
    try:
        query = _query(given)
        found = await visit.ask(lambda calls, caller: calls.page(caller, query, limit=PAGE, cursor=cursor))
    except InputError as error:
        wrong = f"{error}."
    names = await visit.ask(lambda calls, _caller: calls.laboratory.names())
    kept = {name: value for name, value in given.items() if value}
    return render(
        request,
        "jobs.html",
        visit,
        here="jobs",
        code=422 if wrong else 200,
        jobs=[JobView.of(job) for job in found.jobs],
        filters=given,
        is_filtered=bool(kept),
        backends=names,
        choices=CHOICES,
        wrong=wrong[:1].upper() + wrong[1:],
        is_first=not cursor,
        first_page=_address(kept),
        next_page=found.next_cursor and _address(kept | {"cursor": found.next_cursor}),
        is_operator=visit.is_operator,
        may_submit=visit.may_submit,
    )


@router.get("/job-states")
async def states(visit: AtPage, job_ids: Annotated[list[str], Query(alias="id", max_length=MAX_FOLLOWED)]) -> Response:
    """Return the states of some jobs; those that the visitor may not see are left out."""

    def found() -> dict[str, Any]:
        answer = {}
        for job_id in job_ids:
            try:
                job = visit.calls.job(visit.caller, job_id)
            except UnknownJob:
                continue
            answer[job_id] = {"state": job.state.value, "tone": tone(job.state), "final": job.state in FINAL}
        return answer

    return JSONResponse(await visit.ask(lambda _calls, _caller: found()))


def _query(given: dict[str, str]) -> job_lists.Query:
    """Return what is asked for.

    Raises:
        InputError: a filter says what cannot be.
    """
    if given["state"] and given["state"] not in CHOICES:
        raise InputError("there is no such state")
    if given["q"] and not is_job_id(given["q"]):
        raise InputError("no id of a job begins so")
    until = _midnight(given["until"])
    return job_lists.Query(
        backend=given["backend"],
        user=given["user"],
        project=given["project"],
        states=CHOICES.get(given["state"], frozenset()),
        since=_midnight(given["since"]),
        until=until and until + timedelta(days=1),
        prefix=given["q"],
        group=given["group"],
        labels=tuple(labels_said([given["label"]] if given["label"] else []).items()),
    )


def _midnight(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.combine(date.fromisoformat(text), time(tzinfo=UTC))
    except ValueError:
        raise InputError("a day is written as 2026-11-30") from None
    if not FIRST_YEAR <= moment.year < LAST_YEAR:
        raise InputError(f"a day is of the years {FIRST_YEAR} to {LAST_YEAR - 1}")
    return moment


FIRST_YEAR, LAST_YEAR = 1970, 9999


def _address(query: dict[str, str]) -> str:
    return f"/ui/jobs?{urlencode(query)}" if query else "/ui/jobs"
