"""What is said of calibrations and of the results that stand on them, in the same words everywhere."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from models.calibrations import Calibration, Ledger
from models.clock import to_text
from models.job import Job


def periods_of(ledger: Ledger) -> list[dict[str, Any]]:
    """Return each time for which a version held; at the end those that were withdrawn and never recorded."""
    held = [(period.sha256, period.since, period.until) for period in ledger.periods]
    unheld = [(each.sha256, None, None) for each in ledger.versions.values() if each.recorded_at is None]
    return [
        {"sha256": sha256, "since": _text(since), "until": _text(until), **withdrawal(ledger.versions[sha256])}
        for sha256, since, until in [*held, *unheld]
    ]


def version_value(backend: str, version: Calibration) -> dict[str, Any]:
    """Return all that is known of a version; `content` is None where it was not kept."""
    return {
        "backend": backend,
        "sha256": version.sha256,
        "config_sha256": version.config_sha256,
        "recorded_at": _text(version.recorded_at),
        **withdrawal(version),
        "content": version.content,
    }


def result_value(job: Job, withdrawn: Mapping[str, Calibration]) -> dict[str, Any]:
    """Return what a job that has run stands on.

    Args:
        withdrawn: the versions that were withdrawn, by their hashes.
    """
    sha256 = job.executed.stands_on if job.executed else ""
    return {
        "job_id": job.job_id,
        "backend": job.backend,
        "user": job.user,
        "state": job.state.value,
        "submitted_at": to_text(job.submitted_at),
        "calibration": sha256,
        **withdrawal(withdrawn.get(sha256) or Calibration(sha256=sha256)),
    }


def withdrawal(version: Calibration) -> dict[str, str | None]:
    """Return when a version was withdrawn (None if it was not), by whom and why."""
    return {"withdrawn_at": _text(version.withdrawn_at), "withdrawn_by": version.withdrawn_by, "reason": version.reason}


def _text(moment: datetime | None) -> str | None:
    return to_text(moment) if moment else None
