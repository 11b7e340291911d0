"""Groups of jobs: sweeps are handed in, and their results read side by side."""

import asyncio
import contextlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from deployments.api.calls import Calls, Outcome
from deployments.api.door import AtDoor
from deployments.api.problems import problem_of
from deployments.api.requests import JobRequest
from deployments.api.responses import Responses, problems
from deployments.api.result_files import Format
from deployments.api.v1.bodies import Body, described, read_body
from deployments.api.v1.jobs import PARQUET
from deployments.api.v1.submissions import MAX_BATCH
from deployments.group_results import Measured, Table
from models.errors import BadName, JobRejected, QuledgerError
from models.groups import MAX_PARAMETERS, Cell, group_faults, is_group_name
from models.identity.access import Caller
from models.job import State
from models.labels import MAX_LABELS
from models.sweeps import BadSweep, RowFault, Template, document_bytes, row_keys

if TYPE_CHECKING:
    import pandas as pd

router = APIRouter(prefix="/groups", tags=["groups"])

MAX_SWEPT = 64_000_000
"""Bytes of the documents of one sweep, which a short template and many rows make: so much is in memory at once."""

LARGE_SWEEP = 1_000_000

Name = Annotated[str, Path(max_length=100, description="Name of the group.")]


class GroupListed(BaseModel):
    """A group in a list."""

    group: str
    jobs: int
    last_submitted_at: str


class GroupView(BaseModel):
    """What became of a group, of the jobs that you may see.

    Attributes:
        states: how many jobs are in each state that occurs.
        parameters: the names of what was swept, of the newest job.
    """

    group: str
    jobs: int
    states: dict[State, int]
    first_submitted_at: str
    last_submitted_at: str
    parameters: list[str]


class SweepIn(Body):
    """A sweep: a job document with places such as "{theta}", and a row of cells for each job."""

    group: str = Field(max_length=100, description="Its name; the same rows under the same name are the same jobs.")
    backend: str = Field(max_length=100, description="Display name of the backend.")
    template: dict[str, Any] = Field(description="The job document with places for cells.")
    rows: list[dict[str, bool | int | float | str]] = Field(min_length=1, max_length=MAX_BATCH)
    carry: list[str] = Field(default=[], max_length=MAX_PARAMETERS, description="Parameters that need no place.")
    project: str = Field(default="", max_length=100)
    priority: int = Field(default=0, ge=-1_000_000, le=1_000_000)
    labels: dict[str, str] = Field(default={}, max_length=MAX_LABELS)

    def requests(self) -> tuple[Template, list[JobRequest | QuledgerError]]:
        """Return the template, and of each row its job or what is wrong with its cells.

        Raises:
            BadSweep: template and rows do not fit together, or make too much.
            BadName: no group can have this name.
        """
        if not is_group_name(self.group):
            raise BadName("group: write at most 100 letters, digits, '_', '.' and '-', the first a letter or digit")
        template = Template(document_bytes(self.template))
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        if wrong := template.unknown(columns, self.carry):
            raise BadSweep("; ".join(wrong))
        made, size = [], 0
        for row, key in zip(self.rows, row_keys(self.group, self.rows), strict=True):
            made.append(self._request(template, row, key))
            size += len(made[-1].document) if isinstance(made[-1], JobRequest) else 0
            if size > MAX_SWEPT:
                raise BadSweep(
                    f"its documents have more than {MAX_SWEPT / 1e6:g} MB together; make several sweeps of it"
                )
        return template, made

    def is_large(self) -> bool:
        """Return whether its documents may take much memory."""
        return len(document_bytes(self.template)) * len(self.rows) > LARGE_SWEEP

    def _request(self, template: Template, row: dict[str, Cell], key: str) -> JobRequest | QuledgerError:
        if faults := group_faults(self.group, [row]):
            return JobRejected(*faults)
        return JobRequest(
            backend=self.backend,
            document=document_bytes(template.filled(row)),
            project=self.project,
            priority=self.priority,
            key=key,
            labels=self.labels,
            group=self.group,
            parameters=[row],
        )


class SweptFault(BaseModel):
    """One thing that is wrong with a row, which was left out; `column` is null where none is to blame."""

    row: int
    column: str | None
    message: str


class SweepAnswer(BaseModel):
    """What became of a sweep: its jobs, and what is wrong with the rows that were left out."""

    group: str
    rows: int
    submitted: int
    present: int
    left_out: int
    jobs: list[str]
    faults: list[SweptFault]


_EXAMPLE = {
    "group": "rabi-tuesday",
    "backend": "singlequdit",
    "template": {
        "experiment_0": {
            "instructions": [["load", [0], [50]], ["rlx", [0], ["{theta}"]], ["measure", [0], []]],
            "num_wires": 1,
            "shots": 500,
        }
    },
    "rows": [{"theta": 0.5}, {"theta": 1.0}],
}


