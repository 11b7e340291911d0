"""What goes wrong, as a problem document (RFC 9457): no traceback, no path, all faults at once."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from deployments.api.exports import TooManyExports
from deployments.api.results import TooManyLarge
from deployments.api.waits import TooManyWaits
from deployments.schemas import UnknownSchema
from models import clock
from models.calibrations import UnknownCalibration
from models.errors import (
    AppendConflict,
    DocumentExists,
    DocumentMissing,
    DocumentTooLarge,
    IdempotencyConflict,
    InputError,
    JobHeld,
    JobRejected,
    KeyUnusable,
    LogBroken,
    LogUnavailable,
    MirrorAhead,
    MirrorBroken,
    NotAllowed,
    NotAuthentic,
    NotCancellable,
    NotRevivable,
    QuledgerError,
    ResultMissing,
    SandboxError,
    StagedResultLost,
    StaleAttempt,
    StorageRefused,
    StorageUnavailable,
    UnknownBackend,
    UnknownJob,
    printable,
)
from models.groups import UnknownGroup
from models.identity.errors import NotPermitted, NotSignedIn, UnknownProject, UnknownToken, UnknownUser
from models.past import NotYet
from models.pauses import Paused
from models.usage import LimitReached
from models.words import without_prefix
from storage.log.payloads import PayloadInUse, UnknownPayload
from tasks.jobs.submission import NotEnded

_LOG = logging.getLogger("quledger.api")

MEDIA_TYPE = "application/problem+json"

_CODES: tuple[tuple[type[QuledgerError], int], ...] = (
    (NotSignedIn, 401),
    (NotPermitted, 403),
    (UnknownJob, 404),
    (UnknownBackend, 404),
    (UnknownCalibration, 404),
    (UnknownGroup, 404),
    (UnknownSchema, 404),
    (NotYet, 404),
    (UnknownPayload, 404),
    (UnknownProject, 404),
    (UnknownToken, 404),
    (UnknownUser, 404),
    (IdempotencyConflict, 409),
    (NotCancellable, 409),
    (NotEnded, 409),
    (NotRevivable, 409),
    (JobHeld, 409),
    (PayloadInUse, 409),
    (ResultMissing, 409),
    (NotAuthentic, 409),
    (DocumentMissing, 409),
    (DocumentExists, 409),
    (MirrorAhead, 409),
    (NotAllowed, 409),
    (Paused, 409),
    (StaleAttempt, 409),
    (AppendConflict, 409),
    (LimitReached, 429),
    (TooManyWaits, 429),
    (TooManyLarge, 429),
    (TooManyExports, 429),
    (DocumentTooLarge, 413),
    (LogUnavailable, 503),
    (StorageUnavailable, 503),
    (StorageRefused, 503),
    (StagedResultLost, 503),
    (KeyUnusable, 503),
    (SandboxError, 503),
    (LogBroken, 500),
    (MirrorBroken, 500),
    (InputError, 422),
)
"""The first row that an error belongs to says its code; every error that a route can raise belongs to one."""

TITLES = {
    401: "Not signed in",
    403: "Not permitted",
    404: "Not found",
    405: "Method not allowed",
    408: "The request came too slowly",
    409: "That cannot be done now",
    413: "Too large",
    421: "Another host",
    422: "The request has faults",
    429: "Too much at once",
    500: "This failed, and should not have",
    503: "Not available now",
}

RETRY_SECONDS = 5


class ProblemFault(BaseModel):
    """One thing that is wrong with a request.

    Attributes:
        field: where it stands: a field of the request, or a place in the job document.
    """

    field: str = ""
    message: str


class Problem(BaseModel):
    """A problem document."""

    type: str = Field(examples=["urn:quledger:job-rejected"])
    title: str = Field(examples=["The request has faults"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["experiment_0: shots: 0 is not a number of shots from 1 to 1000"])
    faults: list[ProblemFault] = []


def code_of(error: QuledgerError) -> int:
    """Return the HTTP code that says what an error means."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), 500)


def problem_of(error: QuledgerError) -> Problem:
    """Return an error as a problem document; of one that is the laboratory's no word is repeated."""
    code = code_of(error)
    name = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in type(error).__name__).lstrip("-")
    faults = []
    if isinstance(error, JobRejected):
        faults = [ProblemFault(field=_place(fault), message=fault.message) for fault in error.faults]
    return Problem(
        type=f"urn:quledger:{name}",
        title=TITLES[code],
        status=code,
        detail=_detail(error, code),
        faults=faults,
    )


