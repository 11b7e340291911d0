"""What clients of qlued send: fields in a query, a form or a JSON object, and a job as text in one of them."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from deployments.api.dialects.qlued_documents import BAD_JSON
from deployments.api.dialects.qlued_tokens import is_form
from deployments.api.requests import document_of
from deployments.api.v1.bodies import json_value, read_one
from models.errors import InputError, JobRejected

MAX_FIELDS = 20

PIECE = 60_000
"""So much of a field of a form is decoded at once: each escape becomes an object for that time."""

Values = Mapping[str, Any]


class NotJson(InputError):
    """The text of a job is not JSON."""

    def __init__(self) -> None:
        super().__init__(BAD_JSON)


async def values_of(request: Request) -> Values:
    """Return the fields of a request, whatever they stand in.

    Raises:
        RequestValidationError: its body is none of what a client sends.
    """
    if request.method != "POST":
        return request.query_params
    return await read_one(request, _of_form if is_form(request) else _of_json)


def job_id_of(values: Values) -> str:
    """Return the id that is asked for, as it was sent.

    Raises:
        RequestValidationError: there is none.
    """
    found = values.get("job_id")
    if found is None and "json" in values:
        try:
            found = json.loads(values["json"])["job_id"]
        except (ValueError, RecursionError, TypeError, KeyError, IndexError):
            raise _wrong("json", 'it has to be {"job_id": "..."}') from None
    if not isinstance(found, str) or not found:
        raise _wrong("job_id", "the id of a job is needed")
    return found


def job_of_text(values: Values, max_bytes: int) -> bytes:
    """Return the job document that came as text.

    Args:
        max_bytes: of a document; a larger one is refused wherever it is handed in, and is not read here.

    Raises:
        RequestValidationError: there is none.
        NotJson: it is not JSON.
    """
    name = "job" if "job" in values or "json" not in values else "json"
    text = values.get(name)
    if not isinstance(text, str):
        raise _wrong(name, "the job is needed, as JSON text")
    try:
        if len(text) <= max_bytes:
            json.loads(text)
        return document_of(text)
    except (ValueError, RecursionError, JobRejected):
        raise NotJson from None


def job_of_payload(values: Values, _max_bytes: int) -> bytes:
    """Return the job document that came as an object.

    Raises:
        RequestValidationError: there is none.
        NotJson: it holds what no document can.
    """
    payload = values.get("payload")
    if not isinstance(payload, dict):
        raise _wrong("payload", "the job is needed, as a JSON object")
    try:
        return document_of(payload)
    except (RecursionError, JobRejected):
        raise NotJson from None


def _of_form(raw: bytes) -> Values:
    fields = [part.partition(b"=") for part in raw.split(b"&", MAX_FIELDS)]
    wrong = _wrong("body", f"it is no form of at most {MAX_FIELDS} fields in UTF-8")
    if len(fields) > MAX_FIELDS or not raw.isascii():
        raise wrong
    try:
        return {_decoded(name): _decoded(value) for name, equals, value in fields if name or equals}
    except ValueError:
        raise wrong from None


def _decoded(text: bytes) -> str:
    """Return a name or a value of a form; a long one is taken apart between two escapes."""
    parts, at = [], 0
    while at < len(text):
        end = at + PIECE
        cut = text.rfind(b"%", end - 2, end)
        end = end if cut < 0 or end >= len(text) else cut
        parts.append(unquote_to_bytes(text[at:end].replace(b"+", b" ")))
        at = end
    return b"".join(parts).decode()


def _of_json(raw: bytes) -> Values:
    found = json_value(raw)
    if not isinstance(found, dict):
        raise _wrong("body", "a JSON object is needed")
    return found


def _wrong(field: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": (field,), "msg": message, "type": "value_error"}])
