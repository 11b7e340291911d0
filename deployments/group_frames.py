"""Results of a group as pandas data frames: a row for each experiment, wire or outcome, with the swept parameters."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd

from deployments.group_results import Measured, Table, is_number, parameter_names
from flows.artifacts.outcomes import Counted, Value, in_order, numbers

_ABOUT = {
    "means": ("job_id", "experiment", "state", "shots", "value", "error"),
    "wires": ("job_id", "experiment", "wire", "level", "count", "frequency"),
    "outcomes": ("job_id", "experiment", "outcome", "count", "frequency"),
}


def results_frame(found: Sequence[Measured], table: Table = "means") -> pd.DataFrame:
    """Return a table of the results of a group.

    Returns:
        Columns `job_id`, `experiment`, one for each parameter (`NAME_` where NAME is one of our own), and
        of "means" `state`, `shots`, then `mean_0`, `error_0` and so on, the mean of what each wire or bit showed with
        its standard error, or `value` and `error` of an expectation value; empty without a result;
        of "wires" `wire`, `level`, `count`, `frequency`: how often each wire or bit showed what;
        of "outcomes" `outcome`, `count`, `frequency`.
    """
    rows: Callable[[Measured], Iterator[dict[str, Any]]] = {"means": _means, "wires": _wires, "outcomes": _outcomes}[
        table
    ]
    names = parameter_names(found)
    own = {name: f"{name}_" if _is_ours(name, table) else name for name in names}
    made = [
        {"job_id": each.job.job_id, "experiment": each.experiment}
        | {own[name]: each.parameters.get(name) for name in names}
        | row
        for each in found
        for row in rows(each)
    ]
    frame = pd.DataFrame(made, columns=_columns(made, list(own.values()), table))
    for name in own.values():
        cells = [cell for cell in frame[name].tolist() if cell is not None and not pd.isna(cell)]
        if not all(map(is_number, cells)):
            texts = [None if cell is None or pd.isna(cell) else str(cell) for cell in frame[name].tolist()]
            frame[name] = pd.Series(texts, index=frame.index, dtype=object)
    return frame


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON: null where a cell is empty."""
    return [
        {str(name): None if pd.isna(cell) else cell for name, cell in row.items()}
        for row in frame.astype(object).to_dict("records")
    ]


def _columns(made: Sequence[dict[str, Any]], parameters: list[str], table: Table) -> list[str]:
    there = dict.fromkeys(name for row in made for name in row)
    first = ["job_id", "experiment", *parameters]
    means = [name for name in there if name not in first and name not in _ABOUT[table]]
    means.sort(key=lambda name: (int(name.rpartition("_")[2]), name.startswith("error")))
    rest = [name for name in _ABOUT[table] if name not in first and (name in there or name not in ("value", "error"))]
    return [*first, *rest, *means]


def _is_ours(name: str, table: Table) -> bool:
    kind, _, number = name.partition("_")
    return name in _ABOUT[table] or (kind in ("mean", "error") and number.isdecimal())


def _means(each: Measured) -> Iterator[dict[str, Any]]:
    row: dict[str, Any] = {"state": each.job.state.value, "shots": None if each.found is None else each.found.shots}
    match each.found:
        case Value():
            row |= {"value": each.found.exp_value, "error": each.found.std}
        case Counted() if each.found.shots:
            for place, mean in enumerate(each.found.means()):
                row |= {f"mean_{place}": mean.value, f"error_{place}": mean.error}
    yield row


def _wires(each: Measured) -> Iterator[dict[str, Any]]:
    if not isinstance(each.found, Counted):
        return
    counts: Counter[tuple[int, int]] = Counter()
    for outcome, count in each.found.counts.items():
        for wire, level in enumerate(numbers(outcome, is_bits=each.found.is_bits)):
            counts[wire, level] += count
    for (wire, level), count in sorted(counts.items()):
        yield {"wire": wire, "level": level, "count": count, "frequency": count / each.found.shots}


def _outcomes(each: Measured) -> Iterator[dict[str, Any]]:
    if isinstance(each.found, Counted):
        for outcome, count in sorted(each.found.counts.items(), key=lambda pair: in_order(pair[0])):
            yield {"outcome": outcome, "count": count, "frequency": count / each.found.shots}


def compared_frame(one: Sequence[Measured], other: Sequence[Measured]) -> pd.DataFrame:
    """Return the means of two groups side by side where their shared parameters are the same.

    Returns:
        Columns: the shared parameters, `wire` (empty for an expectation value), `mean_a`, `error_a`, `mean_b`,
        `error_b`, `difference` (b minus a), `sigmas` (over its standard error). Rows that only one group has are left
        out; of several alike the first is compared with the first, and so on.
    """
    shared = [name for name in parameter_names(one) if name in parameter_names(other)]
    frames = [_long(found, shared) for found in (one, other)]
    on = [*(f"p{place}" for place in range(len(shared))), "wire", "nth"]
    merged = frames[0].merge(frames[1], on=on, suffixes=("_a", "_b"))
    merged["difference"] = merged["mean_b"] - merged["mean_a"]
    error = (merged["error_a"] ** 2 + merged["error_b"] ** 2) ** 0.5
    merged["sigmas"] = (merged["difference"] / error).where(error > 0)
    names = {f"p{place}": f"{name}_" if name in _COMPARED else name for place, name in enumerate(shared)}
    return merged.drop(columns="nth").rename(columns=names)[[*names.values(), *_COMPARED]]


_COMPARED = ("wire", "mean_a", "error_a", "mean_b", "error_b", "difference", "sigmas")


def _long(found: Sequence[Measured], shared: Sequence[str]) -> pd.DataFrame:
    rows = []
    for each in found:
        if each.found is None or not each.found.shots:
            continue
        cells = {f"p{place}": each.parameters.get(name) for place, name in enumerate(shared)}
        is_value = isinstance(each.found, Value)
        for place, mean in enumerate(each.found.means()):
            rows.append({**cells, "wire": "" if is_value else str(place), "mean": mean.value, "error": mean.error})
    columns = [*(f"p{place}" for place in range(len(shared))), "wire"]
    frame = pd.DataFrame(rows, columns=[*columns, "mean", "error"])
    frame["nth"] = frame.groupby(columns, dropna=False).cumcount()
    return frame
