"""The user API of OQTOPUS: a job is registered, its input uploaded, and then it is submitted.

The state of the application holds `services` and, once it runs, `calls`.
"""

import asyncio
import contextlib
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import State

from deployments.api.address import address_of
from deployments.api.calls import Calls
from deployments.api.dialects.oqtopus_answers import BadRequest, application, message
from deployments.api.dialects.oqtopus_devices import NAMES, device_view
from deployments.api.dialects.oqtopus_documents import SubmitBody, document_of
from deployments.api.dialects.oqtopus_files import Files, files_of
from deployments.api.dialects.oqtopus_files import router as files_router
from deployments.api.dialects.oqtopus_lists import Wanted, listed, sent_of
from deployments.api.dialects.oqtopus_uploads import form
from deployments.api.dialects.oqtopus_views import job_view, message_of, status_of, times_of
from deployments.api.door import Door
from deployments.api.requests import JobRequest
from deployments.api.v1.bodies import read_body
from models.errors import IdempotencyConflict, LogUnavailable, QuledgerError, UnknownBackend, UnknownJob, echo
from models.identity.access import Caller
from models.job import FINAL, Job
from models.job import State as JobState
from models.names import is_job_id
from storage.uploads.registrations import Registration
from tasks.backends import registry

PATH = "/oqtopus"
"""Where it stands in the application that it is a part of."""

router = APIRouter()

JobId = Annotated[str, Path(max_length=200)]


def make_app(state: State) -> FastAPI:
    """Return the application, for whoever mounts it; it shares the state of what it becomes a part of."""
    return application(state, router, files_router)


async def _door_of(request: Request) -> Door:
    return Door(request.app.state.calls, request.headers.get("q-api-token"))


AtDoor = Annotated[Door, Depends(_door_of)]
AllFiles = Annotated[Files, Depends(files_of)]


@router.post("/jobs")
async def register(request: Request, door: AtDoor, files: AllFiles) -> Response:
    """Give out the id of a job to come, and what its input is to be uploaded with."""
    caller = await door.caller()
    job_id = await asyncio.to_thread(files.registered.register, caller)
    presigned = {"url": f"{_base(request)}files", "fields": form(files.signer, job_id)}
    return JSONResponse({"job_id": job_id, "presigned_url": presigned})


@router.post("/jobs/{job_id}/submit")
async def submit(request: Request, door: AtDoor, files: AllFiles, job_id: JobId) -> Response:
    """Hand in a job whose input was uploaded; one whose programs have faults fails, and says all of them."""
    caller = await door.caller()
    body = await read_body(request, SubmitBody, lambda body: body)

    def prepared(calls: Calls) -> JobRequest:
        registration = _job_or_registration(calls, files, caller, job_id)
        if isinstance(registration, Job):
            raise _submitted_before(job_id)
        if registration.content is None:
            raise BadRequest("the input of this job was not uploaded yet")
        if body.device_id not in (devices := NAMES()):
            raise BadRequest(str(UnknownBackend(body.device_id, devices)))
        document = document_of(registration.content, body)
        return JobRequest(backend=body.device_id, document=document, job_id=job_id, keep_faulty=True)

    outcome = (await door.calls.submit(caller, [await door.run(prepared)]))[0]
    if isinstance(outcome, IdempotencyConflict):
        raise _submitted_before(job_id)
    if isinstance(outcome, QuledgerError):
        raise outcome
    if not outcome.is_new:
        raise _submitted_before(job_id)
    with contextlib.suppress(LogUnavailable):  # the log has the job; a day later the registration is gone anyway
        await asyncio.to_thread(files.registered.remove, job_id)
    return message("job submitted")


def _submitted_before(job_id: str) -> BadRequest:
    return BadRequest(f"job {echo(job_id)} was submitted before")


@router.get("/jobs/{job_id}/status")
async def status(door: AtDoor, files: AllFiles, job_id: JobId) -> Response:
    """Return where a job stands."""

    def answer(calls: Calls, caller: Caller) -> str:
        found = _job_or_registration(calls, files, caller, job_id)
        return status_of(found) if isinstance(found, Job) else "registered"

    return JSONResponse({"job_id": job_id, "status": await door.look(answer)})


