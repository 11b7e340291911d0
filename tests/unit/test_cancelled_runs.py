"""How a run ends that was cancelled in Prefect."""

import pytest

from models.cancelling import RunEnd, run_end
from models.facts import Cancelled, Fact
from tests.unit.histories import CLAIMED, DONE, GAVE_UP, RETRIED, SUBMITTED, job_after

NOT_YET, AS_THE_JOB, CANCELLED = RunEnd.NOT_YET, RunEnd.AS_THE_JOB, RunEnd.CANCELLED
RUNNING = DONE[:3]
WAITING = (*DONE[:2], RETRIED)
FAILED = (*DONE[:2], GAVE_UP)


@pytest.mark.parametrize(
    ("facts", "is_last", "attempt", "cancelling", "right"),
    [
        (DONE, True, 1, True, AS_THE_JOB),
        (DONE, True, None, True, AS_THE_JOB),
        (DONE, True, 1, False, AS_THE_JOB),
        (DONE, False, 1, True, CANCELLED),
        (DONE, False, 1, False, NOT_YET),
        (FAILED, True, 1, True, AS_THE_JOB),
        (FAILED, True, 1, False, NOT_YET),
        (FAILED, False, 1, True, CANCELLED),
        ((SUBMITTED, Cancelled()), True, None, True, AS_THE_JOB),
        ((SUBMITTED, Cancelled()), True, None, False, NOT_YET),
        (RUNNING, True, 1, True, NOT_YET),
        (RUNNING, True, 1, False, NOT_YET),
        (RUNNING, True, None, True, NOT_YET),
        (RUNNING, False, None, True, NOT_YET),
        (RUNNING, False, 1, True, NOT_YET),
        (RUNNING, False, 0, True, CANCELLED),
        (RUNNING, True, 2, True, CANCELLED),
        (RUNNING, True, 2, False, NOT_YET),
        ((*WAITING, CLAIMED), True, 1, True, CANCELLED),
        ((*WAITING, CLAIMED), True, 2, True, NOT_YET),
        (WAITING, True, 1, True, CANCELLED),
        (WAITING, True, None, True, CANCELLED),
        (WAITING, True, 1, False, NOT_YET),
        ((SUBMITTED,), True, None, True, CANCELLED),
    ],
)
def test_the_job_decides_how_its_cancelled_run_ends(
    facts: tuple[Fact, ...],
    is_last: bool,  # noqa: FBT001 - a case
    attempt: int | None,
    cancelling: bool,  # noqa: FBT001 - a case
    right: RunEnd,
):
    """A run whose worker is at work is left to it; what is over gets the state of its job, or is cancelled."""
    assert run_end(job_after(*facts), is_last=is_last, attempt=attempt, cancelling=cancelling) is right
