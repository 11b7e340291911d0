"""The states of a job and the table of what may lead from one to another, and who may say so."""

from enum import StrEnum
from typing import NamedTuple


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
    """Somebody else took its document out of the queue and answers it; we tell front ends nothing."""


class Phase(StrEnum):
    """The three things a queue asks about a job."""

    WAITING = "waiting"
    RUNNING = "running"
    FINAL = "final"


RUNNING = frozenset({State.CLAIMED, State.VALIDATED, State.COMPILED, State.EXECUTED, State.UPLOADED})
FINAL = frozenset({State.DONE, State.ERROR, State.CANCELLED, State.WITHDRAWN})
OPEN = RUNNING | {State.QUEUED}


class Writer(StrEnum):
    """Who may append a fact."""

    ANYBODY = "anybody"
    """Users, operators, and workers that find the job; the fact belongs to no attempt."""
    HOLDER = "the holder"
    """The worker that holds the current attempt and shows its token; while nobody does, whoever names the attempt."""
    BEGINNER = "who begins it"
    """The first process that begins a job which was claimed for another process."""
    HOUSEKEEPING = "housekeeping"
    """Whoever sees that the lease has run out; the same transaction ends the attempt."""


class Transition(NamedTuple):
    """One row of the table: from any of `sources` the fact leads to `target`; None leaves the state as it is."""

    kind: str
    sources: frozenset[State]
    target: State | None
    writer: Writer

    @property
    def of_attempt(self) -> bool:
        """Whether it belongs to the current attempt and to no other."""
        return self.writer is not Writer.ANYBODY


_ANYBODY, _HOLDER = Writer.ANYBODY, Writer.HOLDER

TRANSITIONS = {
    row.kind: row
    for row in (
        Transition("adopted", frozenset({State.QUEUED}), State.DONE, _ANYBODY),
        Transition("adopted_error", frozenset({State.QUEUED}), State.ERROR, _ANYBODY),
        Transition("claimed", frozenset({State.QUEUED}), State.CLAIMED, _ANYBODY),
        Transition("handed_over", frozenset({State.CLAIMED, State.EXECUTED}), None, Writer.BEGINNER),
        Transition("validated", frozenset({State.CLAIMED}), State.VALIDATED, _HOLDER),
        Transition("compiled", frozenset({State.VALIDATED}), State.COMPILED, _HOLDER),
        Transition("executed", frozenset({State.COMPILED}), State.EXECUTED, _HOLDER),
        Transition("uploaded", frozenset({State.EXECUTED}), State.UPLOADED, _HOLDER),
        Transition("completed", frozenset({State.UPLOADED}), State.DONE, _HOLDER),
        Transition("failed", RUNNING, State.ERROR, _HOLDER),
        Transition("cancel_requested", OPEN, None, _ANYBODY),
        Transition("cancelled", OPEN, State.CANCELLED, _HOLDER),
        Transition("lease_expired", RUNNING, None, Writer.HOUSEKEEPING),
        Transition("retried", RUNNING, State.QUEUED, _HOLDER),
        Transition("revived", frozenset({State.QUEUED, State.ERROR, State.WITHDRAWN}), State.QUEUED, _ANYBODY),
        Transition("replaced", frozenset({State.ERROR}), State.QUEUED, _ANYBODY),
        Transition("withdrawn", frozenset({State.CLAIMED}), State.WITHDRAWN, _HOLDER),
        Transition("hidden", FINAL, None, _ANYBODY),
        Transition("labelled", frozenset(State), None, _ANYBODY),
        Transition("result_removed", frozenset({State.DONE}), None, _ANYBODY),
        Transition("refused", frozenset(State), None, _ANYBODY),
    )
}
"""What may follow what; `submitted` alone may begin a history. `docs/job-states.md` prints this table."""

ENDINGS = frozenset({"retried", "failed", "cancelled"})
"""The facts that end an attempt without a result: the only ones that may follow the end of its lease."""
