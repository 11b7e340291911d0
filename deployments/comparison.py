"""Two results side by side: do their counts and values agree within what chance allows?"""

from typing import Any

import numpy as np
import pandas as pd

from deployments.frames import counts_frame, values_frame

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
    counts, values = (counts_frame(one), counts_frame(other)), (values_frame(one), values_frame(other))
    rows = []
    for name in [*left, *(name for name in right if name not in left)]:
        row: dict[str, Any] = {"experiment": name}
        row["same"] = left.get(name) == right.get(name)
        row["shots"] = [each[name]["shots"] if name in each else None for each in (left, right)]
        if name in left and name in right:
            row |= _values(*(frame[frame["experiment"] == name] for frame in values))
            row |= _counts(*(frame[frame["experiment"] == name] for frame in counts))
        rows.append(row)
    return rows


def _counts(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, Any]:
    if one.empty or other.empty:
        return {}
    both = pd.concat([frame.set_index("outcome")["count"] for frame in (one, other)], axis=1).fillna(0)
    table = both.to_numpy(dtype=float).T
    shots = table.sum(axis=1, keepdims=True)
    if not shots.all():
        return {}
    distance = float(np.abs(np.diff(table / shots, axis=0)).sum() / 2)
    return {"distance": round(distance, 12), "p_value": _p_value(table)}


def _p_value(table: np.ndarray) -> float | None:
    """Return how often chance alone makes two samples of one distribution differ so much; None of one outcome."""
    from scipy.special import chdtrc  # noqa: PLC0415 - not where nothing is compared; all of scipy.stats takes 0.5 s

    share = table.sum(axis=1) / table.sum()
    is_rare = np.outer(share, table.sum(axis=0)).min(axis=0) < LEAST_EXPECTED
    pooled = np.column_stack([table[:, ~is_rare], table[:, is_rare].sum(axis=1)])
    pooled = pooled[:, pooled.sum(axis=0) > 0]
    if pooled.shape[1] < 2:  # noqa: PLR2004 - with one outcome there is nothing to compare
        return None
    expected = np.outer(share, pooled.sum(axis=0))
    return float(chdtrc(pooled.shape[1] - 1, ((pooled - expected) ** 2 / expected).sum()))


def _values(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, Any]:
    if one.empty or other.empty:
        return {}
    left, right = one.iloc[0], other.iloc[0]
    error = float(np.hypot(left["std"], right["std"]))
    difference = float(right["exp_value"] - left["exp_value"])
    sigmas = None if error == 0 else round(difference / error, 6)
    return {"values": [float(left["exp_value"]), float(right["exp_value"])], "sigmas": sigmas}
