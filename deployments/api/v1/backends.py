"""The backends: what they can do, and how many jobs wait for each."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from deployments.api.door import AtDoor
from deployments.api.responses import problems
from models.backend import BackendConfig
from models.job_language.document_schema import DIALECT

router = APIRouter(prefix="/backends", tags=["backends"])

SCHEMA = "application/schema+json"

Name = Annotated[str, Path(max_length=100, description="Display name of the backend.")]


class BackendView(BaseModel):
    """A backend.

    Attributes:
        config: as it is published for front ends.
        waiting: how many jobs wait for it, of all users.
        running: how many jobs it runs.
    """

    name: str
    config: BackendConfig
    waiting: int
    running: int


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
