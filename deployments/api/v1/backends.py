"""The backends: what they can do, and how many jobs wait for each."""

import functools
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from deployments.api.door import AtDoor
from deployments.api.laboratory import Laboratory
from deployments.api.responses import problems
from deployments.api.v1.bodies import Body, described, read_body
from models.backend import BackendConfig
from models.job_language.document_schema import DIALECT
from models.pauses import MAX_REASON

router = APIRouter(prefix="/backends", tags=["backends"])

SCHEMA = "application/schema+json"

Name = Annotated[str, Path(max_length=100, description="Display name of the backend.")]


class PauseView(BaseModel):
    """Why nothing of a backend begins; jobs are taken all the same.

    Attributes:
        drain_down: what was claimed before comes to its end.
        until: it is over then by itself; null if an operator has to resume.
        text: the same in one line.
    """

    drain_down: bool
    reason: str
    until: datetime | None
    since: datetime
    text: str


class PauseIn(Body):
    """How a backend is paused."""

    reason: str = Field(default="", max_length=MAX_REASON, description="Everybody reads it.")
    until: str = Field(
        default="", max_length=40, description="A time with its zone, or a span such as 90m; else until it is resumed."
    )
    drain_down: bool = Field(default=False, description="Let all end that was claimed, not only what is executing.")


class BackendView(BaseModel):
    """A backend.

    Attributes:
        config: as it is published for front ends.
        waiting: how many jobs wait for it, of all users.
        running: how many jobs it runs.
        pause: null where it is served.
        eta: when all is expected to have ended that waits and runs now, of all users; null where nothing does, where it
            is paused without an end, or where nothing is known of how long its jobs take.
    """

    name: str
    config: BackendConfig
    waiting: int
    running: int
    pause: PauseView | None
    eta: datetime | None


@router.get("", response_model=list[BackendView], responses=problems())
async def list_backends(door: AtDoor) -> Response:
    """List the backends of this laboratory."""
    return JSONResponse(await door.ask(lambda calls, _caller: calls.laboratory.backends()))


@router.get("/{name}", response_model=BackendView, responses=problems(404))
async def get_backend(door: AtDoor, name: Name) -> Response:
    """Return one backend."""
    return JSONResponse(await door.ask(lambda calls, _caller: calls.laboratory.backend(name)))


@router.get(
    "/{name}/schema",
    response_class=JSONResponse,
    responses=problems(
        404,
        also={200: {"content": {SCHEMA: {"schema": {"$ref": DIALECT}}}, "description": "A JSON Schema (2020-12)."}},
    ),
)
async def get_schema(door: AtDoor, name: Name) -> Response:
    """Return the JSON Schema of the documents that a backend takes, with the limits of its device.

    All that the backend accepts fits it; a document that fits may still be refused for what no schema can say.
    """
    return JSONResponse(
        await door.ask(lambda calls, _caller: calls.laboratory.document_schema(name)), media_type=SCHEMA
    )


@router.post(
    "/{name}/pause",
    response_model=BackendView,
    responses=problems(403, 404, 409, 422),
    openapi_extra=described(PauseIn, {"reason": "laser alignment", "until": "2h"}),
)
async def pause(request: Request, door: AtDoor, name: Name) -> Response:
    """Pause a backend (operators): nothing of it begins any more, and jobs are still taken."""
    body = await read_body(request, PauseIn, lambda body: body) if await request.body() else PauseIn()
    paused = functools.partial(
        Laboratory.pause, name=name, drain_down=body.drain_down, reason=body.reason, until=body.until
    )
    return JSONResponse(await door.ask(lambda calls, caller: paused(calls.laboratory, caller)))


@router.post("/{name}/resume", response_model=BackendView, responses=problems(403, 404, 422))
async def resume(door: AtDoor, name: Name) -> Response:
    """Serve a backend again (operators); one that is not paused stays as it is."""
    return JSONResponse(await door.ask(lambda calls, caller: calls.laboratory.resume(caller, name)))
