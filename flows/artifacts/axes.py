"""Axes of figures: where they end, and the round numbers on them."""

import math
from collections.abc import Sequence

ROOM = 0.05
"""So much of its length an axis goes on beyond what is drawn, so that no point or error bar lies on the frame."""


def ends(lows: Sequence[float], highs: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis that holds all of this, with a little room."""
    low, high = min(lows, default=0.0), max(highs, default=1.0)
    room = ROOM * (high - low) if high > low else 0.5
    return low - room, high + room


def ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    """Return round numbers from `low` to `high`, at most `most` of them and as many as can be.

    Args:
        whole: integers alone.
    """
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low]
    size = 10.0 ** math.floor(math.log10(span / most))
    steps = [factor * size for factor in (1, 2, 5, 10, 20, 50, 100)]
    for step in steps:
        if whole and step < 1:
            continue
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [round(place * step, 12) for place in range(first, last + 1)]
    return [low]
