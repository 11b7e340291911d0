"""What the page of a job's flow run shows beside its log: counts, histograms and the history, as artifacts."""

import asyncio
import json
import logging
from collections import Counter
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.events import emit_event

from flows.pictures import histogram, inline
from models.clock import to_text
from models.errors import QuledgerError, printable
from models.events import Event
from models.job import FINAL, Job, State
from storage import layout
from tasks.attempt import Attempt

_LOG = logging.getLogger("quledger.report")

MOST_EXPERIMENTS = 10
MOST_OUTCOMES = 32
MOST_BYTES = 5_000_000
"""Of a larger result only the way to it is shown."""

Counts = dict[str, list[tuple[str, int]]]
"""Experiment -> outcomes with their counts, in the order in which they are shown."""


async def report(attempt: Attempt) -> None:
    """Show a job that has just ended to Prefect's users; what cannot be shown is no loss, so nothing is raised."""
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
        rows = [
            {"experiment": name, "outcome": outcome, "count": count}
            for name, outcomes in counts.items()
            for outcome, count in outcomes
        ]
        artifacts.append(
            ArtifactCreate(
                type="table", description=f"Counts of job {job.job_id}", data=json.dumps(rows), flow_run_id=run_id
            )
        )
    page = markdown(job, counts, attempt.services.log.history(job.job_id))
    artifacts.append(ArtifactCreate(type="markdown", description=f"Job {job.job_id}", data=page, flow_run_id=run_id))
    return artifacts


def _counts(attempt: Attempt) -> Counts:
    """Return the counts of the result, or of as much of it as is worth showing."""
    job = attempt.job
    if job.uploaded is None or job.uploaded.bytes > MOST_BYTES:
        return {}
    try:
        content = attempt.result or attempt.services.storage.get(layout.result(job.backend, job.job_id))
    except QuledgerError:
        return {}
    document: dict[str, Any] = json.loads(content)
    return {
        experiment["header"]["name"]: _most(Counter(experiment["data"]["memory"]))
        for experiment in document["results"][:MOST_EXPERIMENTS]
    }


def _most(counter: Counter[str]) -> list[tuple[str, int]]:
    """Return the most frequent outcomes, in numerical order."""
    return sorted(
        counter.most_common(MOST_OUTCOMES), key=lambda pair: [(len(level), level) for level in pair[0].split()]
    )


def markdown(job: Job, counts: Counts, events: list[Event]) -> str:
    """Return the page of a job that has ended."""
    lines = [f"# Job `{job.job_id}`: {job.state}", ""]
    if job.state is State.DONE:
        lines += [f"Backend **{job.backend}**. Fetch the result: `quledger result {job.job_id} --json`", ""]
    elif job.reason:
        lines += [f"**{plain(job.reason)}**", ""]
    for name, outcomes in counts.items():
        lines += [inline(histogram(outcomes, name), f"histogram of {name}"), ""]
    lines += ["## History", "", "| # | attempt | event | recorded (UTC) | by |", "|---|---|---|---|---|"]
    for event in events:
        when = to_text(event.recorded_at)[:23].replace("T", " ")
        lines.append(f"| {event.seq} | {event.attempt} | {event.kind} | {when} | {plain(event.actor)} |")
    return "\n".join(lines)


def plain(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-!|" else c for c in text)
