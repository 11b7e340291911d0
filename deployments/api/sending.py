"""Answers that are long: they go out part by part, so that the event loop serves others in between."""

from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType

from starlette.responses import Response, StreamingResponse

PART = 1 << 18


def in_parts(
    content: bytes | memoryview, media_type: str, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """Return a response with this content."""
    if len(content) <= PART:
        return Response(bytes(content), media_type=media_type, headers=headers)
    length = {"Content-Length": str(len(content))}
    return StreamingResponse(_parts(memoryview(content)), media_type=media_type, headers={**headers, **length})


async def _parts(content: memoryview) -> AsyncIterator[bytes]:
    for start in range(0, len(content), PART):
        yield bytes(content[start : start + PART])
