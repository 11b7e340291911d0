"""Jobs: handed in, listed, followed to their end, cancelled, tried again, run again, hidden."""

import io
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.api.calls import Outcome
from deployments.api.door import AtDoor
from deployments.api.problems import Problem, answer_error, problem_of
from deployments.api.requests import JobRequest, document_of, document_of_program
from deployments.api.responses import problems
from deployments.api.v1.bodies import described, read_body
from deployments.api.views import EventView, JobView
from models.errors import QuledgerError
from models.job import State

router = APIRouter(prefix="/jobs", tags=["jobs"])

MAX_BATCH = 1000
MAX_WAIT = 60

JobId = Annotated[
    str, Path(max_length=200, description="The job's id, or as much of its beginning as tells it from others.")
]
Wait = Annotated[float, Query(ge=0, le=MAX_WAIT, description="Seconds to wait for a change, at once if it has ended.")]


class JobIn(BaseModel):
    """A job to be handed in: a document, or a program in OpenQASM, or the hash of a stored payload."""

    model_config = ConfigDict(extra="forbid")

    backend: str = Field(max_length=100, description="Display name of the backend.")
    document: dict[str, Any] | str | None = Field(
        default=None, description="The job document, as an object or as JSON text, which is kept to the letter."
    )
    program: str | None = Field(default=None, description="An OpenQASM program, for a qubit device.")
    document_sha256: str | None = Field(
        default=None, pattern="^[0-9a-f]{64}$", description="Of a payload of yours that is the document."
    )
    shots: int | None = Field(default=None, ge=1, description="Of an OpenQASM program; 1000 if left out.")
    seed: int | None = Field(default=None, ge=0, lt=2**63, description="Of an OpenQASM program.")
    project: str = Field(default="", max_length=100, description="Its members see the job.")
    priority: int = Field(default=0, ge=-1_000_000, le=1_000_000, description="Higher goes first among your own jobs.")
    derived_from: str = Field(default="", max_length=200, description="Id of the job that this one follows from.")

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        given = [name for name in ("document", "program", "document_sha256") if getattr(self, name) is not None]
        if len(given) != 1:
            msg = f"give one of document, program and document_sha256, not {' and '.join(given) or 'none'}"
            raise ValueError(msg)
        if given != ["program"] and not (self.shots is None and self.seed is None):
            msg = "shots and seed are for an OpenQASM program; a document says its own"
            raise ValueError(msg)
        return self

    def request(self, key: str | None) -> JobRequest:
        """Return the job as it is handed in."""
        document = b""
        if self.program is not None:
            document = document_of_program(self.program, self.shots, self.seed)
        elif self.document is not None:
            document = document_of(self.document)
        return JobRequest(
            backend=self.backend,
            document=document,
            payload=self.document_sha256 or "",
            project=self.project,
            priority=self.priority,
            key=key,
            derived_from=self.derived_from,
        )


class KeyedJob(JobIn):
    """A job of a batch; the key does for it what the header `Idempotency-Key` does for one alone."""

    key: str | None = Field(default=None, min_length=1, max_length=200)


class Batch(BaseModel):
    """Jobs that are handed in together."""

    model_config = ConfigDict(extra="forbid")

    jobs: list[KeyedJob] = Field(min_length=1, max_length=MAX_BATCH)


class Answered(BaseModel):
    """What became of a job that was handed in."""

    job_id: str = Field(examples=["0123456789abcdef01234567"])
    state: State


class BatchAnswer(BaseModel):
    """What became of one job of a batch: its id and state, or the problem."""

    status: int = Field(examples=[201], description="As the job would have been answered alone.")
    job_id: str | None = None
    state: State | None = None
    problem: Problem | None = None


class BatchAnswers(BaseModel):
    """One answer for each job of a batch, in their order."""

    jobs: list[BatchAnswer]


class JobList(BaseModel):
    """One page of a list.

    Attributes:
        next: cursor of the next page; null on the last one.
        total: how many jobs there are in all, where that was asked.
    """

    jobs: list[JobView]
    next: str | None
    total: int | None = None


_EXAMPLE = {
    "backend": "singlequdit",
    "document": {
        "experiment_0": {
            "instructions": [["load", [0], [50]], ["rlx", [0], [1.57]], ["measure", [0], []]],
            "num_wires": 1,
            "shots": 500,
        }
    },
}
_QASM = {
    "backend": "qubits",
    "program": 'OPENQASM 3; include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;',
    "shots": 1000,
}


@router.post(
    "",
    status_code=201,
    response_model=Answered,
    responses={200: {"model": Answered, "description": "The job was handed in before."}} | problems(403, 404, 409, 422),
    openapi_extra=described(JobIn, _EXAMPLE, _QASM),
)
async def submit(
    request: Request,
    door: AtDoor,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=200, description="The same key is the same job, however often.")
    ] = None,
) -> Response:
    """Hand in a job; all that is wrong with it is said at once, and then nothing is stored."""
    caller = await door.caller()
    body = await read_body(request, JobIn)
    outcome = (await door.calls.submit(caller, [body.request(idempotency_key)]))[0]
    if isinstance(outcome, QuledgerError):
        return answer_error(outcome)
    job = outcome.job
    return JSONResponse(
        {"job_id": job.job_id, "state": job.state},
        201 if outcome.is_new else 200,
        headers={"Location": f"/v1/jobs/{job.job_id}"},
    )


