"""The form for a job: checked while it is filled in and when it is sent, as the run of the job will check it."""

import asyncio
import hashlib
import uuid
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from deployments.api.leaving import while_there
from deployments.api.pages.answers import PageRoute, problem_said, see
from deployments.api.pages.job_page import PlacedFault, place_of
from deployments.api.pages.rendering import render
from deployments.api.pages.visits import AtForm, AtPage, Form, Visit
from deployments.api.problems import headers_of, problem_of
from deployments.api.requests import JobRequest
from models.errors import JobRejected, QuledgerError, UnknownBackend, echo, printable
from models.requests import EXAMPLE, MAX_PROGRAM
from models.requests import JobRequest as FormOfJob
from models.words import count_of, without_prefix

router = APIRouter(prefix="/ui", route_class=PageRoute, include_in_schema=False)

FIELDS = {"backend": 100, "project": 100, "program": MAX_PROGRAM, "wires": 20, "shots": 20, "seed": 30, "priority": 20}
"""The most characters of each field."""

_FIRST = {"program": EXAMPLE, "wires": "1", "shots": "500", "seed": "", "priority": "0", "project": "", "backend": ""}
_NOTHING: dict[str, Any] = {"faults": [], "more_faults": 0, "good": ""}
_BESIDE_PROGRAM = {"shots", "seed", "priority"}
"""Fields without which a program can be checked."""

MOST_KEY = 100
UNPROCESSABLE, TOO_MANY = 422, 429


class Filled(NamedTuple):
    """The form as it was sent.

    Attributes:
        request: None where its faults leave nothing to check; without the fields that are wrong where they do.
        faults: of the form itself; with any of them nothing is handed in.
    """

    values: dict[str, str]
    request: JobRequest | None
    faults: list[PlacedFault]


@router.get("/submit")
async def show(request: Request, visit: AtPage) -> Response:
    """Show the form, with an example in it."""
    values = _FIRST | {"backend": request.query_params.get("backend", "")[:100]}
    return await _form(request, visit, values, uuid.uuid4().hex)


@router.post("/submit")
async def submit(request: Request, visited: AtForm, only: str = "") -> Response:
    """Hand in a job; a form that is sent twice makes one."""
    visit, form = visited
    filled = await _filled(form)
    key = form.text("key", MOST_KEY)
    if only or filled.faults or filled.request is None:
        said = await _checked(request, visit, filled)
        return await _form(request, visit, filled.values, key, code=UNPROCESSABLE if said["faults"] else 200, **said)
    (outcome,) = await visit.calls.submit(visit.caller, [filled.request])
    if isinstance(outcome, QuledgerError):
        code = problem_of(outcome).status
        code = UNPROCESSABLE if code < TOO_MANY else code
        answer = await _form(request, visit, filled.values, key, code=code, **_refused(outcome))
        answer.headers.update(headers_of(outcome))
        return answer
    return see(f"/ui/jobs/{outcome.job.job_id}")


@router.post("/check")
async def check(request: Request, visited: AtForm) -> Response:
    """Say what is wrong with the form as it stands; nothing is stored."""
    visit, form = visited
    filled = await _filled(form)
    said = await _checked(request, visit, filled)
    return render(request, "check.html", visit, code=UNPROCESSABLE if said["faults"] else 200, **said)


async def _form(
    request: Request, visit: Visit, values: dict[str, str], key: str, *, code: int = 200, **said: Any
) -> Response:
    names = await visit.ask(lambda calls, _caller: calls.laboratory.names())
    said = _NOTHING | said
    return render(
        request,
        "submit.html",
        visit,
        here="submit",
        code=code,
        values=values,
        key=key,
        backends=names,
        projects=sorted(name for name, role in visit.caller.projects.items() if role == "member"),
        wrong={fault.input for fault in said["faults"] if fault.input},
        **said,
    )


async def _checked(request: Request, visit: Visit, filled: Filled) -> dict[str, Any]:
    if filled.request is None:
        return _NOTHING | {"faults": filled.faults}
    found = await while_there(request, visit.calls.check(visit.caller, filled.request))
    if isinstance(found, QuledgerError):
        said = _refused(found)
        return _NOTHING | said | {"faults": [*filled.faults, *said["faults"]]}
    if filled.faults:
        return _NOTHING | {"faults": filled.faults}
    if found.shots is None:
        return _NOTHING | {"good": "It cannot be checked here now; its run will. Nothing is stored yet."}
    good = f"{found.backend} takes it, {count_of(found.shots, 'shot')} in all. Nothing is stored yet."
    return _NOTHING | {"good": good}


async def _filled(form: Form) -> Filled:
    """Return what a form says; the faults of all its fields at once."""
    values = {name: form.text(name, most) for name, most in FIELDS.items()}
    file = await form.file("file")
    faults = [
        PlacedFault("", f"{name} has more than {most} characters", name)
        for name, most in FIELDS.items()
        if len(values[name]) > most
    ]
    if faults:
        return Filled(values, None, faults)
    given: dict[str, Any] = {name: value.strip() for name, value in values.items() if name != "program"}
    given = {name: value for name, value in given.items() if value or name in {"backend", "project"}}
    # Beside a file the fields count too, but not the text.
    given["program"] = values["program"] if not file else "{}"
    try:
        read = FormOfJob.model_validate(given)
    except ValidationError as error:
        faults = _wrong_fields(error, values)
        wrong = {fault.input for fault in faults}
        if not wrong <= _BESIDE_PROGRAM:
            return Filled(values, None, faults)
        # The program is checked all the same, so that all that is wrong is said at once.
        read = FormOfJob.model_validate({name: value for name, value in given.items() if name not in wrong})
    try:
        document = await asyncio.to_thread(_document, read, file)
    except QuledgerError as error:
        return Filled(values, None, [*faults, *_faults(error)])
    nonce = form.text("key", MOST_KEY)
    # Another document from the same form is another job: somebody went back and has changed it.
    said = "\x00".join([nonce, read.backend, read.project, str(read.priority), hashlib.sha256(document).hexdigest()])
    request = JobRequest(
        backend=read.backend,
        document=document,
        project=read.project,
        priority=read.priority,
        key=f"form-{hashlib.sha256(said.encode('utf-8', 'replace')).hexdigest()[:32]}" if nonce else None,
    )
    return Filled(values, request, faults)


def _document(read: FormOfJob, file: bytes) -> bytes:
    if not file:
        return read.job_document()
    if len(file) > MAX_PROGRAM:
        return file
    try:
        return read.model_copy(update={"program": file.decode("utf-8")}).job_document()
    except UnicodeDecodeError:
        return file


def _wrong_fields(error: ValidationError, values: dict[str, str]) -> list[PlacedFault]:
    faults = []
    for each in error.errors(include_url=False):
        name = str(each["loc"][0]) if each["loc"] else "program"
        whole = f"got {echo(values.get(name, ''))}; it must be a whole number"
        message = whole if each["type"].startswith("int_") else printable(without_prefix(each["msg"]))
        faults.append(PlacedFault(name, message, name))
    return faults


def _refused(error: QuledgerError) -> dict[str, Any]:
    return {"faults": _faults(error), "more_faults": error.more if isinstance(error, JobRejected) else 0}


def _faults(error: QuledgerError) -> list[PlacedFault]:
    if isinstance(error, JobRejected):
        return [PlacedFault(place_of(fault), fault.message, "program") for fault in error.faults]
    return [PlacedFault("", problem_said(error).detail, "backend" if isinstance(error, UnknownBackend) else "")]
