"""The page of all routes of the HTTP API."""

import tempfile
from collections import Counter
from pathlib import Path

from deployments.api.app import make_app
from deployments.api.pages.api_docs import Answer, Route, groups_of
from docs.generator.markdown import page, table
from models.settings import Settings
from tasks.services import Services

ABOUT = """All routes below `/v1`, as `/v1/openapi.json` of a server has them and `/v1/docs` shows them, where
each has a line for a shell too. [api.md](../api.md) says how they behave: errors, bounds, waiting, proxies."""


USUAL = "Most routes may also answer with one of these; what is wrong stands in the [problem document](../api.md)."


def http_api() -> str:
    """Return the page."""
    with tempfile.TemporaryDirectory() as home:
        groups = groups_of(make_app(Services(Settings(home=Path(home)))).openapi(), "")
    routes = [route for group in groups for route in group.routes]
    number = Counter(answer for route in routes for answer in route.answers)
    usual = {answer for answer, times in number.items() if 2 * times > len(routes) and answer.code >= "400"}
    parts = [USUAL, table(("answer", "when"), sorted(usual))]
    for group in groups:
        parts.append(f"## {group.name}")
        for route in group.routes:
            parts += _route(route, usual)
    return page("The HTTP API", ABOUT, *parts)


def _route(route: Route, usual: set[Answer]) -> list[str]:
    parts = [f"### `{route.method} {route.path}`", "\n".join(line.rstrip() for line in route.text.splitlines())]
    if route.fields:
        rows = [
            (f"`{each.name}`", each.where, each.kind, "yes" if each.required else "no", each.text)
            for each in route.fields
        ]
        parts.append(table(("name", "in", "type", "needed", "what it is"), rows))
    answers = [f"{each.code} ({each.text.rstrip('.')})" for each in route.answers if each not in usual]
    return [*parts, f"Answers: {', '.join(answers)}."]
