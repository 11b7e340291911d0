"""`quledger submit --sweep`: hands in a job for each row of a table."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from deployments.cli.documents import content_of
from deployments.cli.operator import each_of
from deployments.cli.output import print_output
from deployments.cli.sweep_table import MAX_BYTES, read_table
from models.errors import BadName
from models.submissions import Submission
from models.sweeps import BadSweep, Template, made_name
from models.words import count_of
from tasks.jobs.sweeps import RowAnswer, Sweep, hand_in
from tasks.services import current


@Parameter(name="*")
@dataclass(frozen=True)
class SweepOptions:
    """Options of a sweep."""

    sweep: Annotated[
        Path | None, Parameter(help="A table (CSV) with a job in each row; the first line names its columns.")
    ] = None
    template: Annotated[
        Path | None, Parameter(help='The job document with places such as "{theta}" for the cells of a column.')
    ] = None
    as_experiments: Annotated[
        bool, Parameter(negative="", help="One job for the whole table, with an experiment for each row.")
    ] = False
    carry: Annotated[
        list[str] | None, Parameter(negative="", help="A column without a place, which is kept with the job.")
    ] = None


MAX_SWEPT = 256_000_000
"""Bytes of the documents of one sweep, which a short template and many rows make: so much is in memory at once."""

NO_SWEEP = SweepOptions()


def submit_sweep(job: Submission, options: SweepOptions, *, check: bool, as_json: bool) -> int:
    """Hand in a sweep, and say what became of it.

    Args:
        job: what is said of each of its jobs.

    Returns:
        0 if all rows are there now, 1 if some were left out, 2 if all were.
    """
    if options.sweep is None or options.template is None:
        raise BadName("a sweep needs both --sweep, its table, and --template, its job document")
    columns, rows = read_table(content_of(options.sweep, MAX_BYTES))
    services = current()
    raw = content_of(options.template, services.settings.max_document_bytes)
    if len(raw) * len(rows) > MAX_SWEPT:
        raise BadSweep(f"its documents have more than {MAX_SWEPT / 1e6:g} MB together; make several sweeps of it")
    if not job.group:
        name = made_name(options.sweep.stem, job.backend, job.user, job.project, raw.decode("utf-8", "replace"))
        job = dataclasses.replace(job, group=name)
    services.check_access(job.storage)
    wanted = Sweep(Template(raw), columns, rows, job, each_of(options.carry), options.as_experiments)
    answers = hand_in(services, wanted, check=check)
    unchecked = [answer for answer in answers if answer.why_unchecked]
    if unchecked:
        what = count_of(len(unchecked), "row")
        print(f"quledger: {what} handed in without a check: {unchecked[0].why_unchecked}", file=sys.stderr)
    print_output(_value(job.group, answers), lambda: _print(job.group, answers), as_json=as_json)
    bad = sum(bool(answer.faults) for answer in answers)
    return 0 if not bad else 1 if bad < len(answers) else 2


def _value(group: str, answers: list[RowAnswer]) -> dict[str, Any]:
    bad = [
        {"row": answer.row.number, "column": fault.column or None, "message": fault.message}
        for answer in answers
        for fault in answer.faults
    ]
    jobs = list(dict.fromkeys(answer.job.job_id for answer in answers if answer.job))
    return {"group": group, "rows": len(answers), **_counts(answers), "jobs": jobs, "faults": bad}


def _counts(answers: list[RowAnswer]) -> dict[str, int]:
    good = [answer for answer in answers if not answer.faults]
    new = sum(answer.is_new for answer in good)
    return {"submitted": new, "present": len(good) - new, "left_out": len(answers) - len(good)}


def _print(group: str, answers: list[RowAnswer]) -> None:
    for answer in answers:
        for fault in answer.faults:
            where = f", column {fault.column}" if fault.column else ""
            print(f"quledger: row {answer.row.number}{where}: {fault.message}", file=sys.stderr)
    counts = _counts(answers)
    parts = [f"{count_of(counts['submitted'], 'row')} handed in"]
    if counts["present"]:
        parts.append(f"{counts['present']:,} there before")
    if counts["left_out"]:
        parts.append(f"{counts['left_out']:,} left out")
    print(f"group {group}: {', '.join(parts)}")
