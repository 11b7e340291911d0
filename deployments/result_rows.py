"""What a result document holds, row by row: what tables, files and comparisons of results are made of."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

MAX_DIGITS = 18
"""Longer numbers are sorted as text."""


class CountRow(NamedTuple):
    """How often an outcome was seen in an experiment.

    Attributes:
        outcome: the memory string.
        frequency: count over shots.
    """

    experiment: str
    outcome: str
    count: int  # type: ignore[assignment]  # in place of the method of tuples
    frequency: float


class ValueRow(NamedTuple):
    """The expectation value of an experiment.

    Attributes:
        std: its standard error.
        shots: of each group of terms.
    """

    experiment: str
    exp_value: float
    std: float
    shots: int


def count_rows(result: dict[str, Any]) -> Iterator[CountRow]:
    """Yield the counts of a result, a contract result document; an estimation has none.

    Experiments come in the order of the job, outcomes in their numerical order.
    """
    for experiment in result["results"]:
        if "exp_value" in experiment["data"]:
            continue
        found = experiment["data"].get("counts")
        counts = Counter(experiment["data"]["memory"]) if found is None else found
        name, shots = experiment["header"]["name"], max(1, experiment["shots"])
        for outcome in sorted(counts, key=_levels):
            yield CountRow(name, outcome, int(counts[outcome]), counts[outcome] / shots)


def value_rows(result: dict[str, Any]) -> Iterator[ValueRow]:
    """Yield the expectation values of a result."""
    for each in result["results"]:
        if "exp_value" in each["data"]:
            data = each["data"]
            # A backend may say them as whole numbers, which Parquet takes for numbers only up to 2^53.
            yield ValueRow(each["header"]["name"], float(data["exp_value"]), float(data["stds"]), each["shots"])


def _levels(outcome: str) -> tuple[tuple[int, str], ...]:
    """Return what outcomes are sorted by: numbers as numbers, whatever else a backend may say as text."""
    return tuple(
        (int(level), "") if level.isdecimal() and len(level) <= MAX_DIGITS else (-1, level) for level in outcome.split()
    )
