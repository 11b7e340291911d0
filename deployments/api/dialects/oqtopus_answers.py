"""OQTOPUS: what goes wrong is `{"message": …}`."""

import functools

from fastapi import APIRouter, FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.datastructures import State
from starlette.exceptions import HTTPException

from deployments.api.dialects.oqtopus_uploads import BadSignature
from deployments.api.engines import NotNow
from deployments.api.problems import Problem, answer, code_of, headers_of, invalid, log_ours, problem_of
from models.errors import InputError, NotAuthentic, QuledgerError, printable
from models.identity.errors import NotSignedIn
from storage.uploads.registrations import TooManyRegistered, UploadedBefore


class BadRequest(InputError):
    """What is asked cannot be done; the text says why."""


class GoneBefore(InputError):
    """An input comes for a job that waits for none."""

    def __init__(self) -> None:
        super().__init__("this job was submitted before, or is not waiting for its input any more")


_CODES: dict[type[QuledgerError], int] = {
    BadSignature: 403,
    GoneBefore: 409,
    NotAuthentic: 500,
    NotNow: 409,
    TooManyRegistered: 429,
    UploadedBefore: 409,
}
_OURS = "this failed, and should not have; the operator finds the details in the laboratory's log"
_BAD_REQUEST = {409: 400, 422: 400}
"""A client of OQTOPUS knows one code for whatever it can put right."""


def application(state: State, *routers: APIRouter, header: str = "q-api-token") -> FastAPI:
    """Return an application that answers every error with a message, for whoever mounts it.

    Args:
        state: is shared with the application that it becomes a part of.
        header: that a token is shown in.
    """
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state = state
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(QuledgerError, functools.partial(_on_error, header))
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_unforeseen)
    return app


def message_of_problem(problem: Problem) -> dict[str, str]:
    """Say what a request is refused with before it comes here."""
    return {"message": problem.detail}


def message(text: str, code: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return an answer that holds a sentence and nothing else."""
    problem = Problem(type="about:blank", title="", status=code, detail=text)
    return answer(problem, headers, message_of_problem)


async def _on_error(header: str, _request: Request, error: Exception) -> Response:
    assert isinstance(error, QuledgerError)  # noqa: S101 - it is registered for these alone
    code = _CODES.get(type(error)) or _BAD_REQUEST.get(code_of(error), code_of(error))
    log_ours(error, code)
    # Whoever asks here has no command line of ours, which some texts name at their end.
    text = _OURS if code == 500 else problem_of(error).detail.partition("; `quledger")[0]  # noqa: PLR2004 - HTTP's own
    if isinstance(error, NotSignedIn) and error.reason == "missing":
        text = f"a token is needed: {header}: TOKEN"
    return message(text, code, headers_of(error))


async def _on_http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    return message(printable(str(error.detail)), error.status_code)


async def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    return message(invalid(jsonable_encoder(error.errors(), exclude={"ctx", "input", "url"})).detail, 400)


async def _on_unforeseen(_request: Request, _error: Exception) -> Response:
    # It is raised on, and logged where all requests come through.
    return message(_OURS, 500)
