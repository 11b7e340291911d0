"""JSON bodies: bounded, each key once, and described in the OpenAPI document."""

import json
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from models.errors import echo

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request, model: type[Model]) -> Model:
    """Return the body of a request.

    Raises:
        RequestValidationError: names every field that is wrong.
    """
    value = json_value(await request.body())
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from None


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
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"the key {echo(twice)} stands twice in one object"
        raise ValueError(msg)
    return found


def _wrong(message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body",), "msg": message, "type": "json_invalid"}])
