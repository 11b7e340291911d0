"""What a result document says of each experiment, as its report shows it: counts, or an expectation value."""

import math
from collections import Counter
from typing import Any, NamedTuple

from models.words import count_of

MAX_OUTCOMES = 32
"""In one picture or list."""

MAX_DIGITS = 15
"""Of a number; longer ones are texts."""

_BITS = frozenset("01")


class Mean(NamedTuple):
    """A mean with its standard error."""

    value: float
    error: float


class Counted(NamedTuple):
    """The counts of one experiment.

    Attributes:
        counts: shots by outcome.
        is_bits: outcomes are bit strings, bit 0 rightmost; else numbers with blanks between them.
    """

    counts: Counter[str]
    is_bits: bool = False

    @property
    def shots(self) -> int:
        """How many there were."""
        return self.counts.total()

    @property
    def frequent(self) -> list[tuple[str, int]]:
        """The most frequent outcomes with their counts, in the order of their numbers."""
        return sorted(self.counts.most_common(MAX_OUTCOMES), key=lambda pair: in_order(pair[0]))

    @property
    def summary(self) -> str:
        """The numbers of shots and outcomes, and whether all outcomes are shown."""
        some = f", the {MAX_OUTCOMES} most frequent" if len(self.counts) > MAX_OUTCOMES else ""
        return f"{count_of(self.shots, 'shot')}, {count_of(len(self.counts), 'outcome')}{some}"

    def means(self) -> list[Mean]:
        """Return the mean of what each wire or bit showed; nothing where outcomes are no numbers."""
        shots, sums, squares = self.shots, [0.0] * self._width(), [0.0] * self._width()
        for outcome, count in self.counts.items():
            for place, value in enumerate(numbers(outcome, is_bits=self.is_bits)[: len(sums)]):
                sums[place] += count * value
                squares[place] += count * value**2
        means = [total / shots for total in sums]
        variances = [max(0.0, total / shots - mean**2) for total, mean in zip(squares, means, strict=True)]
        return [
            Mean(mean, math.sqrt(variance / max(1, shots - 1))) for mean, variance in zip(means, variances, strict=True)
        ]

    def _width(self) -> int:
        return min((len(numbers(outcome, is_bits=self.is_bits)) for outcome in self.counts), default=0)


class Value(NamedTuple):
    """The expectation value of one experiment.

    Attributes:
        std: its standard error.
        shots: of each group of terms.
    """

    exp_value: float
    std: float
    shots: int

    @property
    def summary(self) -> str:
        """The value with its error."""
        return f"{self.exp_value:.6g} ± {self.std:.2g}, {count_of(self.shots, 'shot')} for each group of terms"

    def means(self) -> list[Mean]:
        """Return the value alone."""
        return [Mean(self.exp_value, self.std)]


Outcomes = dict[str, Counted | Value]
"""Experiment -> its counts, or its expectation value."""


def outcomes_of(document: dict[str, Any], most: int) -> Outcomes:
    """Return what a result document says of its first experiments."""
    return {experiment["header"]["name"]: _read(experiment) for experiment in document["results"][:most]}


def _read(experiment: dict[str, Any]) -> Counted | Value:
    data = experiment["data"]
    if "exp_value" in data:
        return Value(data["exp_value"], data["stds"], experiment["shots"])
    given = data.get("counts")
    counts = Counter(data["memory"] if given is None else given)
    return Counted(counts, is_bits=given is not None and all(set(outcome) <= _BITS for outcome in counts))


def numbers(outcome: str, *, is_bits: bool) -> list[int]:
    """Return what each wire or bit showed, the first one first; nothing where that is no number."""
    parts = outcome[::-1] if is_bits else outcome.split()
    return [int(part) for part in parts] if all(_is_number(part) for part in parts) else []


def _is_number(part: str) -> bool:
    return part.isdecimal() and len(part) <= MAX_DIGITS


def in_order(outcome: str) -> list[tuple[int, str]]:
    """Return the key by which outcomes are sorted: as numbers, not as text."""
    return [(len(part), part) for part in outcome.split()]
