"""Jobs are handed in, alone or many together."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, model_validator

from deployments.api.calls import Calls, Outcome
from deployments.api.door import AtDoor, Door
from deployments.api.leaving import while_there
from deployments.api.problems import Problem, answer_error, problem_of
from deployments.api.requests import JobRequest, document_of, document_of_program
from deployments.api.responses import problems
from deployments.api.v1.bodies import Body, described, read_body
from models.errors import JobRejected, QuledgerError
from models.groups import MAX_ROWS
from models.job import Job, Phase, State
from models.labels import MAX_LABELS
from models.pauses import Pause
from models.submissions import Begun

router = APIRouter(tags=["jobs"])

MAX_BATCH = 1000


CONTENTS = ("document", "program", "document_sha256")


class JobIn(Body):
    """A job to be handed in: a document, or a program in OpenQASM, or the hash of a stored payload."""

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
    labels: dict[str, str] = Field(
        default={}, max_length=MAX_LABELS, description="Words to find it by.", examples=[{"sample": "A7"}]
    )
    group: str = Field(default="", max_length=100, description="Name of the group that it belongs to.")
    parameters: list[dict[str, bool | int | float | str]] = Field(
        default=[],
        max_length=MAX_ROWS,
        description="What was swept: one row for the whole job of a group, or one for each experiment.",
    )

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        given = [name for name in CONTENTS if getattr(self, name) is not None]
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
            labels=self.labels,
            group=self.group,
            parameters=self.parameters,
        )


class KeyedJob(JobIn):
    """A job of a batch; the key does for it what the header `Idempotency-Key` does for one alone."""

    key: str | None = Field(default=None, min_length=1, max_length=200)


class Batch(Body):
    """Jobs that are handed in together."""

    jobs: list[KeyedJob] = Field(min_length=1, max_length=MAX_BATCH)


class Answered(BaseModel):
    """What became of a job that was handed in.

    Attributes:
        paused: why its backend begins nothing now, in one line; it is left out where that is not so.
    """

    job_id: str = Field(examples=["0123456789abcdef01234567"])
    state: State
    paused: str | None = None


class CheckAnswer(BaseModel):
    """A job that would be taken; `is_checked` is false where its document could not be checked here, as its run will.

    Attributes:
        shots: of all of its experiments.
    """

    backend: str
    is_checked: bool
    shots: int | None


class BatchAnswer(BaseModel):
    """What became of one job of a batch: its id and state, or the problem."""

    status: int = Field(examples=[201], description="As the job would have been answered alone.")
    job_id: str | None = None
    state: State | None = None
    paused: str | None = None
    problem: Problem | None = None


class BatchAnswers(BaseModel):
    """One answer for each job of a batch, in their order."""

    jobs: list[BatchAnswer]


Key = Annotated[
    str | None, Header(min_length=1, max_length=200, description="The same key is the same job, however often.")
]


async def answer_begun(door: Door, begun: Begun) -> Response:
    """Answer with the job: 201 where this request began it, 200 where it was there."""
    job = begun.job
    content = {"job_id": job.job_id, "state": job.state, **_paused(job, await door.run(_pauses))}
    return JSONResponse(content, 201 if begun.is_new else 200, headers={"Location": f"/v1/jobs/{job.job_id}"})


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
    "/jobs",
    status_code=201,
    response_model=Answered,
    responses=problems(
        403, 404, 409, 422, also={200: {"model": Answered, "description": "The job was handed in before."}}
    ),
    openapi_extra=described(JobIn, _EXAMPLE, _QASM),
)
async def submit(
    request: Request,
    door: AtDoor,
    idempotency_key: Key = None,
) -> Response:
    """Hand in a job; all that is wrong with it is said at once, and then nothing is stored."""
    caller = await door.caller()
    wanted = await read_body(request, JobIn, lambda body: body.request(idempotency_key))
    outcome = (await door.calls.submit(caller, [wanted]))[0]
    if isinstance(outcome, QuledgerError):
        return answer_error(outcome)
    return await answer_begun(door, outcome)


@router.post(
    "/check",
    response_model=CheckAnswer,
    responses=problems(403, 404, 422),
    openapi_extra=described(JobIn, _EXAMPLE, _QASM),
)
async def check(request: Request, door: AtDoor) -> Response:
    """Say what is wrong with a job as handing it in would; nothing is stored."""
    caller = await door.caller()
    wanted = await read_body(request, JobIn, lambda body: body.request(None))
    found = await while_there(request, door.calls.check(caller, wanted))
    if isinstance(found, QuledgerError):
        return answer_error(found)
    return JSONResponse({"backend": found.backend, "is_checked": found.shots is not None, "shots": found.shots})


@router.post(
    "/jobs:batch",
    response_model=BatchAnswers,
    responses=problems(422),
    openapi_extra=described(Batch, {"jobs": [_EXAMPLE | {"key": "tuesday-1"}, _EXAMPLE | {"key": "tuesday-2"}]}),
)
async def submit_batch(request: Request, door: AtDoor) -> Response:
    """Hand in up to 1,000 jobs: those that are good are stored together, each of the others is answered with why."""
    caller = await door.caller()
    wanted = await read_body(request, Batch, lambda body: [_read(each) for each in body.jobs])
    outcomes = await door.calls.submit(caller, wanted)
    paused = await door.run(_pauses)
    return JSONResponse({"jobs": [_answered(each, paused) for each in outcomes]})


def _read(job: KeyedJob) -> JobRequest | QuledgerError:
    try:
        return job.request(job.key)
    except JobRejected as error:
        return error


def _pauses(calls: Calls) -> dict[str, Pause]:
    return calls.laboratory.pauses()


def _paused(job: Job, pauses: dict[str, Pause]) -> dict[str, str]:
    """Return what an answer says of the pause that a job meets; nothing where there is none."""
    waits = job.phase is Phase.WAITING and job.backend in pauses
    return {"paused": str(pauses[job.backend])} if waits else {}


def _answered(outcome: Outcome, pauses: dict[str, Pause]) -> dict[str, Any]:
    if isinstance(outcome, QuledgerError):
        problem = problem_of(outcome)
        return {"status": problem.status, "job_id": None, "state": None, "problem": problem.model_dump()}
    code, job = 201 if outcome.is_new else 200, outcome.job
    return {"status": code, "job_id": job.job_id, "state": job.state, "problem": None, **_paused(job, pauses)}
