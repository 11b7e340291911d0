"""Who cancels a job, and what becomes of a flow run that somebody cancels in Prefect: the log decides, not Prefect."""

from enum import Enum

from models.events import Event
from models.facts import CancelRequested
from models.job import FINAL, Job, Phase, State


class RunEnd(Enum):
    """How a cancelled run ends."""

    NOT_YET = "its worker ends it, or has ended it rightly"
    AS_THE_JOB = "it gets the state of its job"
    CANCELLED = "it is over, and the job goes its own way"


def run_end(job: Job, *, is_last: bool, attempt: int | None, cancelling: bool) -> RunEnd:
    """Return how a cancelled run ends, after the cancellation was noted in the job's history.

    Args:
        is_last: the log names this run as the job's.
        attempt: the attempt that the run was made for; None for a run that somebody launched, which may have any.
        cancelling: Prefect's state of the run is still *Cancelling*; otherwise *Cancelled*.
    """
    if job.state in FINAL:
        if not is_last:
            return RunEnd.CANCELLED if cancelling else RunEnd.NOT_YET
        # A result that was accepted first stands, whatever Prefect was told a moment later.
        return RunEnd.AS_THE_JOB if cancelling or job.state is State.DONE else RunEnd.NOT_YET
    under_way = job.phase is Phase.RUNNING and attempt in (None, job.attempt)
    return RunEnd.NOT_YET if under_way or not cancelling else RunEnd.CANCELLED


def why_cancelled(events: list[Event]) -> str:
    """Return who last wanted the job cancelled, and why if that was said; empty if nobody did."""
    fact = next((event.fact for event in reversed(events) if event.kind == "cancel_requested"), None)
    if not isinstance(fact, CancelRequested):
        return ""
    return f"{fact.reason} (by {fact.by})" if fact.reason else f"by {fact.by}"
