"""What is on record: two jobs side by side, and the schemas of all documents."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from deployments import schemas
from deployments.api.door import AtDoor
from deployments.api.responses import Responses, problems
from deployments.api.v1.backends import SCHEMA
from deployments.api.v1.jobs import JobId
from models.identity.access import Act
from models.job_language.document_schema import DIALECT

router = APIRouter(tags=["records"])

A_SCHEMA: Responses = {
    200: {"content": {SCHEMA: {"schema": {"$ref": DIALECT}}}, "description": "A JSON Schema (2020-12)."}
}


class ComparedView(BaseModel):
    """How two results of one experiment compare; what says nothing of them is left out or null.

    Attributes:
        same: to the last shot.
        shots: of both; null where one lacks the experiment.
        distance: total variation, 0 to 1.
        p_value: how often chance alone makes counts differ so much.
        values: expectation values of both.
        sigmas: their difference in standard errors.
    """

    experiment: str
    same: bool
    shots: list[int | None]
    distance: float | None = None
    p_value: float | None = None
    values: list[float] | None = None
    sigmas: float | None = None


class DiffView(BaseModel):
    """In what two jobs differ.

    Attributes:
        same: nothing differs.
        changes: each thing in which they differ, with both sides; `document` and `calibration_changes` list places,
            `versions` packages.
        results: null where they were not compared: one has none, or `note` says why.
    """

    jobs: list[str] = Field(examples=[["0123456789abcdef01234567", "1123456789abcdef01234567"]])
    same: bool
    changes: dict[str, Any]
    results: list[ComparedView] | None
    note: str


@router.get("/jobs/{job_id}/diff/{other}", response_model=DiffView, responses=problems(404, 409))
async def get_diff(door: AtDoor, job_id: JobId, other: JobId) -> Response:
    """Say in what two jobs differ: document, backend, program, seed, calibration, versions, and their results."""
    found = await door.ask(
        lambda calls, caller: calls.records.diff(
            calls.job(caller, job_id, Act.EXPORT), calls.job(caller, other, Act.EXPORT)
        )
    )
    return JSONResponse(found)


class Retention(BaseModel):
    """How many days results and payloads are kept; null for ever. Histories stay."""

    results_days: float | None
    payloads_days: float | None


@router.get("/retention", response_model=Retention, responses=problems())
async def get_retention(door: AtDoor) -> Response:
    """Say how long results and payloads are kept here."""
    return JSONResponse(await door.ask(lambda calls, _caller: calls.records.retention()))


@router.get("/schemas", response_model=dict[str, str], responses=problems())
async def list_schemas(door: AtDoor) -> Response:
    """List the JSON Schemas of all documents by their names, with what each describes."""
    return JSONResponse(await door.ask(lambda _calls, _caller: schemas.listed()))


@router.get(
    "/schemas/{name:path}",
    responses=problems(404, also=A_SCHEMA),
)
async def get_schema(
    door: AtDoor, name: Annotated[str, Path(max_length=110, description="As the list has it.", examples=["result"])]
) -> Response:
    """Return one of the schemas."""
    return JSONResponse(await door.ask(lambda _calls, _caller: schemas.find(name)), media_type=SCHEMA)
