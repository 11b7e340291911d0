"""What is done with many jobs at once: which of them it is for."""

from collections.abc import Collection
from typing import Literal

from models.errors import InputError
from models.facts import Revived
from models.job import FINAL, Job, State, why_not

BulkAct = Literal["cancel", "retry"]

_FOR: dict[BulkAct, frozenset[State]] = {
    "cancel": frozenset(State) - FINAL,
    "retry": frozenset({State.ERROR, State.QUEUED, State.WITHDRAWN}),
}
_USUAL: dict[BulkAct, frozenset[State]] = {"cancel": _FOR["cancel"], "retry": frozenset({State.ERROR})}


def states_for(act: BulkAct, wanted: Collection[State]) -> frozenset[State]:
    """Return the states of the jobs that are looked at.

    Args:
        wanted: as whoever asks names them; none for all that the act is usually for.

    Raises:
        InputError: it is for jobs in none of them.
    """
    found = _FOR[act] & frozenset(wanted) if wanted else _USUAL[act]
    if not found:
        raise InputError(f"{act} is for jobs that are {', '.join(sorted(_FOR[act]))}")
    return found


def applies(act: BulkAct, job: Job) -> bool:
    """Return whether there is anything to do for a job; where that was done already there is not."""
    if act == "cancel":
        return job.state not in FINAL and not job.cancel_requested
    return job.state in _FOR["retry"] and why_not(job, Revived(by=""), job.attempt) is None
