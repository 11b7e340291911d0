"""Why a job stands where it does, and when it goes on: what is known, and the sentences about it."""

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from models.clock import UtcDatetime, in_words
from models.job import FINAL, State
from models.words import count_of

HoldKind = Literal["pause", "held", "retry", "limit", "turn", "nobody"]

MOST_NAMED = 10


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True)


class Hold(_Said):
    """One thing that a job waits for.

    Attributes:
        until: when that is over by itself; None where nobody knows.
    """

    kind: HoldKind
    text: str
    until: UtcDatetime | None = None


class Expected(_Said):
    """When something is expected, and between what it lies in four of five cases."""

    expected: UtcDatetime
    earliest: UtcDatetime
    latest: UtcDatetime


class Queue(_Said):
    """A place in the order of service.

    Attributes:
        place: 1 is next.
        is_exact: all that waits was looked at; else the place is about that.
        own_before: how many of those before it are its user's own.
        users_before: how many others have some before it.
        waiting: how many wait for its backend, of all users.
        running: how many of its backend are under way.
        at_once: how many run at once, at all backends together.
        before: how many of each user are before it; for operators.
    """

    place: int
    is_exact: bool
    own_before: int
    users_before: int
    waiting: int
    running: int
    at_once: int
    before: dict[str, int] | None = None


class Attempt(_Said):
    """An attempt that is under way; `worker` is for operators."""

    number: int
    since: UtcDatetime
    lease_until: UtcDatetime | None
    worker: str | None = None


class Why(_Said):
    """What is known of where a job stands.

    Attributes:
        reason: why it is in ERROR; empty otherwise.
        known_runs: of how many jobs of its backend what is expected is concluded.
    """

    job_id: str
    backend: str
    state: State
    at: UtcDatetime
    reason: str = ""
    holds: tuple[Hold, ...] = ()
    queue: Queue | None = None
    attempt: Attempt | None = None
    start: Expected | None = None
    end: Expected | None = None
    known_runs: int = 0

    def for_users(self) -> Self:
        """Return what whoever is no operator may know: counts, and no names."""
        queue = self.queue and self.queue.model_copy(update={"before": None})
        attempt = self.attempt and self.attempt.model_copy(update={"worker": None})
        return self.model_copy(update={"queue": queue, "attempt": attempt})

    def sentences(self) -> list[str]:
        """Return all of it in sentences."""
        if self.state in FINAL:
            return [f"the job has ended: {self.reason or f'it is {self.state}'}"]
        said = [hold.text for hold in self.holds]
        if self.attempt is not None:
            whose = f", {self.attempt.worker} has it" if self.attempt.worker else ""
            until = f"; its lease lasts until {in_words(self.attempt.lease_until)}" if self.attempt.lease_until else ""
            said.append(
                f"attempt {self.attempt.number} is under way since {in_words(self.attempt.since)}{whose}{until}"
            )
        if self.queue is not None and self.queue.before:
            named = sorted(self.queue.before.items(), key=lambda each: (-each[1], each[0]))
            shown = ", ".join(f"{user or '(nobody)'} {number:,}" for user, number in named[:MOST_NAMED])
            more = len(named) - MOST_NAMED
            said.append(f"before it: {shown}" + (f" and {count_of(more, 'other user')}" if more > 0 else ""))
        return [*said, *self._expectations()]

    def _expectations(self) -> list[str]:
        said = [
            f"expected {what}: {in_words(when.expected)}, in {_in(self.at, when.expected)}"
            f" (between {_in(self.at, when.earliest)} and {_in(self.at, when.latest)})"
            for what, when in (("start", self.start), ("end", self.end))
            if when is not None
        ]
        if said:
            return [*said, f"by {count_of(self.known_runs, 'job')} that {self.backend} has run of late"]
        if self.known_runs:
            return []
        return [f"when is not known: {self.backend} has not run any job of late"]


def turn(queue: Queue) -> Hold:
    """Return what is said of a place in line."""
    if queue.place == 1:
        return Hold(kind="turn", text="it is next")
    others = queue.place - 1 - queue.own_before
    parts = [f"{count_of(queue.own_before, 'job')} of the same user"] if queue.own_before else []
    parts += [f"{count_of(others, 'job')} of {count_of(queue.users_before, 'other user')}"] if others > 0 else []
    about = "" if queue.is_exact else "about "
    return Hold(kind="turn", text=f"it is {about}number {queue.place:,} in line, behind {' and '.join(parts)}")


def _in(now: datetime, moment: datetime) -> str:
    """Return how long it is to a moment, in words as exact as such a thing may be."""
    seconds = max(0.0, (moment - now).total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
