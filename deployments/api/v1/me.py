"""Who you are here: roles, projects, limits with what is used of them, and your tokens."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from deployments.api.door import AtDoor
from deployments.api.responses import problems
from deployments.api.v1.bodies import Body, described, read_body
from models.identity.facts import ProjectRole, Role, Scope
from models.identity.people import TokenState

router = APIRouter(tags=["you"])


class LimitView(BaseModel):
    """A limit of yours or of a project.

    Attributes:
        of: `you`, or the name of a project.
        name: what is limited.
        most: so much; null where there is no limit.
        used: so much of it is used now.
    """

    of: str
    name: str = Field(examples=["jobs_queued"])
    most: float | None
    used: float


class Me(BaseModel):
    """Who you are here."""

    user: str
    role: Role
    scopes: list[Scope]
    projects: dict[str, ProjectRole]
    names: list[str] = Field(description="Names without a token whose jobs are yours to see.")
    token_id: str
    limits: list[LimitView]


class NewTokenIn(Body):
    """A token to be made."""

    days: int | None = Field(default=90, ge=1, le=36500, description="Until it expires; null for never.")
    scopes: list[Scope] | None = Field(default=None, min_length=1, description="Those of your own token if left out.")
    note: str = Field(default="", max_length=200, description="What it is for.")


class TokenView(BaseModel):
    """A token; its text is shown once, when it is made."""

    token_id: str
    scopes: list[Scope]
    note: str
    issued_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = None
    state: TokenState


class NewTokenView(TokenView):
    """A new token with its text."""

    token: str


@router.get("/me", response_model=Me, responses=problems())
async def me(door: AtDoor) -> Response:
    """Return who you are, and how much of each limit is used."""
    found = await door.ask(lambda calls, caller: calls.account.me(caller))
    return JSONResponse(found)


@router.get("/tokens", response_model=list[TokenView], responses=problems())
async def list_tokens(door: AtDoor) -> Response:
    """List your tokens, without their texts."""
    found = await door.ask(lambda calls, caller: calls.account.tokens(caller))
    return JSONResponse(found)


@router.post(
    "/tokens",
    status_code=201,
    response_model=NewTokenView,
    responses=problems(403, 422),
    openapi_extra=described(NewTokenIn, {"days": 30, "note": "notebook"}),
)
async def new_token(request: Request, door: AtDoor) -> Response:
    """Make a token; this answer alone holds its text."""
    caller = await door.caller()
    body = await read_body(request, NewTokenIn, lambda body: body)
    days = None if body.days is None else timedelta(days=body.days)
    scopes = None if body.scopes is None else tuple(body.scopes)
    made = await door.run(lambda calls: calls.account.new_token(caller, days, scopes, body.note))
    return JSONResponse(made, 201)


@router.delete("/tokens/{token_id}", status_code=204, responses=problems(403, 404, 422))
async def revoke_token(
    door: AtDoor, token_id: Annotated[str, Path(max_length=40, description="Its id, from the list.")]
) -> Response:
    """Revoke one of your tokens, at once and for ever."""
    await door.ask(lambda calls, caller: calls.account.revoke_token(caller, token_id))
    return Response(status_code=204)
