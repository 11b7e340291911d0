"""What the log must hold: a model of a job, and when a history is sound. It shares no rule with `models/job.py`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from models.events import GENESIS, Event
from models.facts import (
    Cancelled,
    CancelRequested,
    Claimed,
    Compiled,
    Completed,
    Executed,
    Fact,
    Hidden,
    Labelled,
    Retried,
    Uploaded,
    Validated,
)
from models.job import Job, State

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LEASE = timedelta(seconds=60)
RESULTS = frozenset({"executed", "uploaded", "completed"})
BY_HOLDER = frozenset({"validated", "compiled"}) | RESULTS
WHILE_HELD = BY_HOLDER | {"withdrawn", "failed", "lease_expired", "retried"}
RUNNING = frozenset({"CLAIMED", "VALIDATED", "COMPILED", "EXECUTED", "UPLOADED"})
ENDS = {"completed": "DONE", "failed": "ERROR", "cancelled": "CANCELLED", "withdrawn": "WITHDRAWN"}
AFTER_THE_END = frozenset({"labelled", "hidden"})
LEADS_TO = {"validated": "VALIDATED", "compiled": "COMPILED", "executed": "EXECUTED", "uploaded": "UPLOADED"} | ENDS


class Violation(AssertionError):
    """The log did what it must never do."""


class ZombieWrite(Violation):
    """An attempt that was over changed the job."""


class ZombieResult(ZombieWrite):
    """The result of an attempt that was over was accepted."""


class Impostor(ZombieWrite):
    """A second worker of an attempt changed the job."""


class StaleDecision(Violation):
    """A fact was appended by somebody who did not know the newest event."""


class WrongRefusal(Violation):
    """The holder of the current attempt was kept from writing."""


class Forgotten(Violation):
    """The log and the model tell different stories of a job."""


@dataclass
class Expected:
    """What a job must be.

    Attributes:
        shown: the job as the front end was told at its submission.
        story: kind and attempt of every event.
        lease: until when the holder of the attempt may be silent.
        mirrored: the position of the mirror's cursor.
    """

    shown: Job
    sha256: str
    user: str
    priority: int
    backend: str
    received_at: datetime
    story: list[tuple[str, int]] = field(default_factory=lambda: [("submitted", 0)])
    state: str = "QUEUED"
    attempt: int = 0
    worker: str | None = None
    lease: datetime = START
    failures: int = 0
    not_before: datetime = START
    executed: str | None = None
    uploaded: str | None = None
    cancel_requested: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    is_hidden: bool = False
    mirrored: int = -1

    @property
    def running(self) -> bool:
        """Whether a worker holds it."""
        return self.state in RUNNING

    @property
    def seq(self) -> int:
        """Of the last event."""
        return len(self.story) - 1

    def over(self, attempt: int, fact: Fact) -> bool:
        """Say whether an attempt may not write this any more."""
        if self.state in ENDS.values() or attempt != self.attempt:
            return True
        # Nobody holds a job that waits, so whoever names its attempt may cancel it.
        return not self.running and not isinstance(fact, Cancelled)

    def tell(self, fact: Fact, attempt: int) -> None:
        """Take in a fact that the log took in."""
        self.story.append((fact.kind, attempt))
        self.state = LEADS_TO.get(fact.kind, self.state)
        match fact:
            case Claimed():
                self.attempt, self.worker, self.lease = attempt, fact.worker, fact.lease_until
                self.state = "CLAIMED" if self.executed is None else "EXECUTED"
            case Executed():
                self.executed = fact.result_sha256
            case Uploaded():
                self.uploaded = fact.sha256
            case CancelRequested():
                self.cancel_requested = True
            case Labelled():
                self.labels = {} if fact.removed else dict(fact.labels)
            case Hidden():
                self.is_hidden = True
            case Retried():
                self.state, self.not_before = "QUEUED", fact.not_before
                self.failures += fact.counted
                if fact.run_again:
                    self.executed = None
        if not self.running:
            self.worker = None

    def refuse(self) -> None:
        """Take in that a late write was refused."""
        self.story.append(("refused", self.attempt))


def judge(job_id: str, events: Sequence[Event]) -> Iterator[Violation]:  # noqa: C901, PLR0912 - one case per rule
    """Yield what is wrong with a history, read by itself."""
    previous, attempt, holder, final, executed, uploads = GENESIS, 0, "", False, "", 0
    for place, each in enumerate(events):
        here, fact = f"{job_id} {each.seq} {each.kind} of attempt {each.attempt} by {each.actor}", each.fact
        if each.seq != place:
            yield Violation(f"a gap before {here}")
        if each.prev_hash != previous or each.digest() != each.hash:
            yield Violation(f"the chain of hashes breaks at {here}")
        previous = each.hash
        if each.kind == "refused":
            continue
        late = (
            each.attempt != attempt + isinstance(fact, Claimed)
            or (each.kind in WHILE_HELD and not holder)
            or (each.kind in BY_HOLDER and each.actor != holder)
        )
        if late:
            yield (ZombieResult if each.kind in RESULTS else ZombieWrite)(
                f"attempt {attempt}, held by {holder}: {here}"
            )
        if final and each.kind not in AFTER_THE_END:
            yield Violation(f"a final job changed: {here}")
        match fact:
            case Claimed():
                if holder:
                    yield Violation(f"two workers hold the job: {here}")
                attempt, holder = each.attempt, fact.worker
            case Executed():
                if executed:
                    yield Violation(f"a staged result was computed again: {here}")
                executed = fact.result_sha256
            case Uploaded():
                uploads += 1
                if uploads > 1:
                    yield Violation(f"a second result: {here}")
                if fact.sha256 != executed:
                    yield ZombieResult(f"not the result that was executed: {here}")
            case Retried():
                holder = ""
                executed = "" if fact.run_again else executed
        if each.kind in ENDS:
            holder, final = "", True


def next_facts(knew: Job, attempt: int, worker: str) -> tuple[Fact, ...]:
    """Return what a worker appends next, going by what it knows."""
    mine = f"{knew.job_id}-{attempt}-{worker}"
    match knew.state:
        case State.CLAIMED:
            return (Validated(experiments=1, shots=1),)
        case State.VALIDATED:
            return (Compiled(program_sha256=mine, program_bytes=1, seed=attempt),)
        case State.COMPILED:
            staged = f"staged/{mine}"
            about: dict[str, Any] = {
                "versions": {},
                "backend_config_sha256": "c",
                "result_sha256": mine,
                "staged": staged,
            }
            return (Executed(seconds=1, cpu_seconds=1, seed=attempt, result_bytes=1, **about),)
        case _:
            # As `upload` in tasks/steps.py does: one append, so that no attempt can end between the two.
            sha256 = knew.executed.result_sha256 if knew.executed else mine
            return Uploaded(path="results/x", bytes=1, sha256=sha256), Completed()
