"""The visitor's own page: tokens, and limits with what is used of them."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from deployments.api.pages.answers import PageRoute, see
from deployments.api.pages.rendering import render
from deployments.api.pages.timeline import size_of
from deployments.api.pages.visits import AtForm, AtPage, Visit
from models.errors import InputError
from models.identity.facts import SCOPES, Scope

router = APIRouter(prefix="/ui/account", route_class=PageRoute, include_in_schema=False)

MAX_NOTE, MAX_DAYS = 200, 36500

_LIMITS = {
    "jobs_queued": "Jobs that wait",
    "shots_a_day": "Shots a day",
    "seconds_a_day": "Seconds a day",
    "bytes": "Stored",
    "requests_a_minute": "Requests a minute",
}


@router.get("")
async def show(request: Request, visit: AtPage) -> Response:
    """Show who the visitor is here."""
    return await _page(request, visit)


@router.post("/tokens")
async def new_token(request: Request, visited: AtForm) -> Response:
    """Make a token; this answer alone shows it."""
    visit, form = visited
    values: dict[str, Any] = {
        "note": form.text("note", MAX_NOTE),
        "days": form.text("days", 10).strip(),
        "scopes": form.texts("scopes"),
    }
    try:
        valid, scopes = _asked(values)
        note = values["note"]
        made = await visit.ask(lambda calls, caller: calls.account.new_token(caller, valid, scopes, note))
    except InputError as error:
        return await _page(request, visit, values=values, wrong=f"The token was not made: {error}.", code=422)
    return await _page(request, visit, made=made, code=201)


@router.post("/tokens/{token_id}/revoke")
async def revoke(visited: AtForm, token_id: str) -> Response:
    """Revoke a token; whoever revokes that of his session signs in again."""
    visit, _ = visited
    await visit.ask(lambda calls, caller: calls.account.revoke_token(caller, token_id))
    return see("/ui/account")


def _asked(values: dict[str, Any]) -> tuple[timedelta | None, tuple[Scope, ...]]:
    """Return how long a token shall be good, and for what.

    Raises:
        InputError: all that is wrong with the form.
    """
    wrong = []
    if len(values["note"]) > MAX_NOTE:
        wrong.append(f"what it is for has more than {MAX_NOTE} characters")
    days = values["days"]
    if days and not (days.isascii() and days.isdecimal() and 1 <= int(days) <= MAX_DAYS):
        wrong.append(f"the days are a number from 1 to {MAX_DAYS}, or nothing")
    scopes = tuple(scope for scope in SCOPES if scope in values["scopes"])
    if not scopes:
        wrong.append("it may do nothing; choose at least one")
    if wrong:
        raise InputError("; ".join(wrong))
    return timedelta(days=int(days)) if days else None, scopes


async def _page(request: Request, visit: Visit, code: int = 200, **said: Any) -> Response:
    me = await visit.ask(lambda calls, caller: calls.account.me(caller))
    tokens = await visit.ask(lambda calls, caller: calls.account.tokens(caller))
    first = {"note": "", "days": "90", "scopes": [scope for scope in me["scopes"] if scope != "admin"]}
    return render(
        request,
        "account.html",
        visit,
        here="account",
        code=code,
        me=me,
        tokens=tokens,
        limits=[_limit(each) for each in me["limits"] if each["most"] is not None],
        may_change="admin" in me["scopes"],
        **{"made": None, "values": first, "wrong": ""} | said,
    )


def _limit(limit: dict[str, Any]) -> dict[str, Any]:
    name, most, used = limit["name"], limit["most"], limit["used"]
    said = size_of if name == "bytes" else lambda number: f"{number:,.0f}"
    return {
        "of": limit["of"],
        "name": _LIMITS.get(name, name.replace("_", " ")),
        "most": said(most),
        "used": said(used),
        "share": min(1.0, used / most) if most else 1.0,
    }
