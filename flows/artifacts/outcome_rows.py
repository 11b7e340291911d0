"""The rows in which the outcomes of several experiments are shown together."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from flows.artifacts.outcomes import MAX_OUTCOMES, Counted, in_order, numbers

OTHERS = "others"


class Row(NamedTuple):
    """One outcome, or several that are counted together; the share of it in each experiment."""

    label: str
    shares: list[float]


def rows_of(counters: Sequence[Counter[str]], most: int = MAX_OUTCOMES, *, is_bits: bool = False) -> list[Row]:
    """Return the rows for the counts of several experiments; there are at most `most`.

    Args:
        is_bits: outcomes are bit strings, which are no levels, even where none of them begins with a 0.
    """
    total: Counter[str] = sum(counters, Counter())
    of_levels = not is_bits and are_levels(total)
    group = _grouping(total, most, of_levels=of_levels)
    named = _between(total, most) if of_levels else []
    labels = named or sorted(
        {group(outcome) for outcome in total}, key=lambda label: (label == OTHERS, in_order(label))
    )
    shares: dict[str, list[float]] = {label: [0.0] * len(counters) for label in labels}
    for column, counts in enumerate(counters):
        for outcome, count in counts.items():
            shares[group(outcome)][column] += count / counts.total()
    if of_levels:
        labels.reverse()  # levels grow upwards, as the mean below does
    return [Row(label, shares[label]) for label in labels]


def _grouping(total: Counter[str], most: int, *, of_levels: bool) -> Callable[[str], str]:
    """Return what says to which row an outcome belongs."""
    if len(total) <= most:
        return lambda outcome: outcome
    if of_levels:
        levels = [int(outcome) for outcome in total]
        first = min(levels)
        size = -(-(max(levels) - first + 1) // most)

        def interval(outcome: str) -> str:
            begin = first + (int(outcome) - first) // size * size
            return f"{begin} to {begin + size - 1}"

        return interval
    kept = {outcome for outcome, _ in total.most_common(most - 1)}
    return lambda outcome: outcome if outcome in kept else OTHERS


def bars_of(found: Counted) -> list[tuple[str, int]]:
    """Return what a histogram shows: the most frequent outcomes in their order; of levels the gaps too, if they fit."""
    levels = [] if found.is_bits or not are_levels(found.counts) else _between(found.counts, MAX_OUTCOMES)
    return [(level, found.counts[level]) for level in levels] or found.frequent


def _between(total: Counter[str], most: int) -> list[str]:
    """Return all levels from the first to the last, whether any shot showed them or not; none if they are too many."""
    levels = [int(outcome) for outcome in total]
    if not levels or max(levels) - min(levels) >= most:
        return []
    return [str(level) for level in range(min(levels), max(levels) + 1)]


def are_levels(total: Iterable[str]) -> bool:
    """Say whether each outcome is one number that begins with no 0; of bits it has to be known that they are some."""
    return all(len(numbers(outcome, is_bits=False)) == 1 and outcome == str(int(outcome)) for outcome in total)
