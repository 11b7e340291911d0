"""The report of a job on the page of its flow run: counts, histograms and history, as artifacts."""

import asyncio
import hashlib
import html
import itertools
import json
import logging
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.events import emit_event

from flows.artifacts.figures import folded, histogram, html_image, inline_image, shorten
from flows.artifacts.job_figure import job_figure
from flows.artifacts.outcome_rows import bars_of
from flows.artifacts.outcomes import MAX_OUTCOMES, Counted, Outcomes, Value, outcomes_of
from models.clock import to_text
from models.errors import QuledgerError, printable
from models.event_text import what_happened
from models.events import Event
from models.job import FINAL, Job, State
from models.signing import unwrapped
from models.words import count_of
from storage import layout
from tasks.jobs.attempt import Attempt

_LOG = logging.getLogger("quledger.report")

MAX_EXPERIMENTS = 200
"""In the figure of a job."""

MAX_HISTOGRAMS = 50
MAX_ROWS = 320
"""Of the table of counts."""

MAX_WHAT = 300
"""Characters about one event."""

MAX_BYTES = 3_000_000
"""The report of a larger result only says how to get it."""


_TITLES = {State.DONE: "Done", State.ERROR: "Failed", State.CANCELLED: "Cancelled", State.WITHDRAWN: "Withdrawn"}


async def report(attempt: Attempt) -> None:
    """Put the report of a job that has just ended into Prefect; errors are logged and not raised."""
    job = attempt.job
    if job.state not in FINAL or attempt.flow_run_id is None:
        return
    try:
        artifacts = await asyncio.to_thread(_artifacts, attempt)
        announce(job)
        async with get_client() as client:
            for artifact in artifacts:
                body = artifact.model_dump(mode="json", exclude_unset=True)
                await client.request("POST", "/artifacts/", json=body)
    except Exception as error:  # noqa: BLE001 - Prefect only displays, and the result is where it belongs
        _LOG.warning("report_failed action=none job_id=%s: %s", job.job_id, type(error).__name__)


def announce(job: Job) -> None:
    """Emit the event `quledger.job.<state>`, to which automations may react."""
    emit_event(
        event=f"quledger.job.{'completed' if job.state is State.DONE else job.state.value.lower()}",
        resource={
            "prefect.resource.id": f"quledger.job.{job.job_id}",
            "prefect.resource.name": job.job_id,
            "quledger.backend": job.backend,
            "quledger.user": job.user or "-",
        },
        payload={"state": job.state.value, "attempt": job.attempt, "reason": printable(job.reason, 500)},
    )


def _artifacts(attempt: Attempt) -> list[ArtifactCreate]:
    job, run_id = attempt.job, UUID(attempt.flow_run_id)
    counts = _counts(attempt) if job.state is State.DONE else {}
    artifacts = []
    if counts:
        rows = list(itertools.islice((row for name, found in counts.items() for row in _rows(name, found)), MAX_ROWS))
        which = f", the first {MAX_ROWS} rows" if len(rows) == MAX_ROWS else ""
        described = f"Counts{which}: {summary(counts)}"
        artifacts.append(ArtifactCreate(type="table", description=described, data=json.dumps(rows), flow_run_id=run_id))
    page = markdown(job, counts, attempt.services.log.history(job.job_id))
    what = "Figures and history" if counts else "What happened, and the history"
    artifacts.append(ArtifactCreate(type="markdown", description=what, data=page, flow_run_id=run_id))
    return artifacts


def _rows(name: str, found: Counted | Value) -> list[dict[str, Any]]:
    """Return the rows of one experiment in the table of results."""
    if isinstance(found, Value):
        return [{"experiment": name, "expectation value": found.exp_value, "standard error": found.std}]
    return [
        {"experiment": name, "outcome": outcome, "count": count, "share": f"{count / found.shots:.2%}"}
        for outcome, count in found.frequent
    ]


def summary(counts: Outcomes) -> str:
    """Return a few words about the counts of a job."""
    if len(counts) == 1:
        return next(iter(counts.values())).summary
    return f"{count_of(len(counts), 'experiment')}, at most {MAX_OUTCOMES} outcomes of each"


