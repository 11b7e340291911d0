"""Two results side by side: do their counts and values agree within what chance allows?"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from deployments.result_rows import CountRow, ValueRow, count_rows, value_rows

_Row = TypeVar("_Row", CountRow, ValueRow)

LEAST_EXPECTED = 5.0
"""Outcomes that are rarer than this in either result are taken together, as the test needs it."""


def compare_results(one: dict[str, Any], other: dict[str, Any]) -> list[dict[str, Any]]:
    """Return for each experiment how two results of it compare.

    Args:
        one, other: contract result documents.

    Returns:
        `experiment`, `same` (to the last shot), `shots` of both; of counts `distance` (total variation, 0 to 1) and
        `p_value` (chi-squared test of homogeneity; None where it says nothing); of expectation values `values` and
        `sigmas` (their difference in standard errors). An experiment that one of them lacks is no `same`.
    """
    left = {each["header"]["name"]: each for each in one["results"]}
    right = {each["header"]["name"]: each for each in other["results"]}
    counts = _by_experiment(count_rows(one)), _by_experiment(count_rows(other))
    values = _by_experiment(value_rows(one)), _by_experiment(value_rows(other))
    rows = []
    for name in [*left, *(name for name in right if name not in left)]:
        row: dict[str, Any] = {"experiment": name}
        row["same"] = left.get(name) == right.get(name)
        row["shots"] = [each[name]["shots"] if name in each else None for each in (left, right)]
        if name in values[0] and name in values[1]:
            row |= _values(values[0][name][0], values[1][name][0])
        if name in counts[0] and name in counts[1]:
            row |= _counts(counts[0][name], counts[1][name])
        rows.append(row)
    return rows


def _by_experiment(rows: Iterable[_Row]) -> dict[str, list[_Row]]:
    found: dict[str, list[_Row]] = {}
    for row in rows:
        found.setdefault(row.experiment, []).append(row)
    return found


def _counts(one: Sequence[CountRow], other: Sequence[CountRow]) -> dict[str, Any]:
    left, right = ({row.outcome: row.count for row in rows} for rows in (one, other))
    shots = sum(left.values()), sum(right.values())
    if not all(shots):
        return {}
    table = [(left.get(outcome, 0), right.get(outcome, 0)) for outcome in left | right]
    distance = math.fsum(abs(many / shots[0] - most / shots[1]) for many, most in table) / 2
    return {"distance": round(distance, 12), "p_value": _p_value(table, shots)}


def _p_value(table: Sequence[tuple[int, int]], shots: tuple[int, int]) -> float | None:
    """Return how often chance alone makes two samples of one distribution differ so much; None of one outcome."""
    shares = [each / sum(shots) for each in shots]
    rare = [0, 0]
    pooled = []
    for counts in table:
        if min(shares) * sum(counts) < LEAST_EXPECTED:
            rare = [one + other for one, other in zip(rare, counts, strict=True)]
        else:
            pooled.append(counts)
    if any(rare):
        pooled.append((rare[0], rare[1]))
    if len(pooled) < 2:  # noqa: PLR2004 - with one outcome there is nothing to compare
        return None
    squared = math.fsum(
        (count - share * sum(counts)) ** 2 / (share * sum(counts))
        for counts in pooled
        for count, share in zip(counts, shares, strict=True)
    )
    return chance_of_more(squared, len(pooled) - 1)


def chance_of_more(squared: float, degrees: int) -> float:
    """Return how often chi squared is larger; scipy has that too, and takes a quarter of a second to import."""
    half = squared / 2
    if half == 0:
        return 1.0
    # The incomplete gamma function of a half-integer is a sum of positive terms.
    begin = 0.0 if degrees % 2 == 0 else 0.5
    terms = (k + begin for k in range(degrees // 2))
    total = math.fsum(math.exp(k * math.log(half) - half - math.lgamma(k + 1)) for k in terms)
    return min(1.0, total + (math.erfc(math.sqrt(half)) if begin else 0.0))


def _values(one: ValueRow, other: ValueRow) -> dict[str, Any]:
    error = math.hypot(one.std, other.std)
    difference = other.exp_value - one.exp_value
    sigmas = None if error == 0 else round(difference / error, 6)
    return {"values": [float(one.exp_value), float(other.exp_value)], "sigmas": sigmas}
