"""What notebooks show of jobs, results and backends: HTML without scripts, and all that came from elsewhere is text."""

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from quledger_client.progress import bar_of

if TYPE_CHECKING:
    from quledger_client.backends import BackendInfo
    from quledger_client.jobs import JobInfo
    from quledger_client.results import ExperimentResult, Result

MAX_ROWS = 16
"""Outcomes of an experiment, and experiments of a result, that are shown."""

_COLOURS = {"DONE": "#2e7d32", "ERROR": "#c62828", "CANCELLED": "#6d6d6d", "WITHDRAWN": "#6d6d6d"}


def job_html(job: "JobInfo") -> str:
    """Return where a job stands."""
    state = f'<b style="color:{_COLOURS.get(job.state, "#1565c0")}">{escape(job.state)}</b>'
    rows = [
        ("job", f"<code>{escape(job.id)}</code>"),
        ("backend", escape(job.backend)),
        ("state", f"{state} <code>{bar_of(job.state)}</code>"),
    ]
    if job.labels:
        rows.append(("labels", escape(", ".join(f"{name}={value}" for name, value in job.labels.items()))))
    if job.group:
        rows.append(("group", escape(job.group)))
    if job.reason:
        rows.append(("reason", escape(job.reason)))
    if len(job.faults) > 1:
        rows.append(("faults", "<br>".join(escape(str(fault)) for fault in job.faults[:MAX_ROWS])))
    return _table(rows)


def backend_html(backend: "BackendInfo") -> str:
    """Return what a backend can do."""
    limits = backend.limits
    queue = f"{backend.waiting} waiting, {backend.running} running"
    return _table(
        [
            ("backend", f"<b>{escape(backend.name)}</b>"),
            ("description", escape(backend.description)),
            ("status", escape(backend.pause or backend.status)),
            ("queue", queue),
            ("limits", f"{limits.wires} wires, {limits.shots:,} shots, {limits.experiments} experiments"),
            ("instructions", escape(", ".join(backend.instructions))),
        ]
    )


def result_html(result: "Result") -> str:
    """Return the numbers of a result, with a bar for the share of each outcome."""
    parts = [_experiment(each) for each in result.experiments[:MAX_ROWS]]
    if len(result.experiments) > MAX_ROWS:
        parts.append(f"<p>and {len(result.experiments) - MAX_ROWS} experiments more</p>")
    title = f"<p>result of <code>{escape(result.job_id)}</code> on {escape(result.backend)}</p>"
    return title + "".join(parts)


def _experiment(result: "ExperimentResult") -> str:
    title = f"<p><b>{escape(result.name)}</b>, {result.shots:,} shot{'' if result.shots == 1 else 's'}</p>"
    if result.expectation is not None:
        return f"{title}<p>{result.expectation:.6g} ± {result.standard_error or 0.0:.2g}</p>"
    shares = result.probabilities()
    frequent = set(sorted(shares, key=lambda outcome: -shares[outcome])[:MAX_ROWS])
    rows = "".join(
        f"<tr><td><code>{escape(outcome)}</code></td><td>{result.counts()[outcome]:,}</td><td>"
        f'<div style="background:#1565c0;height:0.8em;width:{share * 200:.0f}px"></div></td></tr>'
        for outcome, share in shares.items()
        if outcome in frequent
    )
    more = f"<p>and {len(shares) - MAX_ROWS} outcomes more</p>" if len(shares) > MAX_ROWS else ""
    return f"{title}<table>{rows}</table>{more}"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "<table>" + "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows) + "</table>"
