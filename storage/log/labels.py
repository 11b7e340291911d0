"""Labels as one column of the view, and the conditions that find them in it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, func

from storage.log.tables import LABELLED, JobRow

_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]


def written(labels: Mapping[str, str]) -> str:
    """Return labels as the column holds them: a line each, and a line's end before the first; empty for none.

    No name or value holds a line's end, and no name the sign between them.
    """
    return "\n" + "".join(f"{name}={value}\n" for name, value in labels.items()) if labels else ""


def has_label(name: str, value: str) -> ColumnElement[bool]:
    """Return the condition that a job has this label."""
    line = f"\n{name}={value}\n"
    # Both databases compare like this to the letter; LIKE of SQLite takes A for a.
    return and_(LABELLED, func.replace(_JOB.c.labels, line, "") != _JOB.c.labels)