# The path holds a colon: it is no job's.
batch_router = APIRouter(tags=["jobs"])


@batch_router.post(
    "/jobs:batch",
    response_model=BatchAnswers,
    responses=problems(422),
    openapi_extra=described(Batch, {"jobs": [_EXAMPLE | {"key": "tuesday-1"}, _EXAMPLE | {"key": "tuesday-2"}]}),
)
async def submit_batch(request: Request, door: AtDoor) -> Response:
    """Hand in up to 1,000 jobs: those that are good are stored together, each of the others is answered with why."""
    caller = await door.caller()
    body = await read_body(request, Batch)
    outcomes = await door.calls.submit(caller, [each.request(each.key) for each in body.jobs])
    return JSONResponse({"jobs": [_answered(each) for each in outcomes]})


def _answered(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, QuledgerError):
        problem = problem_of(outcome)
        return {"status": problem.status, "job_id": None, "state": None, "problem": problem.model_dump()}
    code = 201 if outcome.is_new else 200
    return {"status": code, "job_id": outcome.job.job_id, "state": outcome.job.state, "problem": None}


class Filters(BaseModel):
    """What a list of jobs is narrowed to."""

    model_config = ConfigDict(extra="forbid")

    backend: str = Field(default="", max_length=100)
    state: list[State] = Field(default=[], description="One or several.")
    user: str = Field(default="", max_length=200, description="For operators.")
    project: str = Field(default="", max_length=100)
    since: datetime | None = Field(default=None, description="Handed in then or later.")
    until: datetime | None = Field(default=None, description="Handed in before then.")
    q: str = Field(default="", max_length=200, description="The beginning of the id.")
    sort: Literal["newest", "oldest"] = "newest"
    cursor: str = Field(default="", max_length=400, description="From `next` of the page before.")
    limit: int = Field(default=50, ge=1, le=1000)
    total: bool = Field(default=False, description="Count them all too.")


@router.get("", response_model=JobList, responses=problems(422))
async def list_jobs(door: AtDoor, filters: Annotated[Filters, Query()]) -> Response:
    """List your jobs and those of your projects, a page at a time; operators list all."""
    page = await door.ask(lambda calls, caller: calls.page(caller, filters))
    return JSONResponse(
        {
            "jobs": [JobView.of(job).model_dump(mode="json") for job in page.jobs],
            "next": page.next,
            "total": page.total,
        }
    )


@router.get(
    "/{job_id}",
    response_model=JobView,
    responses={304: {"description": "It has not changed since the version of the ETag."}} | problems(404, 422),
)
async def get_job(
    door: AtDoor,
    job_id: JobId,
    wait: Wait = 0,
    if_none_match: Annotated[str | None, Header(description="The ETag that you have.", max_length=200)] = None,
) -> Response:
    """Return where a job stands; with `wait` as soon as that changes."""
    job = await door.ask(lambda calls, caller: calls.job(caller, job_id))
    seen = _version(if_none_match)
    if wait and not job.is_final and seen in (None, job.seq) and await door.calls.wait(job, wait):
        job = await door.ask(lambda calls, caller: calls.job(caller, job.job_id))
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


@router.get(
    "/{job_id}/document",
    responses={200: {"content": {"application/json": {}}, "description": "The document to the letter."}}
    | problems(404, 409),
)
async def get_document(door: AtDoor, job_id: JobId) -> Response:
    """Return the job document as it was handed in."""
    content = await door.ask(lambda calls, caller: calls.document(caller, job_id))
    return Response(content, media_type="application/json")


_PARQUET = "application/vnd.apache.parquet"


@router.get(
    "/{job_id}/result",
    responses={
        200: {
            "content": {"application/json": {}, "text/csv": {}, _PARQUET: {}},
            "description": "The result; as CSV and Parquet the counts, or the expectation values.",
        }
    }
    | problems(404, 409, 422),
)
async def get_result(
    door: AtDoor,
    job_id: JobId,
    wanted: Annotated[Literal["json", "csv", "parquet"], Query(alias="format")] = "json",
    wait: Wait = 0,
) -> Response:
    """Return the result of a job that is DONE: the one that was accepted, checked against its hash and signature."""
    if wait:
        job = await door.ask(lambda calls, caller: calls.job(caller, job_id))
        await door.calls.wait_for_end(job, wait)
    document = await door.ask(lambda calls, caller: calls.result(caller, job_id))
    if wanted == "json":
        return JSONResponse(document)
    from deployments.api.tables import frame_of  # noqa: PLC0415 - pandas takes a second to import

    frame = frame_of(document)
    if wanted == "csv":
        return Response(frame.to_csv(index=False), media_type="text/csv")
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return Response(buffer.getvalue(), media_type=_PARQUET)
