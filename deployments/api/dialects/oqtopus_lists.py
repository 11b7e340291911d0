"""OQTOPUS: the list of a user's jobs."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from deployments.api.calls import Calls
from deployments.api.dialects.oqtopus_devices import NAMES
from deployments.api.dialects.oqtopus_documents import Sent
from deployments.api.dialects.oqtopus_views import (
    FIELDS,
    Status,
    job_view,
    known_fields,
    states_of,
    status_of,
    times_of,
)
from models.clock import UtcDatetime
from models.errors import ResultMissing
from models.identity.access import Caller
from models.job import Job
from storage.log.job_lists import Query

MAX_SIZE = 1000

MAX_LOOKED_AT = 20_000
"""So many jobs are looked at for one page."""

MAX_SEARCHED = 1000
"""So many documents are read to find a text."""

_OF_DOCUMENT = frozenset({"name", "description", "job_type", "shots"} | {each for each in FIELDS if "_info" in each})
_OF_HISTORY = frozenset({"submitted_at", "ready_at", "running_at", "ended_at"})
_TICK = timedelta(microseconds=1)


class Wanted(BaseModel):
    """What a list is narrowed to, and which page of it is asked for."""

    model_config = ConfigDict(extra="forbid")

    fields: str = Field(default="", max_length=1024)
    start_time: UtcDatetime | None = None
    end_time: UtcDatetime | None = None
    status: Status | None = None
    q: str = Field(default="", max_length=1024)
    page: Annotated[int, Field(ge=1, le=2**32 - 1)] = 1
    size: Annotated[int, Field(ge=1, le=MAX_SIZE)] = 100
    order: Literal["ASC", "DESC", "asc", "desc"] = "DESC"

    @field_validator("start_time", "end_time", mode="before")
    @classmethod
    def _in_utc(cls, value: Any) -> Any:
        """Take a time without a zone as UTC."""
        try:
            moment = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            return value
        return value if moment.tzinfo else f"{value}+00:00"

    @field_validator("fields")
    @classmethod
    def _are_known(cls, value: str) -> str:
        return known_fields(value, FIELDS)


def listed(calls: Calls, caller: Caller, wanted: Wanted) -> list[dict[str, Any]]:
    """Return one page of the caller's own jobs on qubit devices; behind the last page comes the last one again."""
    found: list[Job] = []
    for job in _matching(calls, caller, wanted):
        found.append(job)
        if len(found) >= wanted.page * wanted.size:
            break
    page = min(wanted.page, max(1, -(-len(found) // wanted.size)))
    fields = [each.strip() for each in wanted.fields.split(",")] if wanted.fields else []
    return [_shown(calls, caller, job, fields) for job in found[(page - 1) * wanted.size : page * wanted.size]]


def sent_of(calls: Calls, caller: Caller, job: Job) -> Sent:
    """Return what was sent for a job."""
    try:
        return Sent.of(calls.document(caller, job.job_id))
    except ResultMissing:
        return Sent()


def _matching(calls: Calls, caller: Caller, wanted: Wanted) -> Iterator[Job]:
    states = frozenset(states_of(wanted.status)) if wanted.status else frozenset()
    if wanted.status and not states:
        return
    devices, searched = set(NAMES()), 0
    for job in _own(calls, caller, wanted, states):
        if job.is_hidden or job.backend not in devices or (wanted.status and status_of(job) != wanted.status):
            continue
        if wanted.q and wanted.q not in job.job_id:
            searched += 1
            if searched > MAX_SEARCHED:
                return
            sent = sent_of(calls, caller, job)
            if wanted.q not in sent.name and wanted.q not in (sent.description or ""):
                continue
        yield job


def _own(calls: Calls, caller: Caller, wanted: Wanted, states: frozenset[Any]) -> Iterator[Job]:
    query = Query(
        user=caller.user,
        states=states,
        since=wanted.start_time,
        until=None if wanted.end_time is None else wanted.end_time + _TICK,
        newest_first=wanted.order.upper() == "DESC",
    )
    cursor: str | None = ""
    looked_at = 0
    while cursor is not None and looked_at < MAX_LOOKED_AT:
        page = calls.page(caller, query, limit=MAX_SIZE, cursor=cursor)
        yield from page.jobs
        looked_at += len(page.jobs)
        cursor = page.next_cursor


def _shown(calls: Calls, caller: Caller, job: Job, fields: list[str]) -> dict[str, Any]:
    sent = sent_of(calls, caller, job) if not fields or _OF_DOCUMENT & set(fields) else Sent()
    times: dict[str, str] = {}
    if not fields or _OF_HISTORY & set(fields):
        times = times_of(job, calls.history(caller, job.job_id, after=0)[0])
    found = job_view(job, sent, times)
    return {name: found.get(name) for name in fields} if fields else found
