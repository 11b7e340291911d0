"""The provider API of OQTOPUS: the engine of a device outside asks for jobs, and says what became of them.

The state of the application holds `services` and, once it runs, `calls`.
"""

import asyncio
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import State

from deployments.api.address import address_of
from deployments.api.dialects.oqtopus_answers import BadRequest, application, message
from deployments.api.dialects.oqtopus_brought import ITEMS, json_object, plain_object
from deployments.api.dialects.oqtopus_provider_files import UNDER_WAY, Parts, parts
from deployments.api.dialects.oqtopus_provider_files import router as files_router
from deployments.api.dialects.oqtopus_provider_status import Statuses
from deployments.api.dialects.oqtopus_provider_views import (
    DeviceInfoUpdate,
    DeviceStatusUpdate,
    DeviceUpdate,
    Listing,
    StatusUpdate,
    provider_view,
    wanted_of,
)
from deployments.api.dialects.oqtopus_views import states_of, status_of
from deployments.api.engines import NotNow, is_handed_out_on_list
from deployments.api.v1.bodies import read_body
from models.errors import echo
from models.identity.access import Caller
from models.identity.facts import DeviceReported
from models.job import Job, Phase
from models.job import State as JobState
from tasks.jobs.engines import Engine

PATH = "/oqtopus/provider"
"""Where it stands in the application that it is a part of."""

MAX_INFO = 100_000
"""Bytes of what an engine says of its transpiler."""

router = APIRouter()

Answer = TypeVar("Answer")
JobId = Annotated[str, Path(max_length=200)]
DeviceId = Annotated[str, Path(max_length=100)]


def make_app(state: State) -> FastAPI:
    """Return the application, for whoever mounts it; it shares the state of what it becomes a part of."""
    return application(state, router, files_router, header="X-Api-Key")


class Desk(NamedTuple):
    """One request of an engine.

    Attributes:
        base: the address under which it reaches this application, with a slash at its end.
    """

    parts: Parts
    caller: Caller
    engine: Engine
    base: str

    async def job(self, job_id: str) -> Job:
        """Return a job of the engine's device."""
        return await asyncio.to_thread(self.parts.engines.job, self.caller, job_id)

    def view(self, job: Job) -> dict[str, Any]:
        """Return a job as its engine reads it."""
        engines = self.parts.engines
        found = provider_view(
            job,
            wanted_of(job.backend, engines.document(job)),
            engines.history(job),
            self.parts.files.address(self.base, job),
        )
        if job.phase is Phase.RUNNING:
            told = engines.files.of(job.job_id, job.attempt).get("transpiler_info")
            if told is not None:
                found["transpiler_info"] = json_object(told, "", [])
        return found


async def _desk(request: Request) -> Desk:
    shared, key = await parts(request), request.headers.get("x-api-key")

    def engine() -> tuple[Caller, Engine]:
        caller = request.app.state.calls.visits.caller(key)
        return caller, shared.engines.engine(caller)

    return Desk(shared, *await asyncio.to_thread(engine), f"{address_of(request).rstrip('/')}{PATH}/")


AtDesk = Annotated[Desk, Depends(_desk)]


@router.get("/jobs")
async def list_jobs(desk: AtDesk, wanted: Annotated[Listing, Query()]) -> Response:
    """List jobs of a device: those that may be claimed in the order of their turns, all others the oldest first."""
    engines = desk.parts.engines
    await asyncio.to_thread(engines.device, desk.caller, wanted.device_id)
    if wanted.status == "submitted" and is_handed_out_on_list(desk.engine):
        jobs = await engines.hand_out(desk.engine, wanted.limit)
    else:
        jobs = await asyncio.to_thread(_listed, desk, wanted)
    fields = [each.strip() for each in wanted.fields.split(",")] if wanted.fields else []

    def shown() -> list[dict[str, Any]]:
        found = [desk.view(job) for job in jobs]
        return [{name: each.get(name) for name in fields} for each in found] if fields else found

    return JSONResponse(await asyncio.to_thread(shown))


