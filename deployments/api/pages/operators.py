"""The pages of operators: all users and projects, and whether the laboratory works."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from deployments.api.pages.answers import PageRoute
from deployments.api.pages.rendering import render
from deployments.api.pages.visits import AtPage
from deployments.api.views import JobView
from models.identity.limits import Limits
from models.job import State
from storage.log.job_lists import Query

router = APIRouter(prefix="/ui", route_class=PageRoute, include_in_schema=False)

MOST_FAILED = 10


@router.get("/users")
async def users(request: Request, visit: AtPage) -> Response:
    """Show all users and projects."""
    found = await visit.ask(lambda calls, caller: calls.overview.people(caller))
    people = [
        {
            "name": each.name,
            "role": each.role,
            "is_enabled": each.is_enabled,
            "projects": ", ".join(project.name for project in found.projects if each.name in project.members),
            "tokens": found.good_tokens.get(each.name, 0),
            "names": ", ".join(each.names),
            "limits": _limits(each.limits),
            "added_at": each.added_at,
        }
        for each in found.users
    ]
    projects = [
        {
            "name": each.name,
            "members": ", ".join(f"{name} ({role})" for name, role in sorted(each.members.items())),
            "limits": _limits(each.limits),
        }
        for each in found.projects
    ]
    return render(request, "users.html", visit, here="laboratory", users=people, projects=projects)


@router.get("/laboratory")
async def laboratory(request: Request, visit: AtPage) -> Response:
    """Show whether the laboratory works."""
    health, queues = await visit.ask(lambda calls, caller: calls.overview.health(caller))
    failed: list[Any] = []
    if health.is_open:
        query = Query(states=frozenset({State.ERROR}))
        failed = (await visit.ask(lambda calls, caller: calls.page(caller, query, limit=MOST_FAILED))).jobs
    return render(
        request,
        "laboratory.html",
        visit,
        here="laboratory",
        now=health.asked_at,
        parts=health.parts,
        queues=queues,
        failed=[JobView.of(job) for job in failed],
    )


def _limits(limits: Limits) -> str:
    given = {name: most for name, most in limits.model_dump().items() if most is not None}
    return ", ".join(f"{name.replace('_', ' ')} {most:,}" for name, most in given.items())
