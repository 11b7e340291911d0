"""What is done to a job that there is, and the stream of its events."""

import contextlib
import functools
import time
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field

from deployments.api.calls import Calls
from deployments.api.door import AtDoor, Door
from deployments.api.responses import problems
from deployments.api.v1.bodies import Body, described, read_body
from deployments.api.v1.jobs import JobId
from deployments.api.v1.submissions import Answered, Key, answer_begun
from deployments.api.views import EventView, JobView
from models.errors import QuledgerError
from models.events import Event
from models.identity.access import Caller
from models.job import FINAL, Job
from models.labels import MAX_LABELS, LabelChanges, one_spelling_of
from models.names import one_spelling

router = APIRouter(prefix="/jobs", tags=["jobs"])

BEAT_SECONDS = 15.0
"""So often a stream without events says that it lives."""

MAX_STREAM_SECONDS = 3600.0
"""A client that wants more comes again, and names the last event that it has."""


@router.post("/{job_id}/cancel", response_model=JobView, responses=problems(403, 404, 409, 422))
async def cancel(
    door: AtDoor, job_id: JobId, reason: Annotated[str, Query(max_length=200, description="It is kept.")] = ""
) -> Response:
    """Cancel a job: at once where it waits; where it runs, its worker stops it within seconds."""
    return _shown(await door.ask(lambda calls, caller: calls.cancel(caller, job_id, reason)))


@router.post("/{job_id}/retry", response_model=JobView, responses=problems(403, 404, 409, 422))
async def retry(door: AtDoor, job_id: JobId) -> Response:
    """Give a job that ended in ERROR through no fault of its own another chance."""
    return _shown(await door.ask(lambda calls, caller: calls.retry(caller, job_id)))


@router.post(
    "/{job_id}/rerun",
    status_code=201,
    response_model=Answered,
    responses=problems(
        403, 404, 409, 422, also={200: {"model": Answered, "description": "It was run again with this key before."}}
    ),
)
async def rerun(
    door: AtDoor,
    job_id: JobId,
    idempotency_key: Key = None,
    exact: Annotated[Literal["true", "false"], Query(description="With the seed on record; see `changes`.")] = "false",
) -> Response:
    """Hand in the same document again, as a new job that is derived from this one."""
    return await answer_begun(
        door, await door.calls.rerun(await door.caller(), job_id, idempotency_key, exact=exact == "true")
    )


class ChangeView(BaseModel):
    """Something that is otherwise now than when the job ran; what there is not is `-`."""

    what: str = Field(examples=["numpy"])
    then: str
    now: str


@router.get("/{job_id}/changes", response_model=list[ChangeView], responses=problems(404, 422))
async def get_changes(door: AtDoor, job_id: JobId) -> Response:
    """Say what is otherwise now than when the job ran: versions, configuration, calibration."""
    changes = await door.ask(lambda calls, caller: calls.calibrations.changes(calls.job(caller, job_id)))
    return JSONResponse([each._asdict() for each in changes])


class LabelsIn(Body):
    """Labels to be set, and with null those that are to go."""

    labels: dict[str, str | None] = Field(min_length=1, max_length=2 * MAX_LABELS)

    def changes(self) -> LabelChanges:
        """Return what is to be changed."""
        given = one_spelling_of({name: value or "" for name, value in self.labels.items()})
        gone = {one_spelling(name) for name, value in self.labels.items() if value is None}
        return LabelChanges({name: value for name, value in given.items() if name not in gone}, tuple(gone))


@router.patch(
    "/{job_id}/labels",
    response_model=JobView,
    responses=problems(403, 404, 409, 422),
    openapi_extra=described(LabelsIn, {"labels": {"sample": "A7", "draft": None}}),
)
async def label(request: Request, door: AtDoor, job_id: JobId) -> Response:
    """Set labels of a job, and take away those whose value is null; it is an event of the job."""
    changes = await read_body(request, LabelsIn, LabelsIn.changes)
    return _shown(await door.ask(lambda calls, caller: calls.label(caller, job_id, changes)))


@router.delete("/{job_id}", status_code=204, responses=problems(403, 404, 409, 422))
async def hide(door: AtDoor, job_id: JobId) -> Response:
    """Take a job that has ended out of your lists; the log keeps it."""
    await door.ask(lambda calls, caller: calls.hide(caller, job_id))
    return Response(status_code=204)


@router.get(
    "/{job_id}/events",
    response_class=StreamingResponse,
    responses=problems(
        404,
        422,
        also={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events."}},
    ),
)
async def stream(
    request: Request,
    door: AtDoor,
    job_id: JobId,
    last_event_id: Annotated[
        str | None, Header(pattern="^[0-9]{1,9}$", description="Of the last event that you have.")
    ] = None,
) -> Response:
    """Follow a job: its events as they are appended (server-sent events), until it has ended."""
    job, caller = await door.look(lambda calls, caller: (calls.job(caller, job_id), caller))
    door.calls.waits.expect_room(caller)
    seen = -1 if last_event_id is None else int(last_event_id)
    return StreamingResponse(_events(request, door, caller, job, seen), media_type="text/event-stream")


async def _events(request: Request, door: Door, caller: Caller, job: Job, seen: int) -> AsyncIterator[str]:
    until = time.monotonic() + MAX_STREAM_SECONDS
    # Whoever comes again is told why it ended: the token, the job, or too many streams.
    with contextlib.suppress(QuledgerError), door.calls.waits.held(caller):
        while time.monotonic() < until and not (door.calls.waits.is_over or await request.is_disconnected()):
            now, events, whole = await door.look_again(caller, functools.partial(_news, job.job_id, seen))
            for event in events:
                seen, data = event.seq, EventView.of(event, whole=whole).model_dump_json()
                yield f"id: {seen}\nevent: {event.kind}\ndata: {data}\n\n"
            if now.state in FINAL:
                return
            if not await door.calls.waits.change(caller, now, BEAT_SECONDS):
                yield ": still here\n\n"


def _news(job_id: str, seen: int, calls: Calls, caller: Caller) -> tuple[Job, list[Event], bool]:
    # The job first: what comes after it has been read is no news to the wait that follows.
    job = calls.job(caller, job_id)
    events, whole = calls.history(caller, job_id, after=seen)
    return job, events, whole


def _shown(job: Job) -> Response:
    return Response(JobView.of(job).model_dump_json(), media_type="application/json")
