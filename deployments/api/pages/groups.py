"""The pages of groups: all of them, and what became of one."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from deployments.api.pages.answers import PageRoute
from deployments.api.pages.group_page import group_page
from deployments.api.pages.job import download
from deployments.api.pages.rendering import render
from deployments.api.pages.visits import AtPage
from deployments.group_results import Measured
from models.errors import InputError
from models.groups import UnknownGroup

router = APIRouter(prefix="/ui/groups", route_class=PageRoute, include_in_schema=False)

MAX_NAME = 100


@router.get("")
async def list_groups(request: Request, visit: AtPage) -> Response:
    """List the groups of the jobs that the visitor may see."""
    found = await visit.ask(lambda calls, caller: calls.groups.all(caller))
    return render(request, "groups.html", visit, here="jobs", groups=found)


@router.get("/{name}")
async def show(request: Request, visit: AtPage, name: str) -> Response:
    """Show a group, and another one beside it."""
    other, wrong = request.query_params.get("with", "")[: MAX_NAME + 1].strip(), ""
    try:
        found = await visit.ask(lambda calls, caller: group_page(calls, caller, name, other))
    except InputError as error:
        if not other:
            raise
        wrong = "There is no such group to compare it with." if isinstance(error, UnknownGroup) else f"{error}."
        found = await visit.ask(lambda calls, caller: group_page(calls, caller, name, ""))
    return render(request, "group.html", visit, here="jobs", code=422 if wrong else 200, wrong=wrong, **found)


@router.get("/{name}/results.csv")
async def results(visit: AtPage, name: str) -> Response:
    """Return the results of a group as CSV."""
    found = await visit.ask(lambda calls, caller: calls.groups.whole(caller, name))
    return download(await visit.ask(lambda _calls, _caller: _csv(found)), "text/csv", f"{name}.csv")


def _csv(found: list[Measured]) -> bytes:
    # pandas takes a second to import.
    from deployments.csv_text import csv_of  # noqa: PLC0415
    from deployments.group_frames import results_frame  # noqa: PLC0415

    return csv_of(results_frame(found)).encode("utf-8")
