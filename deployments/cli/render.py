"""How jobs, histories and backends look in a terminal, and the JSON of the same."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.text import Text

from deployments.cli.tables import Cell, Column, ColumnKind, Row, show_table, table_lines
from models.backend import BackendConfig
from models.characters import spelt_out
from models.clock import in_words, to_text
from models.event_text import what_happened
from models.events import Event
from models.job import FINAL, Job, State
from models.labels import in_a_line
from models.status import status_document

# Into a file or a pipe nothing is cut.
console = Console(width=None if sys.stdout.isatty() else 240)
_COLOURS = {State.DONE: "green", State.ERROR: "red", State.CANCELLED: "yellow"}


def status_value(job: Job) -> dict[str, Any]:
    """Return a job as JSON: the contract's four fields, and ours."""
    always = {"labels": job.labels, "group": job.group, "derived_from": job.derived_from}
    return status_document(job).model_dump() | always | job.model_dump(mode="json", exclude={"job_id", "last_hash"})


def status(job: Job, more: Mapping[str, str] = MappingProxyType({})) -> None:
    """Print where a job stands.

    Args:
        more: `cancelled`, who wanted that and why; `paused`, why nothing of its backend begins; `held`, why nothing is
            done with it until the log has been restored.
    """
    seconds = (job.updated_at - job.submitted_at).total_seconds()
    rows: dict[str, str | Cell] = {
        "state": _state(job),
        "backend": job.backend,
        "user": job.user or "-",
        "submitted": in_words(job.submitted_at),
        "attempt": str(job.attempt),
        "took": f"{seconds:.2f} s" if job.state in FINAL else "-",
        "reason": job.reason or "-",
        "flow run": job.flow_run_id or "-",
    }
    made_of = {"labels": in_a_line(job.labels), "group": job.group, "derived from": job.derived_from}
    rows |= {name: text for name, text in made_of.items() if text}
    rows |= more
    columns = (Column("name"), Column("value", ColumnKind.TEXT))
    # An id may be longer than a line, and is not cut all the same.
    show_table(console, (Column("name"), Column("id")), [(Cell(f"{'job':<9}", "bold"), job.job_id)], heading=False)
    show_table(console, columns, [(Cell(name, "bold"), value) for name, value in rows.items()], heading=False)
    hint = {State.DONE: f"quledger result {job.job_id}", State.QUEUED: "quledger drain --until-empty"}
    hint |= {State.QUEUED: f"quledger why {job.job_id}"} if "paused" in more else {}
    following = "quledger restore" if "held" in more else hint.get(job.state, f"quledger history {job.job_id}")
    print_line(f"\nNext: {following}")


JOBS = (
    Column("job"),
    Column("backend", ColumnKind.NAME),
    Column("user", ColumnKind.NAME),
    Column("state"),
    Column("attempt"),
    Column("submitted (UTC)", ColumnKind.DETAIL),
    Column("reason", ColumnKind.TEXT),
)


def jobs(found: list[Job]) -> None:
    """Print a table of jobs."""
    if not found:
        print_line("There are no such jobs. Submit one: quledger submit BACKEND FILE")
        return
    show_table(console, JOBS, [_job(job) for job in found], wrap=False)


def job_lines(found: list[Job]) -> Iterator[Text]:
    """Yield the lines of a table of jobs that is shown anew again and again."""
    return table_lines(JOBS, [_job(job) for job in found], console.width, wrap=False)


def _job(job: Job) -> Row:
    when = to_text(job.submitted_at)[:16].replace("T", " ")
    return job.job_id, job.backend, job.user, _state(job), str(job.attempt), when, job.reason


def event_value(event: Event) -> dict[str, Any]:
    """Return an event as JSON, its data parsed."""
    return event.model_dump(mode="json") | {"data": json.loads(event.data)}


HISTORY = (Column("time (UTC)"), Column("seq"), Column("attempt"), Column("event"), Column("what", ColumnKind.TEXT))


def history(events: list[Event]) -> None:
    """Print every event of a job."""
    show_table(
        console,
        HISTORY,
        [
            (to_text(event.recorded_at)[11:23], str(event.seq), str(event.attempt), event.kind, what_happened(event))
            for event in events
        ],
    )
    runs = {event.flow_run_id: event.attempt for event in events if event.flow_run_id}
    for run, attempt in runs.items():
        print_line(f"attempt {attempt} is the Prefect flow run {run}")


BACKENDS = (
    Column("backend"),
    Column("version", ColumnKind.NAME),
    Column("wires"),
    Column("max shots"),
    Column("waiting"),
    Column("running"),
    Column("instructions", ColumnKind.TEXT),
)


def backends(rows: list[dict[str, Any]], paused: Sequence[str] = ()) -> None:
    """Print the backends, and a sentence about each that is paused."""
    show_table(console, BACKENDS, [_backend(row) for row in rows])
    for line in paused:
        print_line(line, "yellow")


def _backend(row: dict[str, Any]) -> Row:
    config = BackendConfig.model_validate({key: row[key] for key in BackendConfig.model_fields})
    return (
        config.display_name,
        config.version,
        str(config.num_wires),
        str(config.max_shots),
        str(row["pending_jobs"]),
        str(row["running_jobs"]),
        " ".join(config.supported_instructions),
    )


def print_line(text: str, style: str = "dim") -> None:
    """Print a line as it is: no markup in it is read, and it is not cut."""
    shown = "\n".join(map(spelt_out, text.split("\n")))
    console.print(shown, style=style, markup=False, highlight=False, soft_wrap=True)


def _state(job: Job) -> Cell:
    return Cell(job.state, _COLOURS.get(job.state, "blue"))
