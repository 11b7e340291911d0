"""How a mirrored history stands to the log's: a part of it, or something that the log does not know.

`standing(mirrored, ours)` compares chains of hashes, of which each says all that came before it.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from models.events import Event

UNKNOWN = "its history is in the mirror, and the log does not know the job"
"""Why a job is held of which the log has no event."""

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
"""Kinds of events that nobody was told of and that decide nothing: a fork made of them may be set aside unasked."""


class Standing(NamedTuple):
    """What the two have in common.

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
        """Why the mirror must not be written over, in one clause; empty where it may be."""
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
    """Say whether events of these kinds, which only our log knows, may be set aside without asking anybody."""
    return set(kinds) <= HARMLESS


def hashes(events: Iterable[Event]) -> list[str]:
    """Return the chain of a history."""
    return [event.hash for event in events]
