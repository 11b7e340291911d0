"""The events of a job: a fact each, its place in the job's history, and the hash that chains it to the last one.

A chain of hashes tells a whole history: `standing(mirrored, ours)` compares the chain in the mirror with the log's.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from models.clock import UtcDatetime, to_text
from models.errors import LogBroken, echo
from models.facts import Fact, Replaced, Submitted, fact_from_json

GENESIS = "0" * 64
"""`prev_hash` of a job's first event."""

UNKNOWN = "its history is in the mirror, and the log does not know the job"
"""Why a job is held that the mirror has and the log has not."""

REOPENS = frozenset({"revived", "replaced"})
"""The facts that let a job wait again which had ended."""

HARMLESS = frozenset(
    {
        "submitted",
        "claimed",
        "validated",
        "compiled",
        "lease_expired",
        "retried",
        "refused",
    }
)
"""Kinds of events that nobody was told of and that decide nothing: a fork of these alone may be set aside unasked."""


class Event(BaseModel):
    """One line of the log: a fact, its place in the job's history, and the hash that chains it to the last.

    Attributes:
        seq: 0, 1, 2 ... within the job.
        attempt: 0 before the first claim, then 1, 2 ...
        data: the fact's JSON text, compact; the hash covers it.
        recorded_at: when it was appended (UTC).
        actor: who appended it, such as a worker's name.
    """

    model_config = ConfigDict(frozen=True)

    job_id: str
    seq: int
    attempt: int
    kind: str
    data: str
    recorded_at: UtcDatetime
    actor: str
    flow_run_id: str | None = None
    prev_hash: str
    hash: str

    @property
    def fact(self) -> Fact:
        """The fact itself.

        Raises:
            LogBroken: the data hold none that is known here, as after a newer program has written to the log.
        """
        try:
            return fact_from_json(self.data)
        except (ValueError, AttributeError, RecursionError):
            msg = f"event {self.seq} of job {self.job_id} holds no fact that this program knows: {echo(self.kind)}"
            raise LogBroken(msg) from None

    def digest(self) -> str:
        """Return the SHA-256 that `hash` must hold."""
        return event_hash(
            self.job_id,
            self.seq,
            self.attempt,
            self.data,
            self.recorded_at,
            self.actor,
            self.flow_run_id,
            self.prev_hash,
        )


def event_hash(  # noqa: PLR0913 - these are the fields that the hash covers
    job_id: str,
    seq: int,
    attempt: int,
    data: str,
    recorded_at: datetime,
    actor: str,
    flow_run_id: str | None,
    prev_hash: str,
) -> str:
    """Return the SHA-256 over the JSON list of an event's fields; `data` names the kind."""
    fields = [job_id, seq, attempt, data, to_text(recorded_at), actor, flow_run_id, prev_hash]
    return hashlib.sha256(json.dumps(fields, separators=(",", ":")).encode("ascii")).hexdigest()


def compact(value: Any) -> str:
    """Return the JSON text of an event's data; parsing it and writing it again gives the same text."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def seal(  # noqa: PLR0913 - an envelope has that many fields
    fact: Fact,
    *,
    job_id: str,
    seq: int,
    attempt: int,
    recorded_at: datetime,
    actor: str,
    flow_run_id: str | None,
    prev_hash: str,
) -> Event:
    """Return the event that holds `fact` at its place in the job's history."""
    data = compact(fact.model_dump(mode="json"))
    return Event(
        job_id=job_id,
        seq=seq,
        attempt=attempt,
        kind=fact.kind,
        data=data,
        recorded_at=recorded_at,
        actor=actor,
        flow_run_id=flow_run_id,
        prev_hash=prev_hash,
        hash=event_hash(job_id, seq, attempt, data, recorded_at, actor, flow_run_id, prev_hash),
    )


class Standing(NamedTuple):
    """How the mirrored chain of a history and the log's compare.

    Attributes:
        common: how many events at the beginning are the same.
        mirrored: how many events the mirror holds.
        ours: how many the log holds.
    """

    common: int
    mirrored: int
    ours: int

    @property
    def why(self) -> str:
        """Why the mirror must not be written over, in one clause; empty if it may be."""
        if self.common == self.mirrored:
            return ""
        if self.ours == 0:
            return UNKNOWN
        if self.common == self.ours:
            return (
                f"its mirrored history goes on to event {self.mirrored - 1}, and the log ends at event {self.ours - 1}"
            )
        return f"its mirrored history and the log tell different stories from event {self.common} on"

    @property
    def is_fork(self) -> bool:
        """Whether each of them holds events that the other does not."""
        return self.common not in (self.mirrored, self.ours)


def standing(mirrored: Sequence[str], ours: Sequence[str]) -> Standing:
    """Compare two chains, given by the hashes of their events."""
    common = 0
    for one, other in zip(mirrored, ours, strict=False):
        if one != other:
            break
        common += 1
    return Standing(common, len(mirrored), len(ours))


def is_harmless(kinds: Iterable[str]) -> bool:
    """Return whether events of these kinds, which the mirror does not hold, may be set aside without asking anybody."""
    return set(kinds) <= HARMLESS


def document_of(events: Sequence[Event]) -> bytes | None:
    """Return the newest document of a job; None if it was too large to be kept."""
    facts = (event.fact for event in reversed(events))
    return next((fact.raw for fact in facts if isinstance(fact, Submitted | Replaced)), None)


def uploaded_at(events: Sequence[Event]) -> datetime | None:
    """Return when a result was last recorded as uploaded (UTC); a signed one was signed before that."""
    kinds = ("uploaded", "adopted")
    return next((event.recorded_at for event in reversed(events) if event.kind in kinds), None)


def hashes(events: Iterable[Event]) -> list[str]:
    """Return the chain of a history: the hash of each event."""
    return [event.hash for event in events]
