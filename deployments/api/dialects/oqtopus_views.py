"""OQTOPUS: jobs in its words. Nothing here does I/O."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from deployments.api.dialects.oqtopus_documents import Sent
from models.clock import to_text
from models.errors import echo
from models.events import Event
from models.job import FINAL, Job, State

Status = Literal["registered", "submitted", "ready", "running", "cancelling", "succeeded", "failed", "cancelled"]

_STATUS: dict[State, Status] = {
    State.QUEUED: "submitted",
    State.CLAIMED: "ready",
    State.VALIDATED: "ready",
    State.COMPILED: "running",
    State.EXECUTED: "running",
    State.UPLOADED: "running",
    State.DONE: "succeeded",
    State.ERROR: "failed",
    State.CANCELLED: "cancelled",
    State.WITHDRAWN: "cancelled",
}

FIELDS = (
    "job_id",
    "name",
    "description",
    "job_type",
    "status",
    "device_id",
    "shots",
    "job_info",
    "transpiler_info",
    "simulator_info",
    "mitigation_info",
    "execution_time",
    "submitted_at",
    "ready_at",
    "running_at",
    "ended_at",
)
"""What a job may be asked for."""


def known_fields(value: str, known: Sequence[str]) -> str:
    """Return names with commas between them.

    Raises:
        ValueError: there is no such field; all that are unknown are named.
    """
    if unknown := [echo(each) for each in value.split(",") if value and each.strip() not in known]:
        msg = f"there is no {', '.join(unknown)}; there are {', '.join(known)}"
        raise ValueError(msg)
    return value


def status_of(job: Job) -> Status:
    """Return where a job stands."""
    if job.cancel_requested and job.state not in FINAL:
        return "cancelling"
    return _STATUS[job.state]


def states_of(status: Status) -> list[State]:
    """Return the states that a job of this status may have."""
    if status == "cancelling":
        return [state for state in State if state not in FINAL]
    return [state for state, word in _STATUS.items() if word == status]


def times_of(job: Job, events: Sequence[Event]) -> dict[str, str]:
    """Return when a job came to where it stands.

    Args:
        events: of the job, all but the first; in any case those since it last waited.
    """
    found: dict[str, datetime] = {"submitted_at": job.submitted_at}
    for event in events:
        if event.kind == "claimed":
            found["ready_at"] = event.recorded_at
        elif event.kind == "compiled":
            found["running_at"] = event.recorded_at
        elif event.kind in ("completed", "failed", "cancelled", "withdrawn"):
            found["ended_at"] = event.recorded_at
    if job.state not in FINAL:
        found.pop("ended_at", None)
    return {name: to_text(moment) for name, moment in found.items()}


def job_view(job: Job, sent: Sent, times: dict[str, str]) -> dict[str, Any]:
    """Return a job without its files; what is not known of it is left out."""
    found = {
        "job_id": job.job_id,
        "name": sent.name,
        "description": sent.description,
        "job_type": sent.job_type,
        "status": status_of(job),
        "device_id": job.backend,
        "shots": sent.shots,
        **sent.infos,
        "execution_time": None if job.executed is None else round(job.executed.seconds, 3),
        **times,
    }
    return {name: value for name, value in found.items() if value is not None}


def message_of(job: Job) -> str | None:
    """Return why a job has no result, all of it."""
    if job.state is State.ERROR:
        return job.reason
    return "the job was cancelled" if job.state is State.CANCELLED else None