def _counts(attempt: Attempt) -> Outcomes:
    """Return the counts of the first experiments; none of a result that is too large or not the accepted one."""
    job = attempt.job
    if job.uploaded is None or job.uploaded.bytes > MAX_BYTES:
        return {}
    try:
        content = attempt.result or attempt.storage.get(layout.result(job.backend, job.job_id))
    except QuledgerError:
        return {}
    if attempt.result is None and hashlib.sha256(content).hexdigest() != job.uploaded.sha256:
        return {}  # not what was accepted: `quledger result` says so to whoever asks
    document: dict[str, Any] = unwrapped(json.loads(content))
    return outcomes_of(document, MAX_EXPERIMENTS)


def markdown(job: Job, counts: Outcomes, events: list[Event]) -> str:
    """Return the page of a job that has ended."""
    lines = [f"# {_TITLES.get(job.state, job.state)}: job `{job.job_id}`", "", *_facts(job), ""]
    lines += [f"- {escape_markdown(str(fault))}" for fault in job.faults]
    if job.fault_count > len(job.faults):
        lines.append(f"- and {job.fault_count - len(job.faults)} more")
    if counts:
        lines += ["", *_figures(counts)]
    if job.state is State.DONE:
        note = "" if counts else "It is not shown here. "
        if len(counts) == MAX_EXPERIMENTS:
            note = f"At most {MAX_EXPERIMENTS} experiments are shown here. "
        lines += ["", f"{note}The whole result: `quledger result {job.job_id} --json`"]
    lines.append("")
    lines += ["## History", "", "| # | attempt | event | recorded (UTC) | what | by |", "|---|---|---|---|---|---|"]
    for event in events:
        when = to_text(event.recorded_at)[:23].replace("T", " ")
        what = escape_markdown(printable(what_happened(event), MAX_WHAT))
        by = escape_markdown(event.actor)
        lines.append(f"| {event.seq} | {event.attempt} | {event.kind} | {when} | {what} | {by} |")
    return "\n".join(lines)


def _figures(counts: Outcomes) -> list[str]:
    """Return one figure for the job; of several experiments the single ones are there to be unfolded."""
    if len(counts) > 1:
        single = [_single(name, found) for name, found in itertools.islice(counts.items(), MAX_HISTOGRAMS)]
        summary = f"{count_of(len(counts), 'experiment')} one by one"
        if len(single) < len(counts):
            summary = f"the first {len(single)} of {summary}"
        return [inline_image(job_figure(counts), "figure of all experiments"), "", folded(summary, single)]
    ((name, found),) = counts.items()
    if isinstance(found, Value):
        return [f"{escape_markdown(name)}: **{found.summary}**"]
    picture = histogram(bars_of(found), found.shots, f"{shorten(name)}: {found.summary}")
    return [inline_image(picture, f"histogram of {escape_markdown(name)}")]


def _single(name: str, found: Counted | Value) -> str:
    """Return one experiment of several as HTML."""
    if isinstance(found, Value):
        return f"<p>{html.escape(printable(name))}: {found.summary}</p>"
    title = f"{shorten(name)}: {found.summary}"
    return html_image(histogram(bars_of(found), found.shots, title), f"histogram of {printable(name)}")


def _facts(job: Job) -> list[str]:
    """Return who ran what, as a table of two columns."""
    facts = {"backend": job.backend, "user": job.user, "project": job.project}
    if job.attempt > 1:
        facts["attempts"] = str(job.attempt)
    if job.executed is not None:
        facts["computed in"] = f"{job.executed.seconds:.3g} s"
    names = [name for name, value in facts.items() if value]
    return [
        f"| {' | '.join(names)} |",
        f"|{'---|' * len(names)}",
        f"| {' | '.join(escape_markdown(facts[name]) for name in names)} |",
    ]


def escape_markdown(text: str) -> str:
    """Return text that Markdown shows unchanged."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-!|" else c for c in text)
