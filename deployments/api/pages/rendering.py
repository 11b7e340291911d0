"""Templates and their filters. Whatever a user has written is escaped; figures alone come as markup."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from deployments.api.pages.timeline import size_of, tone
from models.errors import printable
from models.job import State
from models.labels import in_a_line

if TYPE_CHECKING:
    from deployments.api.pages.visits import Visit

FOLDER = Path(__file__).parent

PARTS = (("/ui/backends", "Backends", "backends"), ("/ui/jobs", "Jobs", "jobs"))
SUBMIT = ("/ui/submit", "Submit", "submit")
ACCOUNT = ("/ui/account", "Account", "account")
LABORATORY = ("/ui/laboratory", "Laboratory", "laboratory")

MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

STATIC = {path.name: path.read_bytes() for path in sorted((FOLDER / "static").iterdir()) if path.suffix in MEDIA_TYPES}
"""What pages load beside themselves."""

HEADERS = {"Referrer-Policy": "same-origin"}  # with none at all, browsers leave out the origin of our own forms


def render(
    request: Request,
    template: str,
    visit: "Visit | None" = None,
    *,
    here: str = "",
    code: int = 200,
    **values: Any,
) -> HTMLResponse:
    """Return a page.

    Args:
        visit: whose page it is; None before somebody has signed in.
        here: the part of the navigation that it belongs to.
    """
    about = {"visit": visit, "here": here, "path": request.url.path, "navigation": _navigation(visit)}
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(about | values), code, HEADERS)


def _navigation(visit: "Visit | None") -> list[tuple[str, str, str]]:
    if visit is None:
        return []
    operators = [LABORATORY] if visit.is_operator else []
    return [*PARTS, *([SUBMIT] if visit.may_submit else []), ACCOUNT, *operators]


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _iso(value: datetime | str) -> str:
    return _moment(value).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _utc(value: datetime | str, only: str = "") -> str:
    return f"{_moment(value).astimezone(UTC):{'%H:%M:%S' if only == 'time' else '%Y-%m-%d %H:%M:%S'}}"


def _tone(state: State | str) -> str:
    return tone(State(state))


def _brief(text: str, most: int) -> str:
    return printable(text, most)


def _words(text: str) -> Markup:
    """Return text in which what stands between backticks is code."""
    parts = (
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(text.split("`"))
    )
    return Markup("").join(parts)


def _static(name: str) -> str:
    return f"/ui/static/{name}?v={VERSIONS[name]}"


VERSIONS = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in STATIC.items()}


def _environment(filters: Mapping[str, Any]) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= filters
    environment.globals |= {"static": _static, "version": metadata.version("quledger")}
    environment.policies["json.dumps_function"] = lambda value, **_: json.dumps(value, ensure_ascii=True)
    return environment


_ENVIRONMENT = _environment(
    {
        "labels": in_a_line,
        "iso": _iso,
        "utc": _utc,
        "tone": _tone,
        "brief": _brief,
        "words": _words,
        "size": size_of,
        "markup": Markup,
    }
)
