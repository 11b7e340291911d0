"""A job is the fold of its events. What may follow what is decided here alone, by the table in `models/transitions.py`.

`apply(job, event)` folds one event in. `why_not(job, fact, attempt)` judges whether a fact may follow, and
`not_the_holder(job, fact, holder)` whether this writer may append it; both return the reason if not.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from models.clock import UtcDatetime
from models.errors import Blame, Fault, describe
from models.events import GENESIS, Event
from models.facts import (
    Adopted,
    AdoptedError,
    CancelRequested,
    Claimed,
    Executed,
    Fact,
    Failed,
    HandedOver,
    Hidden,
    Labelled,
    LeaseExpired,
    Replaced,
    ResultRemoved,
    Retried,
    Revived,
    Source,
    Stage,
    Submitted,
    Uploaded,
)
from models.transitions import ENDINGS, FINAL, RUNNING, TRANSITIONS, Phase, State, Writer

__all__ = ["FINAL", "RUNNING", "TRANSITIONS", "Phase", "State"]


NOBODY = ""
"""The holder of an attempt whose lease has run out; whoever saw that ends the attempt."""

FOR_THE_POOL = "/pool"
"""Suffix of the worker's name in a claim that was made for another process."""


class Job(BaseModel):
    """A job as its events so far tell it.

    Attributes:
        seq: of the last event; an append names the seq it follows.
        last_hash: of the last event.
        attempt: 0 before the first claim.
        failures: attempts that failed through no fault of the user.
        lease_until: as claimed; a heartbeat may have prolonged it since.
        lease_seconds: how long it was then; None where the claim did not say.
        holder: SHA-256 of the token that a writer has to show; None if nobody has the job, or for a claim of version 1.
        handed_on: it was claimed for another process, which has not begun it yet.
        executed: the staged result; kept over a retry, so that a later attempt need not run again.
        labels: name -> value, as they are by now.
        seed: of another job, for the compilation; None leaves it to chance.
        adopted: how another spooler had brought it to its end; None where none has.
        is_hidden: its owner does not want to see it any more, until it waits again.
        is_result_removed: the document of its result was taken away, as it was older than results are kept.
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
    # Not dumped at their defaults, so that the stored view of an older job stays the same.
    lease_seconds: Annotated[float | None, Field(exclude_if=lambda value: value is None)] = None
    holder: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    handed_on: Annotated[bool, Field(exclude_if=lambda value: not value)] = False
    flow_run_id: str | None = None
    executed: Executed | None = None
    uploaded: Uploaded | None = None
    stage: Stage | None = None
    blame: Blame | None = None
    faults: tuple[Fault, ...] = ()
    fault_count: int = 0
    cancel_requested: bool = False
    derived_from: Annotated[str, Field(exclude_if=lambda value: not value)] = ""
    is_hidden: Annotated[bool, Field(exclude_if=lambda value: not value)] = False
    is_result_removed: Annotated[bool, Field(exclude_if=lambda value: not value)] = False
    labels: Annotated[dict[str, str], Field(exclude_if=lambda value: not value)] = {}
    group: Annotated[str, Field(exclude_if=lambda value: not value)] = ""
    seed: Annotated[int | None, Field(exclude_if=lambda value: value is None)] = None
    adopted: Annotated[Adopted | AdoptedError | None, Field(exclude_if=lambda value: value is None)] = None

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
        raise ValueError(f"a history begins with submitted at 0, not with {event.kind} at {event.seq}")
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
        derived_from=fact.derived_from,
        labels=fact.labels,
        group=fact.group,
        seed=fact.seed,
        received_at=fact.received_at,
        submitted_at=event.recorded_at,
        updated_at=event.recorded_at,
        last_hash=event.hash,
        flow_run_id=event.flow_run_id,
    )


def why_not(job: Job, fact: Fact, attempt: int) -> str | None:  # noqa: PLR0911 - one line for each reason
    """Return why `fact`, written in `attempt`, must not follow; None if it may."""
    row = TRANSITIONS.get(fact.kind)
    if row is None:
        return f"{fact.kind} cannot follow: the job exists"
    if job.state not in row.sources:
        return f"{fact.kind} cannot follow {job.state}"
    if fact.kind == "revived" and job.blame == "user":
        return "the job ended through a fault of its document; it would end so again"
    if fact.kind == "revived" and job.state is State.QUEUED and job.not_before is None:
        return "the job waits for its turn already"
    if fact.kind == "replaced" and (job.blame, job.stage) != ("user", "validation"):
        return "the job did not end through a fault of its document"
    if isinstance(fact, Adopted | AdoptedError) and job.attempt > 0:
        return "the job was begun here"
    if fact.kind == "hidden" and job.is_hidden:
        return "the job is hidden already"
    if fact.kind == "result_removed" and job.is_result_removed:
        return "the result was removed already"
    if fact.kind == "claimed" and attempt != job.attempt + 1:
        return f"the next attempt is {job.attempt + 1}, not {attempt}"
    return _why_not_of_attempt(job, fact, attempt) if row.of_attempt else None


def _why_not_of_attempt(job: Job, fact: Fact, attempt: int) -> str | None:
    if attempt != job.attempt:
        return f"attempt {attempt} is over; the job is in attempt {job.attempt}"
    if job.holder == NOBODY and fact.kind not in ENDINGS:
        return f"{fact.kind} cannot follow the end of the lease"
    if fact.kind == "handed_over" and not may_be_taken_over(job):
        return "the job is in the hands of another worker"
    return None


def may_be_taken_over(job: Job) -> bool:
    """Return whether the job was claimed for another process and none has begun it yet."""
    claimed_for_another = job.handed_on or (job.holder is None and (job.worker or "").endswith(FOR_THE_POOL))
    return job.phase is Phase.RUNNING and claimed_for_another


def not_the_holder(job: Job, fact: Fact, holder: str | None) -> str | None:
    """Return why this writer must not append `fact`; None if it holds the attempt, or the fact needs no holder.

    Args:
        holder: SHA-256 of the token that the writer showed; None if it showed none.
    """
    row = TRANSITIONS.get(fact.kind)
    if row is None or row.writer is not Writer.HOLDER or job.holder in (None, NOBODY, holder):
        return None
    return f"attempt {job.attempt} is in the hands of another worker"


def apply(job: Job | None, event: Event) -> Job:  # noqa: C901, PLR0912 - one case per kind of fact
    """Return the job after `event`, which the log holds already: whether it was allowed is not asked again.

    Raises:
        ValueError: the event does not follow the job's last one.
    """
    if job is None:
        return begin(event)
    if event.seq != job.seq + 1 or event.prev_hash != job.last_hash:
        raise ValueError(f"event {event.seq} does not follow event {job.seq}")
    changes: dict[str, object] = {"seq": event.seq, "last_hash": event.hash, "updated_at": event.recorded_at}
    if (target := TRANSITIONS[event.kind].target) is not None:
        changes["state"] = target
    match fact := event.fact:
        case Claimed():
            # An attempt goes on where the last one stopped: a staged result is not computed again.
            changes |= {
                "state": State.EXECUTED if job.executed is not None else State.CLAIMED,
                "attempt": event.attempt,
                "worker": fact.worker,
                "lease_until": fact.lease_until,
                "lease_seconds": fact.lease_seconds,
                "holder": fact.holder,
                "handed_on": fact.handed_on,
                "not_before": None,
            }
        case HandedOver():
            changes |= {name: getattr(fact, name) for name in ("worker", "lease_until", "lease_seconds", "holder")}
            changes["handed_on"] = False
        case LeaseExpired():
            changes["holder"] = None if job.holder is None else NOBODY
        case Executed():
            changes["executed"] = fact
        case Uploaded():
            changes["uploaded"] = fact
        case Failed():
            changes |= {name: getattr(fact, name) for name in ("stage", "blame", "faults", "fault_count")}
        case Adopted():
            uploaded = Uploaded(path=fact.path, bytes=fact.bytes, sha256=fact.sha256, kid=fact.kid)
            changes |= {"adopted": fact, "uploaded": uploaded}
        case AdoptedError():
            changes |= {"adopted": fact, "faults": (Fault(message=fact.error_message),), "fault_count": 1}
        case CancelRequested():
            changes["cancel_requested"] = True
        case Hidden():
            changes |= {"is_hidden": True, "updated_at": job.updated_at}
        case ResultRemoved():
            changes |= {"is_result_removed": True, "updated_at": job.updated_at}
        case Labelled():
            kept = {name: value for name, value in job.labels.items() if name not in fact.removed}
            changes |= {"labels": kept | fact.labels, "updated_at": job.updated_at}
        case Retried():
            changes |= {"not_before": fact.not_before, "failures": job.failures + int(fact.counted)}
            if fact.run_again:
                changes["executed"] = None
        case Revived() | Replaced():
            changes |= dict.fromkeys(("not_before", "stage", "blame", "adopted"))
            changes |= {"failures": 0, "faults": (), "fault_count": 0, "cancel_requested": False, "is_hidden": False}
            if isinstance(fact, Replaced):
                changes |= {"document_sha256": fact.document_sha256, "document_bytes": fact.document_bytes}
    if event.flow_run_id is not None and event.kind != "refused":
        changes["flow_run_id"] = event.flow_run_id
    after = job.model_copy(update=changes)
    if after.phase is not Phase.RUNNING:
        nobody = dict.fromkeys(("worker", "lease_until", "lease_seconds", "holder"))
        after = after.model_copy(update=nobody | {"handed_on": False})
    return after


def fold(events: list[Event]) -> Job | None:
    """Return the job that a whole history folds to; None for an empty one."""
    job: Job | None = None
    for event in events:
        job = apply(job, event)
    return job