@router.post("", response_model=SweepAnswer, responses=problems(403, 422), openapi_extra=described(SweepIn, _EXAMPLE))
async def submit_sweep(request: Request, door: AtDoor) -> Response:
    """Hand in a job for each row, those that are not there yet; rows with faults are left out and named."""
    caller = await door.caller()
    wanted = await read_body(request, SweepIn, lambda body: body)
    async with door.calls.many if wanted.is_large() else contextlib.nullcontext():
        template, requests = await asyncio.to_thread(wanted.requests)
        outcomes = await door.calls.submit(caller, requests)
    return JSONResponse(await asyncio.to_thread(_answered, wanted, template, outcomes))


def _answered(wanted: SweepIn, template: Template, outcomes: list[Outcome]) -> dict[str, Any]:
    begun = [each for each in outcomes if not isinstance(each, QuledgerError)]
    faults = [
        {"row": number, "column": fault.column or None, "message": fault.message}
        for number, (row, outcome) in enumerate(zip(wanted.rows, outcomes, strict=True), 1)
        for fault in _faults(template, row, outcome)
    ]
    new = sum(each.is_new for each in begun)
    return {
        "group": wanted.group,
        "rows": len(outcomes),
        "submitted": new,
        "present": len(begun) - new,
        "left_out": len(outcomes) - len(begun),
        "jobs": [each.job.job_id for each in begun],
        "faults": faults,
    }


def _faults(template: Template, row: dict[str, Any], outcome: Outcome) -> list[RowFault]:
    if isinstance(outcome, JobRejected):
        return template.row_faults(outcome, row)
    return [RowFault("", problem_of(outcome).detail)] if isinstance(outcome, QuledgerError) else []


@router.get("", response_model=list[GroupListed], responses=problems())
async def list_groups(door: AtDoor) -> Response:
    """List the groups of the jobs that you may see, the one that was last used first."""
    return JSONResponse(await door.ask(lambda calls, caller: calls.groups.all(caller)))


@router.get("/{name}", response_model=GroupView, responses=problems(404))
async def get_group(door: AtDoor, name: Name) -> Response:
    """Return how many jobs of a group are in which state."""
    return JSONResponse((await door.ask(lambda calls, caller: calls.groups.summary(caller, name))).value())


_TABLE: Responses = {
    200: {
        "content": {"application/json": {}, "text/csv": {}, PARQUET: {}},
        "description": "The table; `next` of the JSON, and the header X-Next-Cursor, lead to more jobs.",
    }
}


@router.get("/{name}/results", responses=problems(404, 422, also=_TABLE))
async def get_results(  # noqa: PLR0913 - one parameter an option
    door: AtDoor,
    name: Name,
    table: Table = "means",
    wanted: Annotated[Format, Query(alias="format")] = "json",
    cursor: Annotated[str, Query(max_length=400, description="From the answer before.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000, description="Jobs.")] = 1000,
) -> Response:
    """Return the results of a group, what was swept as columns: means, counts of levels, or counts of outcomes."""
    found, following = await door.ask(lambda calls, caller: calls.groups.results(caller, name, limit, cursor))

    def made() -> Response:
        from deployments.group_frames import results_frame  # noqa: PLC0415 - pandas takes a second to import

        return _answer(results_frame(found, table), wanted, found, following)

    return await asyncio.to_thread(made)


@router.get("/{name}/compare/{other}", responses=problems(404, 422, also=_TABLE))
async def compare(
    door: AtDoor, name: Name, other: Name, wanted: Annotated[Format, Query(alias="format")] = "json"
) -> Response:
    """Return the means of two groups side by side, where their parameters are the same."""

    def made(calls: Calls, caller: Caller) -> Response:
        from deployments.group_frames import compared_frame  # noqa: PLC0415 - as above

        one, two = (calls.groups.whole(caller, each) for each in (name, other))
        return _answer(compared_frame(one, two), wanted, [*one, *two], None)

    return await door.ask(made)


def _answer(frame: "pd.DataFrame", wanted: Format, found: Sequence[Measured], following: str | None) -> Response:
    more = {"X-Next-Cursor": following} if following else {}
    if wanted == "json":
        from deployments.group_frames import records  # noqa: PLC0415 - as above

        troubles = [problem_of(each.trouble).detail for each in found if each.trouble]
        return JSONResponse({"rows": records(frame), "troubles": troubles, "next": following}, headers=more)
    if wanted == "csv":
        from deployments.csv_text import csv_of  # noqa: PLC0415 - as above

        return Response(csv_of(frame), media_type="text/csv", headers=more)
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return Response(buffer.getvalue(), media_type=PARQUET, headers=more)
