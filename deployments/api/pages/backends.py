"""The pages of the backends: what they can do, and how many jobs wait for each."""

import json

from fastapi import APIRouter, Request
from starlette.responses import Response

from deployments.api.pages.answers import PageRoute
from deployments.api.pages.rendering import render
from deployments.api.pages.visits import AtPage

router = APIRouter(prefix="/ui/backends", route_class=PageRoute, include_in_schema=False)


@router.get("")
async def list_backends(request: Request, visit: AtPage) -> Response:
    """Show all backends."""
    found = await visit.ask(lambda calls, _caller: calls.laboratory.backends())
    return render(request, "backends.html", visit, here="backends", backends=found, may_submit=visit.may_submit)


@router.get("/{name}")
async def show_backend(request: Request, visit: AtPage, name: str) -> Response:
    """Show one backend."""
    found = await visit.ask(lambda calls, _caller: calls.laboratory.backend(name))
    config = found["config"]
    described = {gate["name"] for gate in config["gates"]}
    return render(
        request,
        "backend.html",
        visit,
        here="backends",
        backend=found,
        plain=[each for each in config["supported_instructions"] if each not in described],
        as_json=json.dumps(config, indent=2, ensure_ascii=False),
        may_submit=visit.may_submit,
    )
