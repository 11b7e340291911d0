"""Results as pandas objects."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from quledger_client.outcomes import numbers

if TYPE_CHECKING:
    from quledger_client.results import ExperimentResult

try:
    import numpy as np
    import pandas as pd
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("this needs pandas: pip install 'quledger-client[pandas]'", name="pandas") from error


def series_of(result: "ExperimentResult") -> "pd.Series[int]":
    """Return the counts of an experiment; its index are the outcomes, in the order of their numbers."""
    counts = result.counts()
    return pd.Series(list(counts.values()), index=pd.Index(list(counts), name="outcome"), name="count", dtype="int64")


def counts_frame(results: "Sequence[ExperimentResult]") -> pd.DataFrame:
    """Return the counts of experiments, or the expectation values where there are nothing but these.

    Returns:
        Columns `experiment`, `outcome`, `count`, `frequency`; or `experiment`, `value`, `error`, `shots`.
    """
    if results and all(each.expectation is not None for each in results):
        rows: list[Any] = [(each.name, each.expectation, each.standard_error, each.shots) for each in results]
        return pd.DataFrame(rows, columns=["experiment", "value", "error", "shots"])
    rows = [
        (each.name, outcome, count, count / max(1, each.shots))
        for each in results
        for outcome, count in each.counts().items()
        if each.expectation is None
    ]
    return pd.DataFrame(rows, columns=["experiment", "outcome", "count", "frequency"])


def shots_frame(results: "Sequence[ExperimentResult]") -> pd.DataFrame:
    """Return what each shot showed.

    Returns:
        Columns `experiment` and `outcome` (categories), `shot` (from 0), and `wire_0`, `wire_1`, ... (or `bit_0`, ...)
        where outcomes are numbers. Experiments without a memory are left out.
    """
    frames = [_shots(each) for each in results if each.has_memory]
    if not frames:
        return pd.DataFrame(columns=["experiment", "shot", "outcome"])
    whole = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    for name in ("experiment", "outcome"):
        whole[name] = whole[name].astype("category")
    return whole


def _shots(result: "ExperimentResult") -> pd.DataFrame:
    # Of a million shots each outcome is read once, and then counted by its number.
    outcomes = list(result.counts())
    codes = _codes(result, {outcome: place for place, outcome in enumerate(outcomes)})
    columns: dict[str, Any] = {
        "experiment": pd.Categorical.from_codes(np.zeros(len(codes), np.int8), pd.Index([result.name])),
        "shot": np.arange(len(codes)),
        "outcome": pd.Categorical.from_codes(codes, pd.Index(outcomes)),
    }
    shown = [numbers(outcome, is_bits=result.is_bits) for outcome in outcomes]
    word = "bit" if result.is_bits else "wire"
    for number in range(min(map(len, shown))):
        columns[f"{word}_{number}"] = np.array([each[number] for each in shown], dtype=np.int64)[codes]
    return pd.DataFrame(columns, copy=False)


def _codes(result: "ExperimentResult", places: Mapping[str, int]) -> "np.ndarray[Any, np.dtype[np.int32]]":
    coded = result._coded  # noqa: SLF001 - of this package
    if coded is not None:
        by_code = np.array([places[outcome] for outcome in coded.outcomes], np.int32)
        return by_code.take(coded.codes)
    memory: list[str] = result.data["memory"]
    return np.fromiter(map(places.__getitem__, memory), dtype=np.int32, count=len(memory))
