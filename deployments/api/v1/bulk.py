"""Something is done with all jobs that a filter names: first it is said which they are, then it is done."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from deployments.api.bulk import Part
from deployments.api.calls import Calls
from deployments.api.door import AtDoor
from deployments.api.responses import problems
from deployments.api.v1.bodies import Body, described, read_body
from models import clock
from models.bulk import BulkAct
from models.identity.access import Caller
from models.job import State
from models.labels import MAX_LABELS, labels_said
from models.moments import window_of
from storage.log.job_lists import Query

router = APIRouter(tags=["jobs"])

MAX_JOBS = 1000
"""Jobs of one call."""


class Which(Body):
    """Which jobs; one has to fit all that is said, and something has to be."""

    backend: str = Field(default="", max_length=100)
    state: list[Literal[tuple(State)]] = Field(default=[], max_length=len(State), description="One or several.")  # type: ignore[valid-type]
    user: str = Field(default="", max_length=200, description="For operators.")
    project: str = Field(default="", max_length=100)
    group: str = Field(default="", max_length=100)
    label: list[Annotated[str, Field(max_length=300)]] = Field(
        default=[], max_length=MAX_LABELS, description="NAME=VALUE; of several a job has them all."
    )
    since: str = Field(default="", max_length=40, description="Handed in then or later: a time, or so long ago (2h).")
    until: str = Field(default="", max_length=40, description="Handed in before then; the same.")
    dry_run: bool = Field(default=True, description="Say which jobs they are, and do nothing.")
    reason: str = Field(default="", max_length=200, description="Of a cancellation; it is kept.")
    limit: int = Field(default=MAX_JOBS, ge=1, le=MAX_JOBS, description="At most so many; call again for more.")

    def query(self) -> Query:
        """Return the list of these jobs.

        Raises:
            InputError: a time or a label is none.
        """
        since, until = window_of(self.since, self.until, clock.now())
        return Query(
            backend=self.backend,
            user=self.user,
            project=self.project,
            states=frozenset(map(State, self.state)),
            since=since,
            until=until,
            group=self.group,
            labels=tuple(labels_said(self.label).items()),
        )


class Failure(BaseModel):
    """A job with which it could not be done, and why."""

    job_id: str
    message: str


class Acted(BaseModel):
    """What was done, or would be.

    Attributes:
        job_ids: of the jobs with which it was done, or would be.
        more: whether there are others, for another call.
    """

    dry_run: bool
    job_ids: list[str]
    failed: list[Failure]
    more: bool


_EXAMPLE = {"backend": "singlequdit", "since": "2h", "dry_run": True}
_RESPONSES = problems(403, 404, 409, 422)


@router.post("/jobs:cancel", response_model=Acted, responses=_RESPONSES, openapi_extra=described(Which, _EXAMPLE))
async def cancel_jobs(request: Request, door: AtDoor) -> Response:
    """Cancel all jobs of yours that a filter names; unless `dry_run` is false it is only said which they are."""
    return await _do(request, door, "cancel")


@router.post("/jobs:retry", response_model=Acted, responses=_RESPONSES, openapi_extra=described(Which, _EXAMPLE))
async def retry_jobs(request: Request, door: AtDoor) -> Response:
    """Give all jobs of yours that a filter names another chance; unless `dry_run` is false nothing is done."""
    return await _do(request, door, "retry")


async def _do(request: Request, door: AtDoor, act: BulkAct) -> Response:
    which = await read_body(request, Which, lambda body: body)

    def act_on(calls: Calls, caller: Caller) -> Part:
        if which.dry_run:
            return calls.bulk.find(caller, act, which.query(), which.limit)
        return calls.bulk.do(caller, act, which.query(), which.limit, which.reason)

    done, more = await door.ask(act_on)
    failed = [{"job_id": job_id, "message": message} for job_id, message in done.failed.items()]
    job_ids = [job.job_id for job in done.jobs]
    return JSONResponse({"dry_run": which.dry_run, "job_ids": job_ids, "failed": failed, "more": more})
