"""Whether the laboratory works, and for operators its numbers."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel

from deployments.api.door import AnyDoor, AtDoor, Door
from deployments.api.responses import Responses, problem, problems
from models.errors import QuledgerError
from models.health import Health
from models.identity.access import LABORATORY, Act, why_not

router = APIRouter(tags=["laboratory"])


class Answer(BaseModel):
    """How the laboratory is, from answers that are at most ten seconds old.

    Attributes:
        ok: whether jobs can be handed in and read: the log and at least one storage answer.
        health: how each part is; for operators alone.
    """

    ok: bool
    health: Health | None = None


_ANSWERS: Responses = {503: {"model": Answer, "description": "Not ok."}, 421: problem(421), 429: problem(429)}


@router.get("/health", response_model=Answer, responses=_ANSWERS)
async def health(door: AnyDoor) -> Response:
    """Say whether the laboratory works; no token is needed. An operator's shows how each part is."""
    found = await door.calls.laboratory.checkups.wait()
    answer = Answer(ok=found.is_open, health=found if await _is_operator(door) else None)
    return JSONResponse(answer.model_dump(mode="json", exclude_none=True), 200 if answer.ok else 503)


async def _is_operator(door: Door) -> bool:
    """Return whether the answer may go into details; whoever shows no good token gets the short one."""
    if not door.has_token:
        return False
    try:
        return not why_not(await door.caller(), Act.SEE, LABORATORY)
    except QuledgerError:
        return False


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses=problems(
        403, also={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text."}}
    ),
)
async def metrics(door: AtDoor) -> Response:
    """Return the laboratory's numbers for Prometheus; for operators."""
    text = await door.ask(lambda calls, caller: calls.laboratory.metrics(caller))
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")
