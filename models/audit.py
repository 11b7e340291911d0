"""What an audit asks: is a stored history what was written, and does Prefect contradict it.

`check_history(job_id, rows)` checks one history; `contradiction(job, runs)` compares a job with Prefect's runs of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import echo, printable
from models.events import GENESIS, Event
from models.facts import Fact, fact_from_json
from models.job import FINAL, Job, State, apply, why_not
from models.names import is_job_id

What = Literal[
    "chain",
    "view",
    "history",
    "place",
    "status",
    "result",
    "staged",
    "foreign",
    "behind",
    "prefect",
    "signature",
    "ahead",
]
"""Where something differs: in the events themselves, a view of them, a document, Prefect, a signature or a key."""

UNDER_WAY = frozenset({"SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"})
"""Prefect's state types of a run that has not ended."""


class Finding(BaseModel):
    """One difference from what the log says.

    Attributes:
        job_id: the job; for a foreign document the id in its name, empty if there is none; of what is no job's, the
            name of its control stream, such as `user/alice`.
        message: one sentence for the operator.
    """

    model_config = ConfigDict(frozen=True)

    job_id: str
    what: What
    message: str

    def __str__(self) -> str:
        return f"{self.job_id or '-'} {self.what}: {self.message}"


class CheckedHistory(NamedTuple):
    """A history that was checked.

    Attributes:
        job: the fold of the events before the fault; None if the first one is wrong.
        events: those before the fault.
        fault: the first thing that is wrong; None if nothing is.
    """

    job: Job | None
    events: list[Event]
    fault: str | None


def check_history(job_id: str, rows: Iterable[Mapping[str, Any]]) -> CheckedHistory:
    """Check the events of one job: each is what was written, follows the one before, and was allowed.

    Args:
        job_id: the job that they should belong to.
        rows: the events' fields as they are stored, in the order of their seq.
    """
    if not is_job_id(job_id):
        return CheckedHistory(None, [], f"{echo(job_id)} is not a job id")
    job: Job | None = None
    events: list[Event] = []
    for row in rows:
        step = _follow(job_id, job, row)
        if isinstance(step, str):
            return CheckedHistory(job, events, step)
        job, event = step
        events.append(event)
    return CheckedHistory(job, events, None if events else "it has no events")


def _follow(  # noqa: PLR0911 - one line for each thing that may be wrong
    job_id: str, job: Job | None, row: Mapping[str, Any]
) -> tuple[Job, Event] | str:
    """Return the job after one more event, and that event; or what is wrong with it."""
    seq = job.seq + 1 if job else 0
    try:
        event = Event.model_validate(dict(row))
    except (ValidationError, UnicodeError):
        return f"event {seq} is no event"
    if event.seq != seq:
        return f"event {seq} is missing" if event.seq > seq else f"event {event.seq} comes twice"
    fact = _fact(event)
    if fact is None:
        return f"the data of event {seq} are not what was written: they hold no fact"
    if event.job_id != job_id:
        return f"event {seq} belongs to job {echo(event.job_id)}"
    # The hash covers neither the kind nor how a time was written, so the fields are compared as stored too.
    if event.digest() != event.hash or event.kind != fact.kind or event.model_dump(mode="json") != dict(row):
        return f"event {seq} is not what was written: its hash does not fit"
    if event.prev_hash != (job.last_hash if job else GENESIS):
        return f"event {seq} does not carry the hash of the one before it"
    reason = why_not(job, fact, event.attempt) if job else None
    if reason is not None:
        return f"event {seq} was not allowed: {reason}"
    try:
        return apply(job, event), event
    except ValueError as error:
        return f"event {seq} was not allowed: {printable(str(error))}"


def _fact(event: Event) -> Fact | None:
    try:
        return fact_from_json(event.data)
    except (ValueError, AttributeError, RecursionError):
        return None


class Run(NamedTuple):
    """One flow run as Prefect tells it; its name is the id of the job."""

    run_id: str
    job_id: str
    state: str


def contradiction(job: Job, runs: Sequence[Run]) -> str | None:
    """Return how Prefect contradicts the log about a final job; None if it does not.

    Runs of earlier attempts may have ended in any way; runs that Prefect has deleted say nothing.
    """
    if job.state not in FINAL:
        return None
    for run in runs:
        if run.state in UNDER_WAY:
            return f"the job is {job.state}, and Prefect says that run {run.run_id} is {run.state}"
        good = run.state == "COMPLETED"
        wrong = good is not (job.state is State.DONE) and job.state is not State.WITHDRAWN
        if wrong and run.run_id == job.flow_run_id:
            return f"the job is {job.state}, and Prefect says that its last run {run.run_id} is {run.state}"
    return None
