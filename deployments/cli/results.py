"""`quledger result`: reads the result of a job and prints it; the log and the storage are enough."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from deployments.cli import render
from deployments.cli.existing import existing
from deployments.cli.figures import write_figure
from deployments.cli.output import Json, print_output
from deployments.cli.tables import Cell, Column, ColumnKind, Row, show_table
from deployments.result_rows import value_rows
from deployments.sweep_figures import MAX_EXPERIMENTS, job_svg, sparklines
from flows.artifacts.outcome_rows import bars_of
from flows.artifacts.outcomes import Counted, outcomes_of
from models.errors import printable
from models.words import count_of
from tasks.jobs.results import result_document

BAR = 40
"""Characters of the longest bar of a histogram."""

LEAST_OUTCOME = 8
"""An outcome has at least so many cells beside its bar, and goes on in the next line."""


def result(
    job_id: str,
    *,
    csv: Annotated[bool, Parameter(negative="")] = False,
    plot: Annotated[bool | Path, Parameter(negative="")] = False,
    as_json: Json = False,
) -> int:
    """Show the result of a job: a histogram for each experiment.

    Args:
        job_id: The job's id, or as much of its beginning as tells it from others.
        csv: Print the counts as CSV instead.
        plot: Draw it instead: a histogram, or heat map and curve of several experiments, into an SVG file if one is
            named; else the means of the experiments as a line here.
    """
    document = result_document(existing(), existing().log.id_of(job_id))
    if isinstance(plot, Path):
        write_figure(plot, job_svg(document))
    elif plot:
        for line in sparklines(list(outcomes_of(document, MAX_EXPERIMENTS).values())):
            render.print_line(line, style="")
    elif csv:
        _print_csv(document)
    else:
        print_output(document, lambda: print_text(document), as_json=as_json)
    return 0


def print_text(document: dict[str, Any]) -> None:
    """Print a histogram of each experiment, and the expectation values."""
    made_by = printable(f"{document['display_name']} {document['backend_version']}")
    render.print_line(f"{made_by}, job {document['job_id']}", style="")
    for name, found in outcomes_of(document, len(document["results"])).items():
        if isinstance(found, Counted) and found.shots:
            histogram(name, found)
    for row in value_rows(document):
        value = f"{row.exp_value:.6g} ± {row.std:.2g} ({count_of(row.shots, 'shot')} for each group of terms)"
        render.print_line(f"{printable(row.experiment)}: {value}", style="")


HISTOGRAM = (Column("outcome", ColumnKind.TEXT), Column("bar"), Column("count"), Column("share"))


def histogram(title: str, found: Counted) -> None:
    """Print counts as bars, the commonest outcomes where there are many."""
    shots, bars = found.shots, bars_of(found)
    most = max(count for _, count in bars)
    rows: list[Row] = []
    for outcome, count in bars:
        bar = Cell("█" * max(1, round(BAR * count / most)) if count else "", "cyan")
        rows.append((outcome, bar, str(count), f"{count / shots:.3f}"))
    rest = shots - sum(count for _, count in bars)
    if rest:
        rows.append(("others", "", str(rest), f"{rest / shots:.3f}"))
    render.print_line(f"{printable(title)}: {count_of(shots, 'shot')}", style="italic")
    show_table(render.console, HISTOGRAM, rows, heading=False, least_text=LEAST_OUTCOME)
    render.console.print()


def _print_csv(document: dict[str, Any]) -> None:
    """Print the counts of a result as CSV; those of estimations are values and standard errors."""
    from deployments.csv_text import csv_of  # noqa: PLC0415 - pandas takes half a second to import
    from deployments.frames import counts_frame, values_frame  # noqa: PLC0415 - as above

    counts, values = counts_frame(document), values_frame(document)
    if len(counts) or values.empty:
        sys.stdout.write(csv_of(counts))
    if len(values):
        sys.stdout.write(csv_of(values))
