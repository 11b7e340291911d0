"""Jobs are listed, and followed to their results."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from deployments.api.calls import Calls
from deployments.api.door import AtDoor
from deployments.api.records import MAX_THEN
from deployments.api.responses import problems
from deployments.api.result_files import FORMS, ResultFormat, is_npz
from deployments.api.sending import in_parts
from deployments.api.views import EventView, JobView
from models import clock
from models.clock import UtcDatetime
from models.identity.access import Caller
from models.job import FINAL, State
from models.labels import MAX_LABELS, labels_said
from models.moments import past_moment_of
from models.why import Why
from storage.log import job_lists
from storage.log.past import handed_in_by

router = APIRouter(prefix="/jobs", tags=["jobs"])

MAX_WAIT = 60

SHORT = 100
"""Jobs of a page that is quicker read than handed to a thread."""

JobId = Annotated[
    str, Path(max_length=200, description="The job's id, or as much of its beginning as tells it from others.")
]
Wait = Annotated[float, Query(ge=0, le=MAX_WAIT, description="Seconds to wait for a change, at once if it has ended.")]


class JobList(BaseModel):
    """One page of a list.

    Attributes:
        next: cursor of the next page; null on the last one.
        total: how many jobs there are in all, where that was asked.
        at: the time as of which the jobs stand, where that was asked; to be given again with `next`.
    """

    jobs: list[JobView]
    next: str | None
    total: int | None = None
    at: datetime | None = None


def _in_words(value: object) -> object:
    """Refuse a number: nobody knows of what unit it would be."""
    if isinstance(value, str) and "T" not in value.upper():
        msg = "a time is written as 2026-01-31T12:00:00Z"
        raise ValueError(msg)
    return value


AT = "As it stood then: a time with its zone, or so long ago (90m)."
Moment = Annotated[UtcDatetime, BeforeValidator(_in_words)]


class Narrowing(BaseModel):
    """Which jobs are meant: those to which all of it applies."""

    model_config = ConfigDict(extra="forbid")

    backend: str = Field(default="", max_length=100)
    state: list[State] = Field(default=[], description="One or several.")
    user: str = Field(default="", max_length=200, description="For operators.")
    project: str = Field(default="", max_length=100)
    group: str = Field(default="", max_length=100)
    label: list[Annotated[str, Field(max_length=300)]] = Field(
        default=[], max_length=MAX_LABELS, description="NAME=VALUE; of several a job has them all."
    )
    since: Moment | None = Field(default=None, description="Handed in then or later; a time with its zone.")
    until: Moment | None = Field(default=None, description="Handed in before then; a time with its zone.")

    def query(self) -> job_lists.Query:
        """Return the list of these jobs, newest first.

        Raises:
            BadName: a label cannot be one.
        """
        return job_lists.Query(
            backend=self.backend,
            states=frozenset(self.state),
            user=self.user,
            project=self.project,
            since=self.since,
            until=self.until,
            group=self.group,
            labels=tuple(labels_said(self.label).items()),
        )


class Filters(Narrowing):
    """What a list of jobs is narrowed to."""

    q: str = Field(default="", max_length=200, description="The beginning of the id.")
    sort: Literal["newest", "oldest"] = "newest"
    cursor: str = Field(default="", max_length=400, description="From `next` of the page before.")
    limit: int = Field(default=50, ge=1, le=1000)
    total: bool = Field(default=False, description="Count them all too.")
    at: str = Field(
        default="",
        max_length=40,
        description=f"{AT} At most {MAX_THEN} jobs a page; it goes with neither `state` nor `label`.",
        examples=["1m"],
    )


@router.get("", response_model=JobList, responses=problems(422))
async def list_jobs(door: AtDoor, filters: Annotated[Filters, Query()]) -> Response:
    """List your jobs and those of your projects, a page at a time; operators list all."""
    query = replace(filters.query(), prefix=filters.q, newest_first=filters.sort == "newest")
    at = past_moment_of(filters.at, "at", clock.now()) if filters.at else None

    def listed(calls: Calls, caller: Caller) -> str:
        if at is None:
            page = calls.page(caller, query, limit=filters.limit, cursor=filters.cursor)
        else:
            page = calls.records.page_then(caller, query, at, limit=filters.limit, cursor=filters.cursor)
        total = calls.count(caller, query if at is None else handed_in_by(query, at)) if filters.total else None
        found = JobList(jobs=list(map(JobView.of, page.jobs)), next=page.next_cursor, total=total, at=at)
        return found.model_dump_json()

    is_short = filters.limit <= SHORT and not (filters.total or filters.label or filters.at)
    found = await (door.look(listed) if is_short else door.ask(listed))
    return Response(found, media_type="application/json")


@router.get(
    "/{job_id}",
    response_model=JobView,
    responses=problems(404, 422, also={304: {"description": "It has not changed since the version of the ETag."}}),
)
async def get_job(
    door: AtDoor,
    job_id: JobId,
    wait: Wait = 0,
    at: Annotated[str, Query(max_length=40, description=f"{AT} Without `wait` and without an ETag.")] = "",
    if_none_match: Annotated[str | None, Header(description="The ETag that you have.", max_length=200)] = None,
) -> Response:
    """Return where a job stands; with `wait` as soon as that changes, with `at` where it stood then."""
    if at:
        moment = past_moment_of(at, "at", clock.now())
        then = await door.ask(lambda calls, caller: calls.records.then(calls.job(caller, job_id), moment))
        return Response(JobView.of(then).model_dump_json(), media_type="application/json")
    job, caller = await door.look(lambda calls, caller: (calls.job(caller, job_id), caller))
    seen = _version(if_none_match)
    if wait and job.state not in FINAL and seen in (None, job.seq):
        await door.calls.waits.until_changed(caller, job, wait)
        job = await door.look_again(caller, lambda calls, caller: calls.job(caller, job.job_id))
    tag = {"ETag": f'"{job.seq}"'}
    if seen == job.seq:
        return Response(status_code=304, headers=tag)
    return Response(JobView.of(job).model_dump_json(), media_type="application/json", headers=tag)


def _version(tag: str | None) -> int | None:
    text = (tag or "").removeprefix("W/").strip('"')
    return int(text) if text.isdecimal() and len(text) < 10 else None  # noqa: PLR2004 - no job has so many events


@router.get("/{job_id}/history", response_model=list[EventView], responses=problems(404))
async def get_history(door: AtDoor, job_id: JobId) -> Response:
    """Return every event of a job; users see no names of workers and no paths."""
    events, whole = await door.ask(lambda calls, caller: calls.history(caller, job_id))
    return JSONResponse([EventView.of(event, whole=whole).model_dump(mode="json") for event in events])


class WhyView(Why):
    """Why a job stands where it does, and when it goes on.

    Attributes:
        lines: all of it in sentences.
    """

    lines: list[str]


@router.get("/{job_id}/why", response_model=WhyView, responses=problems(404))
async def get_why(door: AtDoor, job_id: JobId) -> Response:
    """Return why a job stands where it does: its place in line, what holds it, and when it is expected to go on."""
    said = await door.ask(lambda calls, caller: calls.why(caller, job_id))
    return JSONResponse(said.model_dump(mode="json") | {"lines": said.sentences()})


@router.get(
    "/{job_id}/document",
    responses=problems(
        404, 409, also={200: {"content": {"application/json": {}}, "description": "The document to the letter."}}
    ),
)
async def get_document(door: AtDoor, job_id: JobId) -> Response:
    """Return the job document as it was handed in."""
    content = await door.ask(lambda calls, caller: calls.document(caller, job_id))
    return Response(content, media_type="application/json")


PARQUET, NPZ = "application/vnd.apache.parquet", "application/x-npz"
MEDIA_TYPES: dict[ResultFormat, str] = {
    "json": "application/json",
    "csv": "text/csv",
    "parquet": PARQUET,
    "npz": NPZ,
}


@router.get(
    "/{job_id}/result",
    responses=problems(
        404,
        409,
        422,
        also={
            200: {
                "content": {"application/json": {}, "text/csv": {}, PARQUET: {}, NPZ: {}},
                "description": "The result, as JSON and for numpy whole; as CSV and Parquet the counts, or the "
                "expectation values.",
            }
        },
    ),
)
async def get_result(
    request: Request,
    door: AtDoor,
    job_id: JobId,
    wanted: Annotated[ResultFormat | None, Query(alias="format", description="JSON, if it is not given.")] = None,
    wait: Wait = 0,
) -> Response:
    """Return the result of a job that is DONE: the one that was accepted, checked against its hash and signature.

    Without `format`, whoever accepts application/x-npz gets large results so where that is much shorter.
    """

    def made(calls: Calls, caller: Caller, job_id: str) -> memoryview:
        if wanted is None and _reads_npz(request):
            return calls.shorter_result_file(caller, job_id)
        return calls.result_file(caller, job_id, FORMS[wanted or "json"])

    if not wait:
        content = await door.ask(lambda calls, caller: made(calls, caller, job_id))
    else:
        job, caller = await door.look(lambda calls, caller: (calls.job(caller, job_id), caller))
        await door.calls.wait_for_end(caller, job, wait)
        caller = await door.look_again(caller, lambda _calls, caller: caller)
        content = await door.run(lambda calls: made(calls, caller, job.job_id))
    sent = wanted or ("npz" if is_npz(content) else "json")
    return in_parts(content, MEDIA_TYPES[sent], {} if wanted else {"Vary": "Accept"})


def _reads_npz(request: Request) -> bool:
    return NPZ in [each.partition(";")[0].strip() for each in request.headers.get("accept", "").lower().split(",")]
