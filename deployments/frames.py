"""Results as pandas data frames, which are written as CSV."""

from typing import Any

import pandas as pd

from deployments.result_rows import CountRow, ValueRow, count_rows, value_rows


def counts_frame(result: dict[str, Any]) -> pd.DataFrame:
    """Return how often each outcome was seen, with the columns of `CountRow`; an estimation has none.

    Args:
        result: a contract result document.
    """
    return pd.DataFrame([*count_rows(result)], columns=CountRow._fields)


def values_frame(result: dict[str, Any]) -> pd.DataFrame:
    """Return the expectation values, with the columns of `ValueRow`.

    Args:
        result: a contract result document.
    """
    return pd.DataFrame([*value_rows(result)], columns=ValueRow._fields)
