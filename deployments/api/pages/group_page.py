"""What the page of a group shows: its states, a figure, its results with what was swept; another group beside it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from deployments.api.calls import Calls
from deployments.api.pages.group_figures import group_figure
from deployments.api.problems import problem_of
from deployments.group_results import Measured, parameter_names
from models.errors import printable
from models.identity.access import Caller
from models.job import State

PAGE = 200
"""Jobs whose results are read for the page."""

MAX_ROWS, MAX_MEANS = 400, 6
"""Rows of a table, and wires or bits that have a column."""

MAX_CELL = 60


class Row(NamedTuple):
    """An experiment of a job: its parameters, and what it has measured, as texts."""

    job_id: str
    state: State
    experiment: str
    parameters: list[str]
    shots: str
    means: list[str]


def group_page(calls: Calls, caller: Caller, name: str, other: str) -> dict[str, Any]:
    """Return what the template of a group needs; it blocks.

    Args:
        other: the group that is compared with it; empty for none.

    Raises:
        UnknownGroup: the caller may see no job of one of them.
        InputError: they are too large to be compared here.
    """
    summary = calls.groups.summary(caller, name)
    found, following = calls.groups.results(caller, name, PAGE, "")
    names = parameter_names(found)
    rows = [_row(each, names) for each in found[:MAX_ROWS]]
    width = max((len(row.means) for row in rows), default=0)
    return {
        "group": summary,
        "names": [printable(each, MAX_CELL) for each in names],
        "rows": rows,
        "width": width,
        "has_experiments": any(row.experiment for row in rows) and len({row.job_id for row in rows}) < len(rows),
        "is_value": any(each.found is not None and not hasattr(each.found, "counts") for each in found),
        "is_cut": following is not None or len(found) > MAX_ROWS,
        "troubles": [problem_of(each.trouble).detail for each in found if each.trouble][:10],
        "figure": group_figure(found),
        "others": [each["group"] for each in calls.groups.all(caller)[:100] if each["group"] != name],
        "other": other,
        "compared": _compared(calls, caller, name, other) if other else None,
    }


def _row(each: Measured, names: Sequence[str]) -> Row:
    means: list[str] = []
    if each.found is not None and each.found.shots:
        means = [f"{mean.value:.4g} ± {mean.error:.2g}" for mean in each.found.means()[:MAX_MEANS]]
    parameters = [_said(each.parameters[name]) if name in each.parameters else "" for name in names]
    shots = "" if each.found is None else f"{each.found.shots:,}"
    return Row(each.job.job_id, each.job.state, each.experiment, parameters, shots, means)


def _said(cell: object) -> str:
    return f"{cell:.6g}" if isinstance(cell, float) else printable(str(cell), MAX_CELL)


def _compared(calls: Calls, caller: Caller, name: str, other: str) -> dict[str, Any]:
    from deployments.group_frames import compared_frame, records  # noqa: PLC0415 - pandas takes a second to import

    frame = compared_frame(calls.groups.whole(caller, name), calls.groups.whole(caller, other))
    rows = [["" if cell is None else _said(cell) for cell in row.values()] for row in records(frame[:MAX_ROWS])]
    return {"columns": [printable(str(each), MAX_CELL) for each in frame], "rows": rows, "of": len(frame)}
