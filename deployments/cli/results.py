"""`quledger result`: reads the result of a job and prints it; the log and the storage are enough."""

import hashlib
import json
import sys
from typing import Annotated, Any

from cyclopts import Parameter

from deployments.cli import render
from deployments.cli.frames import counts_frame, values_frame
from deployments.cli.output import Json, print_output
from deployments.cli.tables import Cell, Column, ColumnKind, Row, show_table
from models.errors import DocumentMissing, NotAuthentic, ResultMissing, printable
from models.events import uploaded_at
from models.job import Job, State
from models.results import fault_of_document
from models.signing import unwrapped
from storage import layout
from tasks.services import Services, current

BAR = 40
"""Characters of the longest bar of a histogram."""

LEAST_OUTCOME = 8
"""An outcome has at least so many cells beside its bar, and goes on in the next line."""

MAX_OUTCOMES = 32
"""The most bars of one histogram; the rarest outcomes are summed up."""


def result(job_id: str, *, csv: Annotated[bool, Parameter(negative="")] = False, as_json: Json = False) -> int:
    """Show the result of a job: a histogram for each experiment.

    Args:
        job_id: The job's id, or as much of its beginning as tells it from others.
        csv: Print the counts as CSV instead.
    """
    document = result_document(current(), current().log.id_of(job_id))
    if csv:
        _print_csv(document)
    else:
        print_output(document, lambda: _print_text(document), as_json=as_json)
    return 0


def result_document(services: Services, job_id: str) -> dict[str, Any]:
    """Return the result of a job that is DONE: the one that was accepted; if it was signed, its signature holds.

    Raises:
        UnknownJob: there is no such job.
        ResultMissing: it has no result (yet); the message says why.
        NotAuthentic: what lies there is not what was accepted or signed.
    """
    job = services.log.get(job_id)
    if job.state is State.ERROR:
        raise ResultMissing(f"job {job_id} ended in ERROR: {job.reason}")
    if job.state is not State.DONE:
        raise ResultMissing(f"job {job_id} is {job.state}; it has no result yet")
    try:
        content = services.stores.of(job.storage).get(layout.result(job.backend, job_id))
    except DocumentMissing:
        raise ResultMissing(f"the result of job {job_id} is not in the storage any more") from None
    try:
        document = _accepted(services, job, content)
    except NotAuthentic as error:
        raise NotAuthentic(f"the result of job {job_id} is not to be trusted: {error}") from None
    if (fault := fault_of_document(document)) is not None:
        raise NotAuthentic(f"the result of job {job_id} cannot be shown: {printable(fault)}")
    return dict(document)


def _accepted(services: Services, job: Job, content: bytes) -> dict[str, Any]:
    """Return the result in a document, if it is the one that the log has accepted.

    Raises:
        NotAuthentic: says why not.
    """
    uploaded = job.uploaded
    document: Any
    if uploaded is not None and uploaded.kid is not None:
        when = uploaded_at(services.log.history(job.job_id))
        document = services.signers.signatures(job.storage).check(content, uploaded.kid, when)
    else:
        try:
            document = unwrapped(json.loads(content))
        except (ValueError, RecursionError):
            raise NotAuthentic("it is not JSON") from None
    if uploaded is None or hashlib.sha256(content).hexdigest() != uploaded.sha256:
        raise NotAuthentic("it is not the one that was accepted, by its hash in the log")
    if not isinstance(document, dict) or document.get("job_id") != job.job_id:
        raise NotAuthentic("it is of another job")
    return document


def _print_text(document: dict[str, Any]) -> None:
    """Print a histogram of each experiment, and the expectation values."""
    made_by = printable(f"{document['display_name']} {document['backend_version']}")
    render.print_line(f"{made_by}, job {document['job_id']}", style="")
    for name, frame in counts_frame(document).groupby("experiment", sort=False):
        histogram(str(name), dict(zip(frame["outcome"], frame["count"], strict=True)))
    for row in values_frame(document).itertuples():
        render.print_line(
            f"{row.experiment}: {row.exp_value:.6g} ± {row.std:.2g} ({row.shots} shots for each group of terms)",
            style="",
        )


HISTOGRAM = (Column("outcome", ColumnKind.TEXT), Column("bar"), Column("count"), Column("share"))


def histogram(title: str, counts: dict[str, int]) -> None:
    """Print counts as bars, the commonest outcomes where there are many."""
    shots = sum(counts.values())
    kept = sorted(counts, key=lambda outcome: -counts[outcome])[:MAX_OUTCOMES]
    most = max(counts.values(), default=1)
    rows: list[Row] = []
    for outcome in [outcome for outcome in counts if outcome in set(kept)]:
        count = counts[outcome]
        bar = Cell("█" * max(1, round(BAR * count / most)), "cyan")
        rows.append((outcome, bar, str(count), f"{count / shots:.3f}"))
    rest = shots - sum(counts[outcome] for outcome in kept)
    if rest:
        rows.append(("others", "", str(rest), f"{rest / shots:.3f}"))
    render.print_line(f"{title}: {shots} shots", style="italic")
    show_table(render.console, HISTOGRAM, rows, heading=False, least_text=LEAST_OUTCOME)
    render.console.print()


def _print_csv(document: dict[str, Any]) -> None:
    """Print the counts of a result as CSV; those of estimations are values and standard errors."""
    counts, values = counts_frame(document), values_frame(document)
    if len(counts) or values.empty:
        counts.to_csv(sys.stdout, index=False)
    if len(values):
        values.to_csv(sys.stdout, index=False)
