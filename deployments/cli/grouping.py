"""`quledger group`: what became of the jobs of a group."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from deployments.cli import render
from deployments.cli.existing import existing
from deployments.cli.figures import write_figure
from deployments.cli.output import Json, print_output
from deployments.cli.tables import Column, show_table
from deployments.group_results import Measured, Table, jobs_of, measured, varied
from deployments.groups import GroupSummary, list_groups, summary_of
from deployments.sweep_figures import group_svg, in_axis, sparklines
from models.clock import to_text
from models.errors import BadName, NotAuthentic, ResultMissing
from models.words import count_of

Flag = Annotated[bool, Parameter(negative="")]


def group(  # noqa: PLR0913 - one parameter an option
    name: str = "",
    *,
    results: Flag = False,
    table: Table = "means",
    compare: str = "",
    csv: Flag = False,
    parquet: Path | None = None,
    plot: Annotated[bool | Path, Parameter(negative="")] = False,
    user: str = "",
    as_json: Json = False,
) -> int:
    """Show a group of jobs: its states, results, a figure; without a name list the groups.

    Examples: `quledger group rabi --results --csv > rabi.csv`; `quledger group rabi --plot rabi.svg`.

    Args:
        name: Of the group, as `submit` was told or has said it.
        results: Show its results, with what was swept as columns.
        table: Which results: the means of each experiment with their standard errors, the counts of each level of each
            wire or qubit, or the counts of whole outcomes.
        compare: Show the means of this group and of another one side by side, where the parameters are the same.
        csv: Print the table as CSV instead.
        parquet: Write the table into this file instead.
        plot: Draw the means over what was swept: into an SVG file if one is named, else as a line here.
        user: Only jobs of this user.
    """
    wants_table = results or bool(compare)
    if not name:
        return _list(as_json=as_json)
    if (csv or parquet or table != "means") and not wants_table:
        raise BadName("--table, --csv and --parquet are for --results and --compare")
    if not wants_table and not plot:
        summary = summary_of(existing().log, name, user=user)
        print_output(summary.value(), lambda: _print(summary), as_json=as_json)
        return 0
    found = _measured(name, user)
    if plot:
        _draw(found, plot if isinstance(plot, Path) else None)
    if wants_table:
        # Only here: pandas takes a second to import.
        from deployments.cli.group_tables import show_results  # noqa: PLC0415

        other = _measured(compare, user) if compare else None
        show_results(found, other, table, csv=csv, parquet=parquet, as_json=as_json)
    for each in found:
        if each.trouble:
            print(f"quledger: {each.trouble}", file=sys.stderr)
    return (
        3
        if any(isinstance(each.trouble, NotAuthentic) for each in found)
        else 1
        if any(each.trouble for each in found)
        else 0
    )


def _measured(name: str, user: str) -> list[Measured]:
    services = existing()
    return list(measured(services, list(jobs_of(services.log, name, user=user))))


def _draw(found: list[Measured], file: Path | None) -> None:
    if not any(each.found is not None and each.found.shots for each in found):
        raise ResultMissing("there is nothing to draw: no job of the group has a result yet")
    if file is not None:
        write_figure(file, group_svg(found))
        return
    done = [each for each in found if each.found is not None and each.found.shots]
    axes = list(varied(done))
    if axes:
        done = in_axis(done, axes[0])
    over = f" over {axes[0]}" if axes else ""
    for line in sparklines([each.found for each in done if each.found is not None]):
        render.print_line(f"{line}{over}", style="")


def _list(*, as_json: bool) -> int:
    rows = list_groups(existing().log.engine)
    value = [{"group": row.name, "jobs": row.jobs, "last_submitted_at": to_text(row.last)} for row in rows]

    def show() -> None:
        if not rows:
            print("There are no groups. Hand in a sweep: quledger submit BACKEND --sweep FILE --template FILE")
            return
        columns = (Column("group"), Column("jobs"), Column("last submitted (UTC)"))
        lines = [(row.name, str(row.jobs), to_text(row.last)[:16].replace("T", " ")) for row in rows]
        show_table(render.console, columns, lines)

    print_output(value, show, as_json=as_json)
    return 0


def _print(summary: GroupSummary) -> None:
    render.print_line(f"group {summary.name}: {count_of(summary.jobs, 'job')}", style="bold")
    states = [(state.value, str(number)) for state, number in summary.states.items()]
    show_table(render.console, (Column("state"), Column("jobs")), states)
    if summary.parameters:
        render.print_line(f"swept: {', '.join(summary.parameters)}", style="")
    render.print_line(f"\nNext: quledger group {summary.name} --results")
