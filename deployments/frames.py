"""Results as pandas data frames: what people compute with and what the terminal shows."""

from typing import Any

import pandas as pd


def counts_frame(result: dict[str, Any]) -> pd.DataFrame:
    """Return how often each outcome was seen.

    Args:
        result: a contract result document.

    Returns:
        Columns `experiment`, `outcome` (the memory string), `count`, `frequency` (count over shots); experiments in
        the order of the job, outcomes in their numerical order.
    """
    frames = []
    for experiment in result["results"]:
        counts = pd.Series(experiment["data"]["memory"], dtype=str).value_counts()
        frame = counts.rename_axis("outcome").reset_index(name="count")
        frame.insert(0, "experiment", experiment["header"]["name"])
        frame["frequency"] = frame["count"] / experiment["shots"]
        frames.append(frame.sort_values("outcome", key=lambda column: column.map(_levels)))
    columns = ["experiment", "outcome", "count", "frequency"]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def _levels(outcome: str) -> tuple[tuple[int, str], ...]:
    """Return what outcomes are sorted by: numbers as numbers, whatever else a backend may say as text."""
    return tuple((int(level), "") if level.isdecimal() else (-1, level) for level in outcome.split())
