"""Results as tables."""

from typing import Any

import pandas as pd

from deployments.frames import counts_frame, values_frame


def frame_of(document: dict[str, Any]) -> pd.DataFrame:
    """Return the counts of a result; of one that holds expectation values alone these."""
    counts, values = counts_frame(document), values_frame(document)
    return values if counts.empty and len(values) else counts