def _detail(error: QuledgerError, code: int) -> str:
    if code >= 500:  # noqa: PLR2004 - HTTP's own
        return _WORDS_OF_OURS.get(code, TITLES[code])
    return next((words for kind, words in _OTHER_WORDS.items() if isinstance(error, kind)), str(error))


_OTHER_WORDS: dict[type[QuledgerError], str] = {
    UnknownJob: "there is no such job, or it is not yours to see",
    UnknownToken: "there is no such token, or it is not yours",
    UnknownProject: "there is no such project, or you do not belong to it",
    MirrorAhead: "the job is held: what is stored of it says more than the laboratory's log",
}
"""Where the command line would name a command."""

_WORDS_OF_OURS = {
    500: "the operator finds the details in the laboratory's log",
    503: "the laboratory's log or storage does not answer now; nothing was changed",
}


def _place(fault: Any) -> str:
    where = [fault.experiment] if fault.experiment else []
    if fault.instruction is not None:
        where.append(f"[{fault.instruction}]")
    return ".".join([*where, *([fault.field] if fault.field else [])])


Shape = Callable[[Problem], dict[str, Any]]
"""Says a problem in the words of a dialect."""


def answer(problem: Problem, headers: dict[str, str] | None = None, shape: Shape | None = None) -> Response:
    """Return the response that carries a problem, as a problem document or in the shape of a dialect."""
    body, kind = (problem.model_dump(), MEDIA_TYPE) if shape is None else (shape(problem), "application/json")
    return JSONResponse(body, problem.status, headers=_headers(problem.status) | (headers or {}), media_type=kind)


def _headers(code: int) -> dict[str, str]:
    if code == 401:  # noqa: PLR2004 - HTTP's own
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": str(RETRY_SECONDS)} if code in (429, 503) else {}


def answer_error(error: QuledgerError) -> Response:
    """Return the response that says what went wrong."""
    problem = problem_of(error)
    log_ours(error, problem.status)
    return answer(problem, headers_of(error))


def log_ours(error: QuledgerError, code: int) -> None:
    """Tell the operator of an error that is the laboratory's, whatever its caller is told."""
    if code >= 500 or isinstance(error, NotAuthentic):  # noqa: PLR2004 - HTTP's own
        _LOG.error("request_failed action=answer code=%d: %s", code, error)


def headers_of(error: QuledgerError) -> dict[str, str]:
    """Return the headers that say more of an error: when what it refuses is free again."""
    if not isinstance(error, LimitReached) or error.free_at is None:
        return {}
    return {"Retry-After": str(max(1, math.ceil((error.free_at - clock.now()).total_seconds())))}


async def on_error(_request: Request, error: Exception) -> Response:
    """Answer one of our errors."""
    assert isinstance(error, QuledgerError)  # noqa: S101 - it is registered for these alone
    return answer_error(error)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses: a path or a method that is none."""
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    title = TITLES.get(error.status_code, "The request cannot be answered")
    problem = Problem(type="about:blank", title=title, status=error.status_code, detail=printable(str(error.detail)))
    headers = dict(error.headers or {})
    if error.status_code == 405:  # noqa: PLR2004 - HTTP's own
        headers["Allow"] = ", ".join(_methods(request))
    return answer(problem, headers)


def _methods(request: Request) -> list[str]:
    """Return what may be done at this path: each route names its own methods alone."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return sorted(found)


async def on_invalid(_request: Request, error: Exception) -> Response:
    """Answer a request whose fields are wrong: all of them are named."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    found = jsonable_encoder(error.errors(), exclude={"ctx", "input", "url"})
    return answer(invalid([{**each, "msg": without_prefix(each["msg"])} for each in found]))


def invalid(errors: Sequence[Any]) -> Problem:
    """Return what pydantic found wrong as a problem document."""
    faults = [
        ProblemFault(field=printable(".".join(map(str, each["loc"]))), message=printable(each["msg"]))
        for each in errors[:MAX_INVALID]
    ]
    detail = "; ".join(f"{fault.field}: {fault.message}" if fault.field else fault.message for fault in faults)
    return Problem(type="urn:quledger:invalid-request", title=TITLES[422], status=422, detail=detail, faults=faults)


UNFORESEEN = Problem(type="about:blank", title=TITLES[500], status=500, detail=_WORDS_OF_OURS[500])
"""What nobody has foreseen is answered without a word of it: it may hold a secret."""

MAX_INVALID = 50
"""So many faults of a request are spelled out."""
