"""The report of a job on the page of its flow run: counts, histograms and history, as artifacts."""

import asyncio
import hashlib
import json
import logging
from collections import Counter
from typing import Any, NamedTuple
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.events import emit_event

from flows.artifacts.figures import histogram, inline_image, shorten
from models.clock import to_text
from models.errors import QuledgerError, printable
from models.events import Event
from models.job import FINAL, Job, State
from models.signing import unwrapped
from models.words import count_of
from storage import layout
from tasks.jobs.attempt import Attempt

_LOG = logging.getLogger("quledger.report")

MAX_SHOWN_EXPERIMENTS = 10
MAX_OUTCOMES = 32
MAX_BYTES = 3_000_000
"""The report of a larger result only says how to get it."""


class Counted(NamedTuple):
    """The counts of one experiment.

    Attributes:
        frequent: the most frequent outcomes with their counts, sorted by outcome.
        outcomes: how many different outcomes there are.
    """

    frequent: list[tuple[str, int]]
    shots: int
    outcomes: int

    @property
    def summary(self) -> str:
        """The numbers of shots and outcomes, and whether all outcomes are here."""
        left_out = self.outcomes - len(self.frequent)
        some = f", the {len(self.frequent)} most frequent" if left_out else ""
        return f"{count_of(self.shots, 'shot')}, {count_of(self.outcomes, 'outcome')}{some}"


class Value(NamedTuple):
    """The expectation value of one experiment.

    Attributes:
        std: its standard error.
        shots: of each group of terms.
    """

    exp_value: float
    std: float
    shots: int

    @property
    def summary(self) -> str:
        """The value with its error."""
        return f"{self.exp_value:.6g} ± {self.std:.2g}, {count_of(self.shots, 'shot')} for each group of terms"


Counts = dict[str, Counted | Value]
"""Experiment -> its counts, or its expectation value."""


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
        rows = [row for name, found in counts.items() for row in _rows(name, found)]
        artifacts.append(
            ArtifactCreate(
                type="table", description=f"Counts: {summary(counts)}", data=json.dumps(rows), flow_run_id=run_id
            )
        )
    page = markdown(job, counts, attempt.services.log.history(job.job_id))
    what = "Histograms and history" if counts else "What happened, and the history"
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


def summary(counts: Counts) -> str:
    """Return a few words about the counts of a job."""
    if len(counts) == 1:
        return next(iter(counts.values())).summary
    return f"{count_of(len(counts), 'experiment')}, at most {MAX_OUTCOMES} outcomes of each"


def _counts(attempt: Attempt) -> Counts:
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
    return {
        experiment["header"]["name"]: _read(experiment) for experiment in document["results"][:MAX_SHOWN_EXPERIMENTS]
    }


def _read(experiment: dict[str, Any]) -> Counted | Value:
    data = experiment["data"]
    if "exp_value" in data:
        return Value(data["exp_value"], data["stds"], experiment["shots"])
    return _counted(Counter(data["counts"] if "counts" in data else data["memory"]))


def _counted(counter: Counter[str]) -> Counted:
    """Return the most frequent outcomes, sorted numerically."""
    frequent = sorted(
        counter.most_common(MAX_OUTCOMES), key=lambda pair: [(len(level), level) for level in pair[0].split()]
    )
    return Counted(frequent, counter.total(), len(counter))


def markdown(job: Job, counts: Counts, events: list[Event]) -> str:
    """Return the page of a job that has ended."""
    lines = [f"# {_TITLES.get(job.state, job.state)}: job `{job.job_id}`", "", *_facts(job), ""]
    lines += [f"- {escape_markdown(str(fault))}" for fault in job.faults]
    if job.fault_count > len(job.faults):
        lines.append(f"- and {job.fault_count - len(job.faults)} more")
    for name, counted in counts.items():
        if isinstance(counted, Value):
            lines += ["", f"{escape_markdown(name)}: **{counted.summary}**"]
            continue
        picture = histogram(counted.frequent, counted.shots, f"{shorten(name)}: {counted.summary}")
        lines += ["", inline_image(picture, f"histogram of {escape_markdown(name)}")]
    if job.state is State.DONE:
        note = "" if counts else "It is not shown here. "
        lines += ["", f"{note}The whole result: `quledger result {job.job_id} --json`"]
    lines.append("")
    lines += ["## History", "", "| # | attempt | event | recorded (UTC) | by |", "|---|---|---|---|---|"]
    for event in events:
        when = to_text(event.recorded_at)[:23].replace("T", " ")
        lines.append(f"| {event.seq} | {event.attempt} | {event.kind} | {when} | {escape_markdown(event.actor)} |")
    return "\n".join(lines)


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
