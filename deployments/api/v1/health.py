"""Whether the laboratory works, and for operators its numbers."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel

from deployments.api.door import AnyDoor, AtDoor
from deployments.api.responses import Responses, problem, problems

router = APIRouter(tags=["laboratory"])


class Health(BaseModel):
    """Whether jobs can be handed in and read.

    Attributes:
        ok: false where the log does not answer; asked at most ten seconds ago.
    """

    ok: bool


_ANSWERS: Responses = {503: {"model": Health, "description": "Not ok."}, 421: problem(421), 429: problem(429)}


@router.get(
    "/health",
    response_model=Health,
    responses=_ANSWERS,
)
async def health(door: AnyDoor) -> Response:
    """Say whether the laboratory works; no token is needed."""
    ok = await door.run(lambda calls: calls.laboratory.is_well())
    return JSONResponse({"ok": ok}, 200 if ok else 503)


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
