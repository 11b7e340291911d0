"""The rows in which the outcomes of several experiments are shown together."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from flows.artifacts.outcomes import MAX_OUTCOMES, in_order, numbers

OTHERS = "others"


class Row(NamedTuple):
    """One outcome, or several that are counted together; the share of it in each experiment."""

    label: str
    shares: list[float]


def rows_of(counters: Sequence[Counter[str]], most: int = MAX_OUTCOMES) -> list[Row]:
    """Return the rows for the counts of several experiments; there are at most `most`."""
    total: Counter[str] = sum(counters, Counter())
    group = _grouping(total, most)
    labels = sorted({group(outcome) for outcome in total}, key=lambda label: (label == OTHERS, in_order(label)))
    shares: dict[str, list[float]] = {label: [0.0] * len(counters) for label in labels}
    for column, counts in enumerate(counters):
        for outcome, count in counts.items():
            shares[group(outcome)][column] += count / counts.total()
    if are_levels(total):
        labels.reverse()  # levels grow upwards, as the mean below does
    return [Row(label, shares[label]) for label in labels]


def _grouping(total: Counter[str], most: int) -> Callable[[str], str]:
    """Return what says to which row an outcome belongs."""
    if len(total) <= most:
        return lambda outcome: outcome
    if are_levels(total):
        levels = [int(outcome) for outcome in total]
        first = min(levels)
        size = -(-(max(levels) - first + 1) // most)

        def interval(outcome: str) -> str:
            begin = first + (int(outcome) - first) // size * size
            return f"{begin} to {begin + size - 1}"

        return interval
    kept = {outcome for outcome, _ in total.most_common(most - 1)}
    return lambda outcome: outcome if outcome in kept else OTHERS


def are_levels(total: Counter[str]) -> bool:
    """Say whether each outcome is one number, and no bit string."""
    return all(len(numbers(outcome, is_bits=False)) == 1 and outcome == str(int(outcome)) for outcome in total)