def _listed(desk: Desk, wanted: Listing) -> list[Job]:
    engines = desk.parts.engines
    if wanted.status == "submitted":
        return engines.waiting(desk.engine, wanted.timestamp, wanted.limit)
    states = list(JobState) if wanted.status is None else states_of(wanted.status)
    if not states:
        return []
    found = engines.listed(desk.engine, states, wanted.timestamp, wanted.limit)
    return [job for job in found if wanted.status in (None, status_of(job))]


@router.get("/jobs/{job_id}")
async def get_job(desk: AtDesk, job_id: JobId) -> Response:
    """Return one job."""
    job = await desk.job(job_id)
    return JSONResponse(await asyncio.to_thread(desk.view, job))


@router.get("/jobs/{job_id}/upload")
async def get_upload(desk: AtDesk, job_id: JobId, items: Annotated[str, Query(max_length=1000)]) -> Response:
    """Return where files of a job are to be brought, in the order in which they are asked for."""
    asked = [each.strip() for each in items.split(",")]
    if unknown := [echo(each) for each in asked if each not in ITEMS]:
        raise BadRequest(f"items: there is no {', '.join(unknown)}; there are {', '.join(ITEMS)}")
    job = await desk.job(job_id)
    if not desk.engine.has(job) or job.state not in UNDER_WAY:
        raise NotNow(f"the job is {status_of(job)}, and not in the hands of this engine; claim it first")
    return JSONResponse([desk.parts.files.form(desk.base, desk.caller, job, item) for item in asked])


@router.patch("/jobs/{job_id}/status")
async def patch_status(request: Request, desk: AtDesk, job_id: JobId) -> Response:
    """Take what an engine says of a job."""
    said = await read_body(request, StatusUpdate, lambda body: body)
    job = await desk.job(job_id)
    statuses = Statuses(desk.parts.engines, desk.parts.files)
    return message(await statuses.update(desk.engine, job, said))


@router.put("/jobs/{job_id}/transpiler_info")
async def put_transpiler_info(request: Request, desk: AtDesk, job_id: JobId) -> Response:
    """Keep how an engine transpiles a job."""
    if len(content := await request.body()) > MAX_INFO:
        raise BadRequest(f"transpiler_info has more than {MAX_INFO} bytes")
    faults: list[str] = []
    plain_object(content, "transpiler_info", faults)
    if faults:
        raise BadRequest("; ".join(faults))
    job = await desk.job(job_id)
    held = await desk.parts.engines.held(desk.engine, job)
    await asyncio.to_thread(desk.parts.engines.files.put, job.job_id, held.number, "transpiler_info", content)
    return message("The job's transpiler_info has been updated.")


@router.patch("/devices/{device_id}")
async def patch_device(request: Request, desk: AtDesk, device_id: DeviceId) -> Response:
    """Keep how many qubits a device has."""
    body = await read_body(request, DeviceUpdate, lambda body: body)
    return await _report(desk, device_id, DeviceReported(n_qubits=body.n_qubits), "Device is successfully updated.")


@router.patch("/devices/{device_id}/status")
async def patch_device_status(request: Request, desk: AtDesk, device_id: DeviceId) -> Response:
    """Keep whether a device takes jobs."""
    body = await read_body(request, DeviceStatusUpdate, lambda body: body)
    return await _report(desk, device_id, DeviceReported(status=body.status), "Device data updated")


@router.patch("/devices/{device_id}/device_info")
async def patch_device_info(request: Request, desk: AtDesk, device_id: DeviceId) -> Response:
    """Keep the calibration of a device."""
    body = await read_body(request, DeviceInfoUpdate, lambda body: body)
    fact = DeviceReported(device_info=body.device_info, calibrated_at=body.calibrated_at)
    return await _report(desk, device_id, fact, "Device data updated")


async def _report(desk: Desk, device_id: str, fact: DeviceReported, said: str) -> Response:
    engine = await asyncio.to_thread(desk.parts.engines.device, desk.caller, device_id)
    await asyncio.to_thread(desk.parts.engines.report, engine, fact)
    return message(said)
