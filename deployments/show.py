"""How jobs, histories, results and settings look in a terminal, and the JSON of the same."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from models.backend import BackendConfig
from models.clock import to_text
from models.events import Compiled, Event, Executed, Failed, Retried, Submitted, Uploaded, Validated
from models.job import FINAL, Job, State, status_document

BAR = 40
"""Characters of the longest bar of a histogram."""

MOST_OUTCOMES = 32
"""The most bars of one histogram; the rarest outcomes are summed up."""

# Into a file or a pipe nothing is cut.
console = Console(width=None if sys.stdout.isatty() else 240)
_COLOURS = {State.DONE: "green", State.ERROR: "red", State.CANCELLED: "yellow"}


def status_value(job: Job) -> dict[str, Any]:
    """Return a job as JSON: the contract's four fields, and ours."""
    return status_document(job).model_dump() | job.model_dump(mode="json", exclude={"job_id", "last_hash"})


def status(job: Job, held: str = "") -> None:
    """Print where a job stands.

    Args:
        held: why nothing is done with it until the log has been restored; empty if it is not held.
    """
    table = Table(show_header=False, box=None, pad_edge=False)
    seconds = (job.updated_at - job.submitted_at).total_seconds()
    rows = {
        "job": job.job_id,
        "state": _state(job),
        "backend": job.backend,
        "user": escape(job.user) or "-",
        "submitted": to_text(job.submitted_at)[:19] + " UTC",
        "attempt": str(job.attempt),
        "took": f"{seconds:.2f} s" if job.state in FINAL else "-",
        "reason": escape(job.reason) or "-",
        "flow run": job.flow_run_id or "-",
    } | ({"held": held} if held else {})
    for name, value in rows.items():
        table.add_row(f"[bold]{name}", value)
    console.print(table)
    hint = {State.DONE: f"quledger result {job.job_id}", State.QUEUED: "quledger drain --until-empty"}
    following = "quledger restore" if held else hint.get(job.state, f"quledger history {job.job_id}")
    console.print(f"\nNext: {following}", style="dim")


def jobs(found: list[Job]) -> None:
    """Print a table of jobs."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    longest = max((len(job.job_id) for job in found), default=1)
    for name, width in (("job", longest), ("backend", 4), ("user", 1), ("state", 9), ("attempt", 1)):
        table.add_column(name, no_wrap=True, min_width=width)
    table.add_column("submitted (UTC)", no_wrap=True, min_width=16)
    table.add_column("reason", overflow="ellipsis", no_wrap=True, ratio=1)
    for job in found:
        when = to_text(job.submitted_at)[:16].replace("T", " ")
        table.add_row(
            job.job_id, job.backend, escape(job.user), _state(job), str(job.attempt), when, escape(job.reason)
        )
    if found:
        console.print(table)
    else:
        console.print("There are no such jobs. Submit one: quledger submit BACKEND FILE", style="dim")


def event_value(event: Event) -> dict[str, Any]:
    """Return an event as JSON, its data parsed."""
    return event.model_dump(mode="json") | {"data": json.loads(event.data)}


def history(events: list[Event]) -> None:
    """Print every event of a job."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("time (UTC)", "seq", "attempt", "event"):
        table.add_column(name, no_wrap=True)
    table.add_column("what", overflow="fold", ratio=1)
    for event in events:
        when = to_text(event.recorded_at)[11:23]
        table.add_row(when, str(event.seq), str(event.attempt), event.kind, escape(_what(event)))
    console.print(table)
    runs = {event.flow_run_id: event.attempt for event in events if event.flow_run_id}
    for run, attempt in runs.items():
        console.print(f"attempt {attempt} is the Prefect flow run {run}", style="dim")


