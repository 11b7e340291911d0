"""What a page answers when something goes wrong: a page with a sentence, or the one for signing in."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse, Response

from deployments.api.leaving import answer_nobody
from deployments.api.pages.rendering import HEADERS, render
from deployments.api.pages.visits import COOKIE, PATH, ForeignForm, visit_of
from deployments.api.problems import TITLES, Problem, headers_of, invalid, log_ours, problem_of
from models.errors import QuledgerError, UnknownJob, printable
from models.identity.errors import NotSignedIn

_LOG = logging.getLogger("quledger.pages")

SEE_OTHER = 303


class PageRoute(APIRoute):
    """A route whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler with errors answered."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except ClientDisconnect as error:
                return await answer_nobody(request, error)
            except NotSignedIn as error:
                return to_sign_in(request, error)
            except (QuledgerError, RequestValidationError, HTTPException) as error:
                answer = await error_page(request, _problem(error))
                answer.headers.update(headers_of(error) if isinstance(error, QuledgerError) else {})
                return answer
            except Exception as error:  # noqa: BLE001 - no word of it is shown: it may hold a secret
                _LOG.error("request_failed action=answer code=500: %s", type(error).__name__, exc_info=error)
                return await error_page(request, Problem(type="", title=TITLES[500], status=500, detail=_UNFORESEEN))

        return answered


_UNFORESEEN = "The operator finds the details in the laboratory's log."


def see(path: str) -> Response:
    """Return an answer that leads to another page."""
    return RedirectResponse(path, SEE_OTHER, HEADERS)


def to_sign_in(request: Request, error: NotSignedIn) -> Response:
    """Return an answer that leads to the page for signing in, and from there back."""
    query = {}
    if request.method == "GET" and request.url.path not in {"/ui", "/ui/"}:
        query["next"] = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.cookies.get(COOKIE):
        query["over"] = "1"
    answer = see(f"/ui/sign-in?{urlencode(query)}" if query else "/ui/sign-in")
    if error.reason != "missing":
        answer.delete_cookie(COOKIE, path=PATH)
    return answer


async def error_page(request: Request, problem: Problem) -> Response:
    """Return a page that says what went wrong."""
    try:
        visit = await visit_of(request)
    except Exception:  # noqa: BLE001 - it is said without the frame, then
        visit = None
    text = problem.detail[:1].upper() + problem.detail[1:]
    text = text if text.endswith((".", "…")) else f"{text}."
    return render(request, "message.html", visit, code=problem.status, heading=problem.title, text=text)


def problem_said(error: QuledgerError) -> Problem:
    """Return an error as it may be said; that of one which is the laboratory's goes to its log alone."""
    problem = problem_of(error)
    log_ours(error, problem.status)
    return problem


def _problem(error: Exception) -> Problem:
    match error:
        case ForeignForm():
            detail = f"this form was not taken: {error}; go back, load the page again and send it from there"
            return Problem(type="", title=TITLES[403], status=403, detail=detail)
        case UnknownJob():
            return Problem(type="", title=TITLES[404], status=404, detail="there is no such job, or it is not yours")
        case QuledgerError():
            return problem_said(error)
        case RequestValidationError():
            return invalid(error.errors())
        case HTTPException():
            title = TITLES.get(error.status_code, "The request cannot be answered")
            detail = "there is no such page" if error.status_code == 404 else printable(str(error.detail))  # noqa: PLR2004
            return Problem(type="", title=title, status=error.status_code, detail=detail)
    raise error
