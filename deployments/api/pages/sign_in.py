"""Signing in with a token, and out."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from deployments.api.pages.answers import PageRoute, see
from deployments.api.pages.forgery import local_path
from deployments.api.pages.rendering import render
from deployments.api.pages.sessions import SECONDS
from deployments.api.pages.visits import COOKIE, PATH, AtForm, AtPage, Form, form_of, is_secure
from models.identity.errors import NotSignedIn

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MOST_TOKEN = 1000


@router.get("/")
@router.get("/ui")
async def root() -> Response:
    """Lead to the first page."""
    return see("/ui/")


@router.get("/ui/")
async def first(_visit: AtPage) -> Response:
    """Lead to the backends, or to signing in."""
    return see("/ui/backends")


@router.get("/ui/sign-in")
async def ask(request: Request, go_on: Annotated[str, Query(alias="next")] = "", over: str = "") -> Response:
    """Show the form for signing in."""
    said = "Your session is over. Sign in again." if over else ""
    return render(request, "sign_in.html", next=local_path(go_on), wrong="", said=said)


@router.post("/ui/sign-in")
async def sign_in(request: Request, form: Annotated[Form, Depends(form_of)]) -> Response:
    """Begin a session for whoever shows a token."""
    # No token has a blank; one that is pasted from a wrapped line does.
    go_on, token = local_path(form.text("next")), "".join(form.text("token", MOST_TOKEN).split())
    try:
        caller = await asyncio.to_thread(request.app.state.calls.visits.caller, token)
    except NotSignedIn as error:
        text = str(error) if token else "this needs a token"
        return render(request, "sign_in.html", code=401, next=go_on, wrong=_sentence(text), said="")
    if caller.device:
        wrong = "This is the token of a device: it serves jobs, and opens no pages."
        return render(request, "sign_in.html", code=403, next=go_on, wrong=wrong, said="")
    _, cookie = request.app.state.sessions.begin(caller.token_id)
    answer = see(go_on)
    answer.set_cookie(
        COOKIE, cookie, max_age=SECONDS, path=PATH, secure=is_secure(request), httponly=True, samesite="strict"
    )
    return answer


@router.post("/ui/sign-out")
async def sign_out(visited: AtForm) -> Response:
    """End the session, also for whoever has copied its cookie."""
    visit, _ = visited
    await asyncio.to_thread(visit.sessions.end, visit.session)
    answer = see("/ui/sign-in")
    answer.delete_cookie(COOKIE, path=PATH)
    return answer


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
