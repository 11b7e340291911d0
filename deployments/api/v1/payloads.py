"""Documents that are stored once, by the hash of their content, and used for many jobs. Each owner has its own."""

import hashlib
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from deployments.api.door import AtDoor
from deployments.api.responses import problems
from models.errors import InputError

router = APIRouter(prefix="/payloads", tags=["payloads"])

Hash = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the content, in hexadecimal digits.")]


class Stored(BaseModel):
    """A stored payload."""

    sha256: str
    bytes: int
    created_at: datetime | None = None


@router.put(
    "",
    status_code=201,
    response_model=Stored,
    responses=problems(403, 422, also={200: {"model": Stored, "description": "You have stored it before."}}),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def put(request: Request, door: AtDoor) -> Response:
    """Store a document under its hash; to store it twice changes nothing."""
    content = await request.body()
    if not content:
        raise InputError("the payload is empty")
    digest = hashlib.sha256(content).hexdigest()
    is_new = await door.ask(lambda calls, caller: calls.payloads.put(caller, content))
    return JSONResponse({"sha256": digest, "bytes": len(content)}, 201 if is_new else 200)


@router.get("", response_model=list[Stored], responses=problems())
async def list_payloads(door: AtDoor) -> Response:
    """List what you have stored."""
    found = await door.ask(lambda calls, caller: calls.payloads.list(caller))
    rows = [Stored(sha256=each.sha256, bytes=each.size, created_at=each.created_at) for each in found]
    return JSONResponse([row.model_dump(mode="json") for row in rows])


@router.get(
    "/{sha256}",
    responses=problems(
        404, 422, also={200: {"content": {"application/octet-stream": {}}, "description": "The content."}}
    ),
)
async def get(door: AtDoor, sha256: Hash) -> Response:
    """Return the content; what somebody else has stored is not found."""
    content = await door.ask(lambda calls, caller: calls.payloads.get(caller, sha256))
    return Response(content, media_type="application/octet-stream")


@router.delete("/{sha256}", status_code=204, responses=problems(403, 404, 409, 422))
async def delete(door: AtDoor, sha256: Hash) -> Response:
    """Delete a payload; one that a job of yours refers to stays."""
    await door.ask(lambda calls, caller: calls.payloads.delete(caller, sha256))
    return Response(status_code=204)
