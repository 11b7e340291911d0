"""Results of groups as tables in a terminal and in files."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from deployments.cli import render
from deployments.cli.figures import write_file
from deployments.cli.output import print_output
from deployments.cli.tables import Column, ColumnKind, show_table
from deployments.csv_text import csv_of
from deployments.group_frames import compared_frame, records, results_frame
from deployments.group_results import Measured, Table


def show_results(  # noqa: PLR0913 - what is shown, and how
    found: Sequence[Measured],
    other: Sequence[Measured] | None,
    table: Table,
    *,
    csv: bool,
    parquet: Path | None,
    as_json: bool,
) -> None:
    """Print the results of a group, or those of two side by side, or write them into a file.

    Raises:
        UnwritableFile: it cannot be written.
    """
    frame = results_frame(found, table) if other is None else compared_frame(found, other)
    if parquet is not None:
        write_file(parquet, lambda: frame.to_parquet(parquet, index=False))
    elif csv:
        sys.stdout.write(csv_of(frame))
    else:
        print_output(records(frame), lambda: _print_frame(frame), as_json=as_json)


def _print_frame(frame: pd.DataFrame) -> None:
    shown = frame.drop(columns=["job_id"], errors="ignore")
    rows = [[_text(cell) for cell in row] for row in shown.itertuples(index=False)]
    kinds = [ColumnKind.NAME if shown[name].dtype == object else ColumnKind.KEY for name in shown]
    show_table(render.console, [Column(str(name), kind) for name, kind in zip(shown, kinds, strict=True)], rows)


def _text(cell: Any) -> str:
    if cell is None or pd.isna(cell):
        return "-"
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)
