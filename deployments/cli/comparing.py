"""`quledger diff`: in what two jobs differ."""

from typing import Any

from deployments.cli import render
from deployments.cli.existing import existing
from deployments.cli.output import Json, print_output
from deployments.cli.tables import Column, ColumnKind, Row, show_table
from deployments.differences import difference_of

SOMETHING_DIFFERS = 3
SHOWN = 24
"""Characters of a hash in a table."""

FACTS = (Column("what"), Column("one", ColumnKind.TEXT), Column("other", ColumnKind.TEXT))
RESULTS = (
    Column("experiment", ColumnKind.TEXT),
    Column("same"),
    Column("shots"),
    Column("distance"),
    Column("p-value"),
    Column("values"),
    Column("sigmas"),
)


def diff(one: str, other: str, *, as_json: Json = False) -> int:
    """Show in what two jobs differ: document, backend, program, calibration, versions, and their results.

    The exit code is 3 where they differ. Example: `quledger diff 3f2a 77b1`.

    Args:
        one: The id of a job, or as much of its beginning as tells it from others.
        other: The same of another job.
    """
    services = existing()
    value = difference_of(services, *(services.log.get(services.log.id_of(each)) for each in (one, other)))
    changes, results, is_same = value["changes"], value["results"], value["same"]
    print_output(value, lambda: _show(changes, results, is_same=is_same), as_json=as_json)
    return 0 if is_same else SOMETHING_DIFFERS


def _show(changes: dict[str, Any], results: list[dict[str, Any]] | None, *, is_same: bool) -> None:
    rows: list[Row] = []
    for name, value in changes.items():
        if name == "versions":
            rows += [(package, then, now) for package, (then, now) in value.items()]
        elif isinstance(value[0], dict):
            what = "document" if name == "document" else "calibration"
            rows += [(f"{what}: {each['path']}", each["one"] or "-", each["other"] or "-") for each in value]
        else:
            rows.append((name, *(str(side)[:SHOWN] for side in value)))
    if rows:
        show_table(render.console, FACTS, rows)
    if results:
        show_table(render.console, RESULTS, [_row(each) for each in results])
    if is_same:
        render.print_line("They are the same, shot by shot.")


def _row(row: dict[str, Any]) -> Row:
    shots, values = row["shots"], row.get("values")
    return (
        row["experiment"],
        "yes" if row["same"] else "no",
        str(shots[0]) if shots[0] == shots[1] else " / ".join("-" if each is None else str(each) for each in shots),
        _said(row.get("distance")),
        _said(row.get("p_value")),
        "-" if values is None else f"{values[0]:.4g} / {values[1]:.4g}",
        _said(row.get("sigmas")),
    )


def _said(number: float | None) -> str:
    return "-" if number is None else f"{number:.3g}"
