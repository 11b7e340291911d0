"""Results as pandas data frames: what people compute with and what the terminal shows."""

from typing import Any

import pandas as pd

MAX_DIGITS = 18
"""Longer numbers are sorted as text."""


def counts_frame(result: dict[str, Any]) -> pd.DataFrame:
    """Return how often each outcome was seen; an estimation has none.

    Args:
        result: a contract result document.

    Returns:
        Columns `experiment`, `outcome` (the memory string), `count`, `frequency` (count over shots); experiments in
        the order of the job, outcomes in their numerical order.
    """
    frames = []
    for experiment in result["results"]:
        if "exp_value" in experiment["data"]:
            continue
        found = experiment["data"].get("counts")
        memory = pd.Series(experiment["data"]["memory"], dtype=str)
        counts = memory.value_counts() if found is None else pd.Series(found, dtype=int)
        frame = counts.rename_axis("outcome").reset_index(name="count")
        frame.insert(0, "experiment", experiment["header"]["name"])
        frame["frequency"] = frame["count"] / max(1, experiment["shots"])
        frames.append(frame.sort_values("outcome", key=lambda column: column.map(_levels)))
    columns = ["experiment", "outcome", "count", "frequency"]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def values_frame(result: dict[str, Any]) -> pd.DataFrame:
    """Return the expectation values.

    Args:
        result: a contract result document.

    Returns:
        Columns `experiment`, `exp_value`, `std` (its standard error) and `shots` (of each group of terms).
    """
    rows = [
        (each["header"]["name"], each["data"]["exp_value"], each["data"]["stds"], each["shots"])
        for each in result["results"]
        if "exp_value" in each["data"]
    ]
    return pd.DataFrame(rows, columns=["experiment", "exp_value", "std", "shots"])


def _levels(outcome: str) -> tuple[tuple[int, str], ...]:
    """Return what outcomes are sorted by: numbers as numbers, whatever else a backend may say as text."""
    return tuple(
        (int(level), "") if level.isdecimal() and len(level) <= MAX_DIGITS else (-1, level) for level in outcome.split()
    )
