"""A job is the fold of its events, and this file alone decides what may follow what.

`apply(job, event)` folds one event in; `why_not(job, fact, attempt)` says what forbids a fact, if anything does.
"""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from models.clock import UtcDatetime
from models.documents import DETAIL_DONE, DETAIL_RECEIVED, NO_ERROR, StatusDocument
from models.errors import Blame, Fault, describe
from models.events import (
    GENESIS,
    CancelRequested,
    Claimed,
    Event,
    Executed,
    Fact,
    Failed,
    Retried,
    Revived,
    Source,
    Stage,
    Submitted,
    Uploaded,
)


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "QUEUED"
    """Waits for a worker (perhaps until a time, after a failed attempt)."""
    CLAIMED = "CLAIMED"
    """A worker has it; nothing is known of the document yet."""
    VALIDATED = "VALIDATED"
    """The document has no fault."""
    COMPILED = "COMPILED"
    """It is settled what will really run."""
    EXECUTED = "EXECUTED"
    """It ran; the result is staged and need never be computed again."""
    UPLOADED = "UPLOADED"
    """The result lies where front ends read it."""
    DONE = "DONE"
    ERROR = "ERROR"
    CANCELLED = "CANCELLED"
    WITHDRAWN = "WITHDRAWN"
    """Its document was taken out of the queue by somebody else, who answers it; we say nothing to front ends."""


class Phase(StrEnum):
    """The three things a queue asks about a job."""

    WAITING = "waiting"
    RUNNING = "running"
    FINAL = "final"


RUNNING = frozenset({State.CLAIMED, State.VALIDATED, State.COMPILED, State.EXECUTED, State.UPLOADED})
FINAL = frozenset({State.DONE, State.ERROR, State.CANCELLED, State.WITHDRAWN})
_OPEN = RUNNING | {State.QUEUED}


class Transition(NamedTuple):
    """One row of the table: from these states, this fact leads to that state (None: it stays)."""

    kind: str
    sources: frozenset[State]
    target: State | None
    of_attempt: bool
    """Only the worker that holds the current attempt may write it."""


TRANSITIONS = {
    row.kind: row
    for row in (
        Transition("claimed", frozenset({State.QUEUED}), State.CLAIMED, of_attempt=False),
        Transition("validated", frozenset({State.CLAIMED}), State.VALIDATED, of_attempt=True),
        Transition("compiled", frozenset({State.VALIDATED}), State.COMPILED, of_attempt=True),
        Transition("executed", frozenset({State.COMPILED}), State.EXECUTED, of_attempt=True),
        Transition("uploaded", frozenset({State.EXECUTED}), State.UPLOADED, of_attempt=True),
        Transition("completed", frozenset({State.UPLOADED}), State.DONE, of_attempt=True),
        Transition("failed", RUNNING, State.ERROR, of_attempt=True),
        Transition("cancel_requested", _OPEN, None, of_attempt=False),
        Transition("cancelled", _OPEN, State.CANCELLED, of_attempt=True),
        Transition("lease_expired", RUNNING, None, of_attempt=True),
        Transition("retried", RUNNING, State.QUEUED, of_attempt=True),
        Transition("revived", frozenset({State.ERROR, State.WITHDRAWN}), State.QUEUED, of_attempt=False),
        Transition("withdrawn", frozenset({State.CLAIMED}), State.WITHDRAWN, of_attempt=True),
        Transition("refused", frozenset(State), None, of_attempt=False),
    )
}
"""What may follow what; `submitted` alone may begin a history. `docs/job-states.md` prints this table."""


class Job(BaseModel):
    """A job as its events so far tell it.

    Attributes:
        seq: of the last event; an append names the seq it follows.
        last_hash: of the last event.
        attempt: 0 before the first claim.
        failures: attempts that failed through no fault of the user.
        lease_until: as claimed; a heartbeat may have prolonged it since.
        executed: the staged result; kept over a retry, so that a later attempt need not run again.
    """

    model_config = ConfigDict(frozen=True)

    job_id: str
    backend: str
    user: str
    project: str
    priority: int
    source: Source
    storage: str = ""
    document_sha256: str
    document_bytes: int
    received_at: UtcDatetime
    submitted_at: UtcDatetime
    updated_at: UtcDatetime
    state: State = State.QUEUED
    seq: int = 0
    last_hash: str = GENESIS
    attempt: int = 0
    failures: int = 0
    not_before: UtcDatetime | None = None
    worker: str | None = None
    lease_until: UtcDatetime | None = None
    flow_run_id: str | None = None
    executed: Executed | None = None
    uploaded: Uploaded | None = None
    stage: Stage | None = None
    blame: Blame | None = None
    faults: tuple[Fault, ...] = ()
    fault_count: int = 0
    cancel_requested: bool = False

    @property
    def phase(self) -> Phase:
        """Waiting, running or final."""
        if self.state in RUNNING:
            return Phase.RUNNING
        return Phase.FINAL if self.state in FINAL else Phase.WAITING

    @property
    def reason(self) -> str:
        """Why the job is in ERROR, in one bounded line; empty otherwise."""
        text = describe(self.faults)
        hidden = self.fault_count - len(self.faults)
        return f"{text}; and {hidden} more" if hidden > 0 else text


