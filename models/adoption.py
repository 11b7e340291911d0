"""What is done with each job of a store that another spooler served: what has ended stays, the rest is run."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Plan(StrEnum):
    """What becomes of a job."""

    DONE = "done"
    """It has a result and a final status: both stay as they are."""
    FINISH = "finish"
    """Its result is there and its last steps are missing: its document goes where it belongs, its status is written."""
    ERROR = "error"
    """It ended in ERROR, and its status stays as it is."""
    RUN = "run"
    """It waits, or was left in the middle: it is run."""
    LEFT = "left"
    """Nothing can be done with it; the reason says why."""


class Found(NamedTuple):
    """What lies in a store of one job.

    Attributes:
        backend: by its folders or its status; empty if nothing says.
        is_served: whether this installation has that backend.
        places: where its document lies, of `queued`, `running`, `finished`, `deleted`.
        since: when its oldest document was written (UTC).
        status: in its status; empty if there is none, or none that can be read.
        has_result: whether there is one that can be read and is of this job.
    """

    job_id: str
    backend: str
    is_served: bool
    places: tuple[str, ...]
    since: datetime
    status: str
    has_result: bool


def plan_for(found: Found) -> tuple[Plan, str]:
    """Return what becomes of a job, and why, in a clause.

    Its status is the last thing that the other spooler writes, so it decides.
    """
    if why := _why_left(found):
        return Plan.LEFT, why
    if found.status == "ERROR":
        return Plan.ERROR, "it ended in ERROR"
    if found.has_result:
        if found.status == "DONE" and found.places == ("finished",):
            return Plan.DONE, "it is DONE"
        return Plan.FINISH, "its result is there, and it was not brought to its end"
    return Plan.RUN, "it waits" if found.places == ("queued",) else f"it was left in {', '.join(found.places)}"


def _why_left(found: Found) -> str:
    """Return why nothing can be done with a job; empty where something can."""
    if not found.backend:
        return "nothing says of which backend it is"
    if not found.places:
        return "its document is nowhere"
    if found.status == "ERROR" or found.has_result:
        return ""
    if found.status == "DONE":
        return "it is DONE, and its result is missing or cannot be read"
    return "" if found.is_served else f"this installation has no backend {found.backend}"
