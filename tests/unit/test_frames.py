"""Results as tables."""

import io
from typing import Any

import pandas as pd

from deployments.frames import counts_frame


def experiment(name: str, *memory: str) -> dict[str, Any]:
    """Return the result of one experiment."""
    return {"header": {"name": name}, "shots": len(memory), "data": {"memory": list(memory)}}


def test_counts_are_read_back_as_they_were():
    """An outcome is text, as docs and README say it is to be read: `0` is no number, and `01` keeps its zero."""
    counts = counts_frame({"results": [experiment("experiment_0", "0", "10", "0", "2"), experiment("b", "01", "1 0")]})
    text = counts.to_csv(index=False)
    assert text.startswith("experiment,outcome,count,frequency\nexperiment_0,0,2,0.5\nexperiment_0,2,1,0.25\n")
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(text), dtype={"outcome": str}), counts)
    assert list(counts["outcome"]) == ["0", "2", "10", "01", "1 0"]
