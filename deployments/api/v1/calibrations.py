"""Configurations and calibrations of backends by their hashes, and the results that stand on them."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from deployments.api.calls import Calls
from deployments.api.door import AtDoor
from deployments.api.responses import problems
from deployments.api.v1.backends import Name
from models.calibrations import MAX_REASON
from models.identity.access import Caller
from models.job import State
from models.standing import result_value
from storage.log import job_lists

router = APIRouter(tags=["calibrations"])

Hash = Annotated[str, Path(max_length=64, description="SHA-256 of a calibration, or its beginning.")]


class Withdrawal(BaseModel):
    """Whether something was withdrawn: when, by whom and why."""

    withdrawn_at: datetime | None
    withdrawn_by: str
    reason: str


class PeriodView(Withdrawal):
    """A time for which a version held; `until` is null while it does."""

    sha256: str
    since: datetime | None
    until: datetime | None


class VersionView(Withdrawal):
    """A configuration together with what was measured.

    Attributes:
        recorded_at: null of one that is older than the ledger.
        content: `config` and `calibration`; null where they were not kept.
    """

    backend: str
    sha256: str
    config_sha256: str
    recorded_at: datetime | None
    content: dict[str, Any] | None


class StandingView(Withdrawal):
    """A job that has run, and what its result stands on."""

    job_id: str
    backend: str
    user: str
    state: State
    submitted_at: datetime
    calibration: str


class Results(BaseModel):
    """One page of results.

    Attributes:
        next: cursor of the next page; null on the last one.
    """

    results: list[StandingView]
    next: str | None


@router.get("/backends/{name}/calibrations", response_model=list[PeriodView], responses=problems(404))
async def list_calibrations(door: AtDoor, name: Name) -> Response:
    """List which configurations and calibrations of a backend held when, and which of them were withdrawn."""
    return JSONResponse(await door.ask(lambda calls, caller: calls.calibrations.history(caller, name)))


@router.get("/calibrations/{sha256}", response_model=VersionView, responses=problems(404))
async def get_calibration(door: AtDoor, sha256: Hash) -> Response:
    """Return a configuration and calibration as it was kept."""
    return JSONResponse(await door.ask(lambda calls, caller: calls.calibrations.version(caller, sha256)))


@router.post("/calibrations/{sha256}/withdraw", response_model=VersionView, responses=problems(403, 404))
async def withdraw_calibration(
    door: AtDoor,
    sha256: Hash,
    reason: Annotated[str, Query(min_length=1, max_length=MAX_REASON, description="Who looks at a result is told.")],
) -> Response:
    """Withdraw a configuration and calibration, as an operator: results that stand on it are not to be relied on."""
    return JSONResponse(await door.ask(lambda calls, caller: calls.calibrations.withdraw(caller, sha256, reason)))


@router.post("/calibrations/{sha256}/reinstate", response_model=VersionView, responses=problems(403, 404))
async def reinstate_calibration(
    door: AtDoor,
    sha256: Hash,
    reason: Annotated[str, Query(min_length=1, max_length=MAX_REASON, description="It is kept in the log.")],
) -> Response:
    """Take back the withdrawal of a configuration and calibration, as an operator."""
    return JSONResponse(await door.ask(lambda calls, caller: calls.calibrations.reinstate(caller, sha256, reason)))


class Standing(BaseModel, extra="forbid"):
    """Which results are listed."""

    standing_on: str = Field(default="", max_length=64, description="Hash of a calibration, or its beginning.")
    withdrawn: bool = Field(default=False, description="Those that stand on any calibration that was withdrawn.")
    backend: str = Field(default="", max_length=100)
    cursor: str = Field(default="", max_length=400, description="From `next` of the page before.")
    limit: int = Field(default=50, ge=1, le=1000)


@router.get("/results", response_model=Results, responses=problems(404))
async def list_results(door: AtDoor, wanted: Annotated[Standing, Query()]) -> Response:
    """List the results that you may see and that stand on a calibration, or on one that was withdrawn."""

    def listed(calls: Calls, caller: Caller) -> dict[str, Any]:
        hashes = calls.calibrations.hashes(wanted.standing_on, withdrawn=wanted.withdrawn)
        if not hashes:
            return {"results": [], "next": None}
        query = job_lists.Query(calibrations=hashes, backend=wanted.backend)
        page = calls.page(caller, query, limit=wanted.limit, cursor=wanted.cursor)
        gone = calls.calibrations.withdrawn(page.jobs)
        return {"results": [result_value(job, gone) for job in page.jobs], "next": page.next_cursor}

    return JSONResponse(await door.ask(listed))
