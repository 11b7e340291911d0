"""The documentation of the API, made on the server from its OpenAPI document."""

import json
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from deployments.api.pages.answers import PageRoute
from deployments.api.pages.rendering import render

router = APIRouter(route_class=PageRoute, include_in_schema=False)

PREFIX = "/v1"
_METHODS = ("get", "post", "put", "patch", "delete")
_PLACES = {"job_id": "JOB", "name": "BACKEND", "token_id": "TOKEN_ID", "sha256": "SHA256"}


class TakenField(NamedTuple):
    """Something that a route takes: a part of its path, of its query, a header, or a field of its body."""

    name: str
    where: str
    kind: str
    text: str
    required: bool


class Answer(NamedTuple):
    """A code that a route answers with, and when."""

    code: str
    text: str


class Route(NamedTuple):
    """One route of the API."""

    anchor: str
    method: str
    path: str
    text: str
    fields: list[TakenField]
    curl: str
    answers: list[Answer]


class Group(NamedTuple):
    """Routes with one tag."""

    name: str
    routes: list[Route]


@router.get("/v1/docs")
async def docs(request: Request) -> Response:
    """Show what the API can do; no token is needed."""
    document = request.app.openapi()
    base = str(request.base_url).rstrip("/")
    info = document["info"]
    return render(
        request,
        "docs.html",
        groups=groups_of(document, base),
        about=info.get("summary", ""),
        api_version=info["version"],
    )


def groups_of(document: dict[str, Any], base: str) -> list[Group]:
    """Return the routes of our own API in an OpenAPI document, by their first tags.

    Args:
        base: address of the server, for the curl lines.
    """
    found: dict[str, list[Route]] = {}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations and path.startswith(PREFIX):
                operation = operations[method]
                tag = (operation.get("tags") or ["other"])[0]
                found.setdefault(tag, []).append(_route(document, path, method, operation, base))
    return [Group(name, routes) for name, routes in found.items()]


def _route(document: dict[str, Any], path: str, method: str, operation: dict[str, Any], base: str) -> Route:
    fields = [
        TakenField(
            each["name"],
            each["in"],
            _kind(document, each["schema"]),
            _text(document, each),
            each.get("required", False),
        )
        for each in operation.get("parameters", [])
    ]
    fields += _body_fields(document, operation)
    return Route(
        anchor=f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '').replace(':', '-')}",
        method=method.upper(),
        path=path,
        text=operation.get("description") or operation.get("summary", ""),
        fields=fields,
        curl=curl_line(path, method, operation, base),
        answers=[Answer(code, each.get("description", "")) for code, each in sorted(operation["responses"].items())],
    )


def _text(document: dict[str, Any], parameter: dict[str, Any]) -> str:
    schema = _resolved(document, parameter["schema"])
    return str(parameter.get("description") or schema.get("description", ""))


def _body_fields(document: dict[str, Any], operation: dict[str, Any]) -> Iterator[TakenField]:
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = content.get("schema", {})
        root = schema if "$defs" in schema else document
        schema = _resolved(root, schema)
        if "properties" not in schema:
            yield TakenField("body", "body", media_type, schema.get("description", ""), required=True)
        for name, each in schema.get("properties", {}).items():
            text = each.get("description") or _resolved(root, each).get("description", "")
            yield TakenField(name, "body", _kind(root, each), text, name in schema.get("required", ()))


def _resolved(root: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "")
    if not reference.startswith("#/"):
        return schema
    found: Any = root
    for part in reference[2:].split("/"):
        found = found[part]
    return dict(found)


def _kind(root: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return the type of a value in a few words."""
    schema = _resolved(root, schema)
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " | ".join(dict.fromkeys(_kind(root, each) for each in choices if each.get("type") != "null"))
    if schema.get("type") == "array":
        return f"list of {_kind(root, schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type", "any"))


def curl_line(path: str, method: str, operation: dict[str, Any], base: str) -> str:
    """Return a line for a shell that calls a route, with the example of its body."""
    for name, place in _PLACES.items():
        path = path.replace(f"{{{name}}}", place)
    parts = ["curl", "-s", *([] if method == "get" else ["-X", method.upper()]), shlex.quote(f"{base}{path}")]
    parts += ["-H", '"Authorization: Bearer $TOKEN"']
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        parts += ["-H", f"'Content-Type: {media_type}'"]
        examples = [each["value"] for each in content.get("examples", {}).values()]
        if examples:
            parts += ["-d", shlex.quote(json.dumps(examples[0], ensure_ascii=False))]
        else:
            parts += ["--data-binary", "@FILE"]
    return " ".join(parts)
