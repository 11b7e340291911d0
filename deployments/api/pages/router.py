"""All pages, and what they load."""

from fastapi import APIRouter, FastAPI, HTTPException
from starlette.responses import Response

from deployments.api.pages import account, api_docs, backends, groups, job, jobs, operators, sign_in, submit
from deployments.api.pages.answers import PageRoute
from deployments.api.pages.rendering import MEDIA_TYPES, STATIC, VERSIONS
from deployments.api.pages.session_files import SessionFiles
from deployments.api.pages.sessions import Sessions
from tasks.services import Services

router = APIRouter(prefix="/ui", route_class=PageRoute, include_in_schema=False)

_KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}


@router.get("/static/{name}")
async def static(name: str, v: str = "") -> Response:
    """Return a file that pages load; one that is asked for by the hash of its content never changes."""
    if name not in STATIC:
        raise HTTPException(404)
    media_type = MEDIA_TYPES[name[name.rindex(".") :]]
    return Response(STATIC[name], media_type=media_type, headers=_KEPT if v == VERSIONS[name] else {})


@router.api_route("/{path:path}", methods=["GET", "POST"])
async def nowhere(path: str) -> Response:
    """Say that there is no such page."""
    raise HTTPException(404, path)


def add_pages(app: FastAPI, services: Services) -> None:
    """Add the pages to the application.

    Raises:
        BadSetting: the folder of the sessions cannot be used.
    """
    files = SessionFiles(services.settings.home.expanduser())
    app.state.sessions = Sessions(files.key, files)
    parts = (sign_in, backends, jobs, job, groups, submit, account, operators, api_docs)
    for each in (*(part.router for part in parts), router):
        app.include_router(each)
