"""Whose a large body is, before it is read: clients of qlued put the token into it, often behind the job."""

import contextlib
import json
import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

from starlette.requests import Request

from deployments.api.v1.bodies import LARGE_BYTES

FORM = "application/x-www-form-urlencoded"

MOST_FOUND = 10
"""So many texts in one body may be the token; a client sends one."""

_JSON_VALUE = re.compile(rb'[ \t\r\n]{0,100}:[ \t\r\n]{0,100}("(?:[^"\\]|\\.){1,1000}")')
_FORM_VALUE = re.compile(rb"=([^&]{1,3000})")


def is_form(request: Request) -> bool:
    """Return whether a request says that it carries a form."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


async def tokens_of(request: Request, field: str) -> list[str] | None:
    """Return what may be the token in the body of a request; None where the body is small enough to be read at once.

    It is looked for, not parsed: no quotation mark of ours stands within a text of JSON, and no & within a field.
    """
    raw = await request.body()
    if len(raw) <= LARGE_BYTES:
        return None
    found = []
    for token in _in_form(raw, field.encode()) if is_form(request) else _in_json(raw, field.encode()):
        found.append(token)
        if len(found) == MOST_FOUND:
            break
    return found


def _in_json(raw: bytes, field: bytes) -> Iterator[str]:
    for end in _ends(raw, b'"' + field + b'"', b"\\"):
        if value := _JSON_VALUE.match(raw, end):
            with contextlib.suppress(ValueError):
                yield json.loads(value[1])


def _in_form(raw: bytes, field: bytes) -> Iterator[str]:
    for end in _ends(raw, field, None):
        if value := _FORM_VALUE.match(raw, end):
            with contextlib.suppress(ValueError):
                yield unquote_plus(value[1].decode("ascii"), errors="strict")


def _ends(raw: bytes, key: bytes, escape: bytes | None) -> Iterator[int]:
    """Yield where the key ends, each time; not behind an escape, and in a form only where a field begins."""
    at = raw.find(key)
    while at >= 0:
        before = raw[at - 1 : at] if at else b""
        if before != escape if escape else before in (b"", b"&"):
            yield at + len(key)
        at = raw.find(key, at + 1)
