"""Results and jobs as pandas data frames: what people compute with and what the terminal shows."""

from typing import Any

import pandas as pd

from models.job import Job


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


def jobs_frame(jobs: list[Job]) -> pd.DataFrame:
    """Return one row a job: id, backend, user, state, attempt, submitted and updated (UTC), reason."""
    rows = [
        (j.job_id, j.backend, j.user, j.state.value, j.attempt, j.submitted_at, j.updated_at, j.reason) for j in jobs
    ]
    columns = ["job_id", "backend", "user", "state", "attempt", "submitted_at", "updated_at", "reason"]
    return pd.DataFrame(rows, columns=columns)


def _levels(outcome: str) -> tuple[int, ...]:
    return tuple(int(level) for level in outcome.split()) if outcome else ()