def begin(event: Event) -> Job:
    """Return the job that a `submitted` event begins.

    Raises:
        ValueError: another fact, or another place than the first.
    """
    fact = event.fact
    if not isinstance(fact, Submitted) or event.seq != 0:
        msg = f"a history begins with submitted at 0, not with {event.kind} at {event.seq}"
        raise ValueError(msg)
    return Job(
        job_id=event.job_id,
        backend=fact.backend,
        user=fact.user,
        project=fact.project,
        priority=fact.priority,
        source=fact.source,
        storage=fact.storage,
        document_sha256=fact.document_sha256,
        document_bytes=fact.document_bytes,
        received_at=fact.received_at,
        submitted_at=event.recorded_at,
        updated_at=event.recorded_at,
        last_hash=event.hash,
        flow_run_id=event.flow_run_id,
    )


def why_not(job: Job, fact: Fact, attempt: int) -> str | None:
    """Return what forbids `fact`, written by the holder of `attempt`, to follow; None where nothing does."""
    row = TRANSITIONS.get(fact.kind)
    if row is None:
        return f"{fact.kind} cannot follow: the job exists"
    if job.state not in row.sources:
        return f"{fact.kind} cannot follow {job.state}"
    if fact.kind == "revived" and job.blame == "user":
        return "the job ended through a fault of its document; it would end so again"
    if fact.kind == "claimed" and attempt != job.attempt + 1:
        return f"the next attempt is {job.attempt + 1}, not {attempt}"
    if row.of_attempt and attempt != job.attempt:
        return f"attempt {attempt} is over; the job is in attempt {job.attempt}"
    return None


def apply(job: Job | None, event: Event) -> Job:  # noqa: C901, PLR0912 - one case per kind of fact
    """Return the job after `event`. The event is in the log, so it is folded, not judged.

    Raises:
        ValueError: the event does not follow the job's last one.
    """
    if job is None:
        return begin(event)
    if event.seq != job.seq + 1 or event.prev_hash != job.last_hash:
        msg = f"event {event.seq} does not follow event {job.seq}"
        raise ValueError(msg)
    changes: dict[str, object] = {"seq": event.seq, "last_hash": event.hash, "updated_at": event.recorded_at}
    target = TRANSITIONS[event.kind].target
    if target is not None:
        changes["state"] = target
    fact = event.fact
    match fact:
        case Claimed():
            # An attempt goes on where the last one stopped: a staged result is not computed again.
            changes |= {
                "state": State.EXECUTED if job.executed is not None else State.CLAIMED,
                "attempt": event.attempt,
                "worker": fact.worker,
                "lease_until": fact.lease_until,
                "not_before": None,
            }
        case Executed():
            changes["executed"] = fact
        case Uploaded():
            changes["uploaded"] = fact
        case Failed():
            changes |= {
                "stage": fact.stage,
                "blame": fact.blame,
                "faults": fact.faults,
                "fault_count": fact.fault_count,
            }
        case CancelRequested():
            changes["cancel_requested"] = True
        case Retried():
            changes |= {"not_before": fact.not_before, "failures": job.failures + int(fact.counted)}
            if fact.run_again:
                changes["executed"] = None
        case Revived():
            changes |= {"failures": 0, "not_before": None, "stage": None, "blame": None, "faults": (), "fault_count": 0}
            changes["cancel_requested"] = False
    if event.flow_run_id is not None and event.kind != "refused":
        changes["flow_run_id"] = event.flow_run_id
    after = job.model_copy(update=changes)
    if after.phase is not Phase.RUNNING:
        after = after.model_copy(update={"worker": None, "lease_until": None})
    return after


def fold(events: list[Event]) -> Job | None:
    """Return the job that a whole history tells, None for an empty one."""
    job: Job | None = None
    for event in events:
        job = apply(job, event)
    return job


def uploaded_at(events: list[Event]) -> datetime | None:
    """Return when the log learnt that the result is where front ends look (UTC): signed it was before."""
    return next((event.recorded_at for event in reversed(events) if event.kind == "uploaded"), None)


_SANITY = "; Failed json sanity check. File will be deleted. Error message : "
_DIMENSION = "; Failed dimensionality test. Too many atoms. File will be deleted. Error message :  "


def status_document(job: Job) -> StatusDocument:
    """Return the status that front ends read: a function of the job, in the contract's words."""
    if job.state is State.DONE:
        return StatusDocument(job_id=job.job_id, status="DONE", detail=DETAIL_DONE)
    if job.state not in FINAL:
        return StatusDocument(job_id=job.job_id, status="INITIALIZING")
    if job.state is State.CANCELLED:
        text = "; The job was cancelled."
    else:
        message = job.reason.replace("\n", "..")
        if job.faults and all(fault.code == "cost" for fault in job.faults):
            text = _DIMENSION + message
        elif job.stage == "validation" and job.blame == "user":
            text = _SANITY + message
        else:
            text = "; " + message
    return StatusDocument(
        job_id=job.job_id, status="ERROR", detail=DETAIL_RECEIVED + text, error_message=NO_ERROR + text
    )


class Waiting(NamedTuple):
    """The job at the head of one user's queue."""

    user: str
    priority: int
    received_at: str
    job_id: str


def fairest(heads: list[Waiting], running: dict[str, int]) -> Waiting | None:
    """Return who is served next: fewest running jobs of the user first, then priority, then submission.

    Args:
        heads: the first waiting job of each user and backend.
        running: running jobs per user; a user without one may be missing.
    """
    return min(
        heads,
        key=lambda head: (running.get(head.user, 0), -head.priority, head.received_at, head.job_id),
        default=None,
    )
