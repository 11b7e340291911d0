"""JSON bodies: bounded, each key once, and described in the OpenAPI document."""

import asyncio
import gc
import json
from collections import Counter
from collections.abc import Callable
from typing import Any, Self, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator

from deployments.api.problems import MAX_INVALID
from models.errors import echo

LARGE_BYTES = 100_000
"""A larger body is read in a thread, one at a time: as objects it takes many times as much memory."""


class Body(BaseModel):
    """What the body of a request holds: its fields and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="wrap")
    @classmethod
    def _few_keys(cls, value: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(value, dict) and len(value) > len(cls.model_fields) + MAX_INVALID:
            msg = f"it has {len(value)} keys, and its fields are {', '.join(cls.model_fields)}"
            raise ValueError(msg)
        return read(value)


Model = TypeVar("Model", bound=Body)
Answer = TypeVar("Answer")


async def read_body(request: Request, model: type[Model], make: Callable[[Model], Answer]) -> Answer:
    """Return what is made of the body of a request.

    Args:
        make: of a large body it is called in a thread.

    Raises:
        RequestValidationError: names the fields that are wrong.
    """

    def read(raw: bytes) -> Answer:
        try:
            body = model.model_validate(json_value(raw))
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False, include_context=False)
            raise RequestValidationError(wrong[:MAX_INVALID]) from None
        return make(body)

    return await read_one(request, read)


async def read_one(request: Request, read: Callable[[bytes], Answer]) -> Answer:
    """Return what is read of the body of a request; a large one does not keep others waiting."""
    raw = await request.body()
    if len(raw) <= LARGE_BYTES:
        return read(raw)
    one_at_a_time: asyncio.Semaphore = request.app.state.large_bodies
    async with one_at_a_time:
        return await asyncio.to_thread(_without_collector, read, raw)


def _without_collector(read: Callable[[bytes], Answer], raw: bytes) -> Answer:
    """Read while nobody looks for garbage: among millions of new objects that takes most of the time for nothing."""
    gc.disable()
    try:
        return read(raw)
    finally:
        gc.enable()


def json_value(raw: bytes) -> Any:
    """Return the JSON value of a body, in which no object has a key twice.

    Raises:
        RequestValidationError: there is none.
    """
    try:
        return json.loads(raw, object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise _wrong("the body is not UTF-8 text") from None
    except RecursionError:
        raise _wrong("the body is nested too deeply") from None
    except ValueError as error:
        raise _wrong(f"the body is not JSON: {error}") from None


_DESCRIBED: dict[str, dict[str, Any]] = {}


def described(model: type[BaseModel], *examples: dict[str, Any]) -> dict[str, Any]:
    """Return what the OpenAPI document says of such a body; `add_schemas` says the rest."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    _DESCRIBED.update(schema.pop("$defs", {}) | {model.__name__: schema})
    named = {f"example {number}": {"value": each} for number, each in enumerate(examples, 1)}
    content = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}, "examples": named}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def add_schemas(document: dict[str, Any]) -> None:
    """Add the schemas of all bodies to an OpenAPI document."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in _DESCRIBED.items():
        schemas.setdefault(name, schema)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        msg = f"the key {echo(twice)} stands twice in one object"
        raise ValueError(msg)
    return found


def _wrong(message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body",), "msg": message, "type": "json_invalid"}])