@router.get("/jobs/{job_id}")
async def get_job(request: Request, door: AtDoor, files: AllFiles, job_id: JobId) -> Response:
    """Return all of a job, with addresses of its files."""

    def answer(calls: Calls, caller: Caller) -> dict[str, Any]:
        job = _job_or_registration(calls, files, caller, job_id)
        if isinstance(job, Registration):
            return {"job_id": job_id, "status": "registered"}
        times = times_of(job, calls.history(caller, job_id, after=0)[0])
        items = ["input", *(["result", "transpile_result"] if job.state is JobState.DONE else [])]
        info = {item: files.address(_base(request), job_id, item) for item in items}
        if (why := message_of(job)) is not None:
            info["message"] = why
        return job_view(job, sent_of(calls, caller, job), times) | {"job_info": info}

    return JSONResponse(await door.ask(answer))


@router.get("/jobs")
async def list_jobs(door: AtDoor, wanted: Annotated[Wanted, Query()]) -> Response:
    """List the caller's jobs on qubit devices, newest first, without their files."""
    return JSONResponse(await door.ask(lambda calls, caller: listed(calls, caller, wanted)))


@router.post("/jobs/{job_id}/cancel")
async def cancel(door: AtDoor, files: AllFiles, job_id: JobId) -> Response:
    """Cancel a job: at once where it waits, within seconds where it runs."""

    def answer(calls: Calls, caller: Caller) -> None:
        _submitted(calls, files, caller, job_id)
        calls.cancel(caller, job_id)

    await door.ask(answer)
    return message("cancel request accepted")


@router.delete("/jobs/{job_id}")
async def delete(door: AtDoor, files: AllFiles, job_id: JobId) -> Response:
    """Put a job away that has ended; the log keeps it."""

    def answer(calls: Calls, caller: Caller) -> None:
        if _submitted(calls, files, caller, job_id).state not in FINAL:
            raise BadRequest(f"job {job_id} has not ended; cancel it first")
        calls.hide(caller, job_id)

    await door.ask(answer)
    return message("job deleted")


@router.get("/devices")
async def list_devices(door: AtDoor) -> Response:
    """List the qubit devices."""

    def answer(calls: Calls, _caller: Caller) -> list[dict[str, Any]]:
        return [_device(calls, name) for name in NAMES()]

    return JSONResponse(await door.ask(answer))


@router.get("/devices/{device_id}")
async def get_device(door: AtDoor, device_id: Annotated[str, Path(max_length=100)]) -> Response:
    """Return one qubit device."""

    def answer(calls: Calls, _caller: Caller) -> dict[str, Any]:
        if device_id not in (devices := NAMES()):
            raise UnknownBackend(device_id, devices)
        return _device(calls, device_id)

    return JSONResponse(await door.ask(answer))


def _device(calls: Calls, name: str) -> dict[str, Any]:
    laboratory = calls.laboratory
    said = laboratory.standing(name) if registry.served_outside(name) else None
    is_served = laboratory.why_not_served(name) is None
    return device_view(name, laboratory.backend(name)["waiting"], is_served=is_served, said=said)


def _job(calls: Calls, caller: Caller, job_id: str) -> Job:
    """Return a job by the whole of its id."""
    if not is_job_id(job_id):
        raise UnknownJob(job_id)
    job = calls.job(caller, job_id)
    if job.job_id != job_id or job.is_hidden or job.backend not in NAMES():
        raise UnknownJob(job_id)
    return job


def _job_or_registration(calls: Calls, files: Files, caller: Caller, job_id: str) -> Job | Registration:
    try:
        return _job(calls, caller, job_id)
    except UnknownJob:
        pass
    try:
        return files.registered.get(caller, job_id)
    except UnknownJob:
        # It may have been submitted between the two looks.
        return _job(calls, caller, job_id)


def _submitted(calls: Calls, files: Files, caller: Caller, job_id: str) -> Job:
    found = _job_or_registration(calls, files, caller, job_id)
    if isinstance(found, Registration):
        raise BadRequest(f"job {job_id} was not submitted yet")
    return found


def _base(request: Request) -> str:
    """Return the address under which the caller reaches this application, with a slash at its end."""
    return f"{address_of(request).rstrip('/')}{PATH}/"
