"""One request for a page: whose session it is, and for a form whether a page of ours has sent it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile

from deployments.api.calls import Calls
from deployments.api.pages.forgery import why_foreign
from deployments.api.pages.sessions import Session, Sessions
from models.errors import InputError
from models.identity.access import Caller
from models.identity.errors import NotSignedIn

Answer = TypeVar("Answer")

COOKIE = "quledger_session"
PATH = "/ui"

MAX_FIELDS = 40

MAX_FORM = 1_000_000
"""Bytes of a form without a file; those that hold a document are `multipart/form-data`."""

FORMS_WITH_DOCUMENTS = frozenset({"/ui/submit", "/ui/check"})


class ForeignForm(InputError):
    """A form that no page of this session has sent; the text says why it is thought so."""


class Visit:
    """A request of somebody who has signed in."""

    def __init__(self, request: Request, session: Session, caller: Caller) -> None:
        self.session, self.caller = session, caller
        self.calls: Calls = request.app.state.calls
        self.sessions: Sessions = request.app.state.sessions

    @property
    def form_token(self) -> str:
        """What each form carries."""
        return self.sessions.form_token(self.session)

    @property
    def is_operator(self) -> bool:
        """Whether the pages of operators are shown."""
        return self.caller.role == "operator"

    @property
    def may_submit(self) -> bool:
        """Whether the form for jobs is shown."""
        return self.calls.may_submit(self.caller)

    async def ask(self, function: Callable[[Calls, Caller], Answer]) -> Answer:
        """Answer in a thread."""
        return await asyncio.to_thread(function, self.calls, self.caller)


class Form:
    """A form that was sent: texts by name, each at most once but where several are asked for."""

    def __init__(self, data: FormData) -> None:
        self._data = data

    def text(self, name: str, most: int = 1000) -> str:
        """Return a field, and of a longer one no more than `most` characters and one more."""
        value = self._data.get(name, "")
        return value[: most + 1].replace("\r\n", "\n") if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        """Return all fields of this name."""
        return [value for value in self._data.getlist(name) if isinstance(value, str)]

    async def file(self, name: str) -> bytes:
        """Return the content of a file; nothing where none was chosen."""
        value = self._data.get(name)
        return await value.read() if isinstance(value, UploadFile) and value.filename else b""


async def visit_of(request: Request) -> Visit:
    """Return the visit of a request.

    Raises:
        NotSignedIn: nobody has signed in, or the token was revoked, has expired or is unknown since.
        LimitReached: the user has sent too many requests in this minute.
    """
    session = request.app.state.sessions.read(request.cookies.get(COOKIE))
    if session is None:
        raise NotSignedIn("missing")
    caller = await asyncio.to_thread(request.app.state.calls.visits.caller_with, session.token_id)
    return Visit(request, session, caller)


AtPage = Annotated[Visit, Depends(visit_of)]


async def form_of(request: Request) -> AsyncIterator[Form]:
    """Yield the form that a request carries, sent by a page of ours.

    Raises:
        ForeignForm: another site has sent it.
    """
    if why := why_foreign(request.headers):
        raise ForeignForm(why)
    if not request.headers.get("content-type", "").startswith("multipart/"):
        body = await request.body()
        if body.count(b"&") >= MAX_FIELDS:  # this the parser does not count itself
            raise ForeignForm(f"it has more than {MAX_FIELDS} fields")
        if len(body) > MAX_FORM:  # decoded it may take a hundred times as much
            raise ForeignForm(f"it has more than {MAX_FORM} bytes")
    most = request.app.state.services.settings.max_document_bytes
    async with request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=most) as data:
        yield Form(data)


async def form_visit_of(visit: AtPage, form: Annotated[Form, Depends(form_of)]) -> tuple[Visit, Form]:
    """Return the visit and the form of somebody who has signed in.

    Raises:
        NotSignedIn: as `visit_of`.
        ForeignForm: another site, or a page of another session, has sent it.
    """
    if not visit.sessions.is_form_token(visit.session, form.text("form_token")):
        raise ForeignForm("it is not of this session")
    return visit, form


AtForm = Annotated[tuple[Visit, Form], Depends(form_visit_of)]


def is_secure(request: Request) -> bool:
    """Return whether the browser speaks TLS, with us or with the proxy in front of us."""
    if request.app.state.services.settings.api_behind_proxy:
        return request.headers.get("x-forwarded-proto", "").rpartition(",")[2].strip() == "https"
    return request.url.scheme == "https"
