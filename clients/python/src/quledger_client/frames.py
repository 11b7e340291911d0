"""Results as pandas objects."""

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from quledger_client.outcomes import numbers, sorted_outcomes
from quledger_client.packed import Words

if TYPE_CHECKING:
    from quledger_client.results import ExperimentResult

try:
    import numpy as np
    import pandas as pd
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("this needs pandas: pip install 'quledger-client[pandas]'", name="pandas") from error
try:
    import pyarrow as pa
except ModuleNotFoundError:  # pandas does without
    pa = None

# Since pandas 3 texts are no objects.
_IN_ARROW = pa is not None and pd.Series([""]).dtype == "str"

_PART = 1 << 16
"""Shots that are looked up at a time."""


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
    counted = [(each, *each._found) for each in results if each.expectation is None]  # noqa: SLF001 - of this package
    lengths = [len(outcomes) for _, outcomes, _ in counted]
    if not any(lengths):
        return pd.DataFrame(columns=["experiment", "outcome", "count", "frequency"])
    found = np.concatenate([np.asarray(times) for *_, times in counted])
    columns: dict[str, Any] = {
        "experiment": pd.Index([each.name for each, *_ in counted]).repeat(lengths),
        "outcome": _texts([outcomes for _, outcomes, _ in counted]),
        "count": found,
        "frequency": found / np.repeat([max(1, each.shots) for each, *_ in counted], lengths),
    }
    return pd.DataFrame(columns, copy=False)


def _texts(outcomes: Sequence[Sequence[str]]) -> Any:
    """Return the outcomes of experiments, one after the other."""
    if _IN_ARROW and len(outcomes) == 1 and isinstance(outcomes[0], Words):
        rows = outcomes[0].rows
        ends = np.arange(len(rows) + 1, dtype=np.int64) * rows.shape[1]
        texts = pa.LargeStringArray.from_buffers(len(rows), pa.py_buffer(ends), pa.py_buffer(rows))
        return pd.array(texts, dtype="str")
    return list(chain.from_iterable(outcomes))


def shots_frame(results: "Sequence[ExperimentResult]") -> pd.DataFrame:
    """Return what each shot showed.

    Returns:
        Columns `experiment` and `outcome` (categories), `shot` (from 0), and `wire_0`, `wire_1`, ... (or `bit_0`, ...)
        where outcomes are numbers. Experiments without a memory are left out.
    """
    frames = [_shots(each) for each in results if each.has_memory]
    if not frames:
        return pd.DataFrame(columns=["experiment", "shot", "outcome"])
    if len(frames) == 1:
        return frames[0]
    whole = pd.concat(frames, ignore_index=True)
    for name in ("experiment", "outcome"):
        whole[name] = whole[name].astype("category")
    return whole


def _shots(result: "ExperimentResult") -> pd.DataFrame:
    # Of a million shots each outcome is read once. Numbers lie side by side, for memory that is new takes its time.
    outcomes, codes = _numbered(result)
    categories = sorted_outcomes({*result.counts(), *outcomes})
    places = {outcome: place for place, outcome in enumerate(categories)}
    of_outcome = np.array([places[outcome] for outcome in outcomes], np.min_scalar_type(-len(places)))
    shown = [numbers(outcome, is_bits=result.is_bits) for outcome in outcomes]
    values = np.array(list(zip(*shown, strict=False)), np.int64)
    found, shots = np.empty((1 + len(values), len(codes)), np.int64), np.empty(len(codes), of_outcome.dtype)
    for start in range(0, len(codes), _PART):
        part = slice(start, start + _PART)
        index = codes[part].astype(np.intp)  # as numpy wants it, and small enough for the caches of a processor
        found[0, part] = np.arange(start, start + len(index))
        of_outcome.take(index, out=shots[part], mode="clip")
        for row, of_wire in zip(found[1:], values, strict=True):
            of_wire.take(index, out=row[part], mode="clip")
    columns: dict[str, Any] = {
        "experiment": pd.Categorical.from_codes(np.zeros(len(codes), np.int8), pd.Index([result.name])),
        "shot": found[0],
        "outcome": pd.Categorical.from_codes(shots, pd.Index(categories)),
    }
    word = "bit" if result.is_bits else "wire"
    columns |= {f"{word}_{number}": row for number, row in enumerate(found[1:])}
    return pd.DataFrame(columns, copy=False)


def _numbered(result: "ExperimentResult") -> "tuple[list[str], np.ndarray[Any, np.dtype[np.integer[Any]]]]":
    """Return the outcomes of the shots, and of each shot the place of its own."""
    rows = result._rows  # noqa: SLF001 - of this package
    if rows is not None:
        return list(rows.outcomes), rows.codes
    memory: list[str] = result.data["memory"]
    outcomes = list(dict.fromkeys(memory))
    places = {outcome: place for place, outcome in enumerate(outcomes)}
    return outcomes, np.fromiter(map(places.__getitem__, memory), dtype=np.int32, count=len(memory))
