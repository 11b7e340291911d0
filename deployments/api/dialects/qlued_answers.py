"""What goes wrong, as clients of qlued read it: always the four keys of a status, whatever the HTTP code."""

import functools

from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from deployments.api.dialects.qlued_documents import BAD_CREDENTIALS, UNKNOWN_BACKEND, error_document
from deployments.api.dialects.qlued_requests import NotJson
from deployments.api.problems import Problem, answer, headers_of, invalid, log_ours, problem_of
from models.errors import QuledgerError, UnknownBackend, UnknownJob, printable
from models.identity.errors import NotSignedIn

NOT_ACCEPTABLE = 406
"""The code of jobs that ended in ERROR, of jobs that there are not, and of texts that are no JSON."""


def answer_in_statuses(app: Starlette) -> None:
    """Let every error of an application be answered with a status."""
    app.add_exception_handler(QuledgerError, _on_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_unforeseen)


def expect_words_of_results(request: Request) -> None:
    """Let an error be in the words of whoever waits for a result by them."""
    request.state.of_result = True


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, QuledgerError)  # noqa: S101 - it is registered for these alone
    problem, known_as = problem_of(error), ""
    if isinstance(error, NotSignedIn):
        known_as = BAD_CREDENTIALS
        if error.reason in ("missing", "unknown"):
            problem = problem.model_copy(update={"detail": ""})
    elif isinstance(error, UnknownBackend):
        known_as = UNKNOWN_BACKEND
    elif isinstance(error, UnknownJob | NotJson):
        problem = problem.model_copy(update={"status": NOT_ACCEPTABLE})
    log_ours(error, problem.status)
    return _answer(request, problem, known_as, headers_of(error))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    problem = Problem(type="about:blank", title="", status=error.status_code, detail=printable(str(error.detail)))
    return _answer(request, problem, headers=dict(error.headers or {}))


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    return _answer(request, invalid(jsonable_encoder(error.errors(), exclude={"ctx", "input", "url"})))


async def _on_unforeseen(request: Request, _error: Exception) -> Response:
    # It is raised on, and logged where all requests come through.
    detail = "this failed, and should not have; the operator finds the details in the laboratory's log"
    return _answer(request, Problem(type="about:blank", title="", status=500, detail=detail))


def _answer(request: Request, problem: Problem, known_as: str = "", headers: dict[str, str] | None = None) -> Response:
    of_result = getattr(request.state, "of_result", False)
    return answer(problem, headers, functools.partial(error_document, error_message=known_as, of_result=of_result))