def result(document: dict[str, Any]) -> None:
    """Print a histogram of each experiment, and the expectation values."""
    from deployments.frames import counts_frame, values_frame  # noqa: PLC0415 - pandas takes half a second

    console.print(f"{document['display_name']} {document['backend_version']}, job {document['job_id']}")
    for name, frame in counts_frame(document).groupby("experiment", sort=False):
        histogram(str(name), dict(zip(frame["outcome"], frame["count"], strict=True)))
    for row in values_frame(document).itertuples():
        console.print(
            f"{row.experiment}: {row.exp_value:.6g} ± {row.std:.2g} ({row.shots} shots for each group of terms)"
        )


def histogram(title: str, counts: dict[str, int]) -> None:
    """Print counts as bars, the commonest outcomes where there are many."""
    shots = sum(counts.values())
    kept = sorted(counts, key=lambda outcome: -counts[outcome])[:MOST_OUTCOMES]
    table = Table(title=f"{title}: {shots} shots", title_justify="left", box=None, pad_edge=False, show_header=False)
    most = max(counts.values(), default=1)
    for outcome in [outcome for outcome in counts if outcome in set(kept)]:
        count = counts[outcome]
        table.add_row(
            outcome, f"[cyan]{'█' * max(1, round(BAR * count / most))}[/]", str(count), f"{count / shots:.3f}"
        )
    rest = shots - sum(counts[outcome] for outcome in kept)
    if rest:
        table.add_row("others", "", str(rest), f"{rest / shots:.3f}")
    console.print(table)
    console.print()


def result_csv(document: dict[str, Any]) -> None:
    """Print the counts of a result as CSV; those of estimations are values and standard errors."""
    from deployments.frames import counts_frame, values_frame  # noqa: PLC0415 - pandas takes half a second

    counts, values = counts_frame(document), values_frame(document)
    if len(counts) or values.empty:
        counts.to_csv(sys.stdout, index=False)
    if len(values):
        values.to_csv(sys.stdout, index=False)


def backends(rows: list[dict[str, Any]]) -> None:
    """Print the backends."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("backend", "version", "wires", "max shots", "waiting", "running", "instructions"):
        table.add_column(name)
    for row in rows:
        config = BackendConfig.model_validate({key: row[key] for key in BackendConfig.model_fields})
        table.add_row(
            config.display_name,
            config.version,
            str(config.num_wires),
            str(config.max_shots),
            str(row["pending_jobs"]),
            str(row["running_jobs"]),
            " ".join(config.supported_instructions),
        )
    console.print(table)


def settings(values: dict[str, Any]) -> None:
    """Print the settings as environment variables."""
    for name, value in values.items():
        console.print(f"QULEDGER_{name.upper()}={value}", highlight=False, soft_wrap=True)


def _state(job: Job) -> str:
    colour = _COLOURS.get(job.state, "blue")
    return f"[{colour}]{job.state}[/]"


def _what(event: Event) -> str:  # noqa: PLR0911 - one line for each kind of fact
    match event.fact:
        case Submitted() as fact:
            return f"{fact.backend}, {fact.document_bytes} bytes, sha256 {fact.document_sha256[:12]}, by {fact.source}"
        case Validated() as fact:
            return f"{fact.experiments} experiments, {fact.shots} shots"
        case Compiled() as fact:
            return f"program {fact.program_sha256[:12]}, seed {fact.seed}"
        case Executed() as fact:
            versions = " ".join(f"{name} {version}" for name, version in fact.versions.items())
            return f"{fact.seconds:.3f} s, seed {fact.seed}, result {fact.result_sha256[:12]}, {versions}"
        case Uploaded() as fact:
            return f"{fact.path}, {fact.bytes} bytes, read back {fact.sha256[:12]}"
        case Failed() as fact:
            return f"in {fact.stage}, fault of the {fact.blame}: " + "; ".join(str(fault) for fault in fact.faults[:3])
        case Retried() as fact:
            return f"{fact.reason}; again after {fact.after_seconds:g} s"
        case fact:
            return ", ".join(
                f"{k} {v}" for k, v in fact.model_dump(mode="json").items() if k not in {"kind", "version"}
            )
