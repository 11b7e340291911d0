"""What outcomes say: bit strings, or numbers with blanks between them."""

from collections.abc import Collection, Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np

Times: TypeAlias = "list[int] | np.ndarray[Any, np.dtype[np.int64]]"

MAX_DIGITS = 15
"""Of a number; longer ones are texts."""

_BITS = frozenset("01")


class Mean(NamedTuple):
    """A mean with its standard error."""

    value: float
    error: float


def are_bits(counts: Mapping[str, int]) -> bool:
    """Return whether the counts that a backend has returned are those of bit strings."""
    return set("".join(counts)) <= _BITS


def numbers(outcome: str, *, is_bits: bool) -> list[int]:
    """Return what each wire or bit showed, the first one first; nothing where that is no number.

    Args:
        is_bits: bit 0 is the last character.
    """
    parts = outcome[::-1] if is_bits else outcome.split()
    return [int(part) for part in parts] if all(part.isdecimal() and len(part) <= MAX_DIGITS for part in parts) else []


def means(counts: Mapping[str, int], *, is_bits: bool) -> list[Mean]:
    """Return the mean of what each wire or bit showed; nothing where outcomes are no numbers."""
    shown = [(numbers(outcome, is_bits=is_bits), count) for outcome, count in counts.items()]
    shots = sum(count for _, count in shown)
    found = []
    for place in range(min((len(values) for values, _ in shown), default=0)):
        mean = sum(count * values[place] for values, count in shown) / shots
        variance = sum(count * (values[place] - mean) ** 2 for values, count in shown) / shots
        found.append(Mean(mean, sqrt(variance / max(1, shots - 1))))
    return found


def listed(outcomes: Sequence[str], times: "Times") -> dict[str, int]:
    """Return how often each outcome was found."""
    return dict(zip(outcomes, times if isinstance(times, list) else times.tolist(), strict=True))


def sorted_outcomes(outcomes: Collection[str]) -> list[str]:
    """Return the outcomes in the order of the numbers that they are."""
    whole = "".join(outcomes)
    # Of bit strings of one length this is the order of their texts.
    are_words = whole.split() == [whole] and len(set(map(len, outcomes))) == 1
    return sorted(outcomes, key=None if are_words else in_order)


def in_order(outcome: str) -> tuple[tuple[int, str], ...]:
    """Return the key by which outcomes are sorted: as numbers, not as text."""
    return tuple((len(part), part) for part in outcome.split())
