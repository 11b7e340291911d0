"""The pages of the backends: what they can do, and how many jobs wait for each."""

import json

from fastapi import APIRouter, Request
from starlette.responses import Response

from deployments.api.pages.answers import PageRoute, see
from deployments.api.pages.rendering import render
from deployments.api.pages.visits import AtForm, AtPage
from models.pauses import MAX_REASON
from tasks.backends import registry

router = APIRouter(prefix="/ui/backends", route_class=PageRoute, include_in_schema=False)

MAX_UNTIL = 40

USUAL = {
    "load": "Puts atoms on a wire",
    "measure": "Reads a wire: what it shows is part of the outcome",
    "barrier": "Does nothing",
    "reset": "Puts a qubit to 0",
    "if_else": "What follows depends on bits that were measured",
    "for_loop": "Repeats so many times",
    "while_loop": "Repeats while bits that were measured say so",
}
"""What instructions do that are no gates, so that no configuration describes them."""


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
        plain={each: USUAL.get(each, "") for each in config["supported_instructions"] if each not in described},
        as_json=json.dumps(config, indent=2, ensure_ascii=False),
        may_submit=visit.may_submit,
        is_outside=registry.served_outside(name),
        may_pause=visit.caller.role == "operator",
    )


@router.post("/{name}/pause")
async def pause(visited: AtForm, name: str) -> Response:
    """Pause a backend."""
    visit, form = visited
    asked = {"reason": form.text("reason", MAX_REASON), "until": form.text("until", MAX_UNTIL)}
    drain_down = bool(form.text("drain_down", MAX_UNTIL))
    await visit.ask(lambda calls, caller: calls.laboratory.pause(caller, name, drain_down=drain_down, **asked))
    return see(f"/ui/backends/{name}")


@router.post("/{name}/resume")
async def resume(visited: AtForm, name: str) -> Response:
    """Serve a backend again."""
    visit, _ = visited
    await visit.ask(lambda calls, caller: calls.laboratory.resume(caller, name))
    return see(f"/ui/backends/{name}")
