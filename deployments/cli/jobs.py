"""The commands that look at jobs."""

import sys
from typing import Annotated

from cyclopts import Parameter

from deployments.cli import render
from deployments.cli.existing import LogNotThere, existing
from deployments.cli.follow_history import follow_history
from deployments.cli.output import Json, Labels, print_output
from models import clock
from models.cancelling import why_cancelled
from models.errors import BadName, InputError, echo
from models.job import Phase, State
from models.labels import labels_said
from models.moments import past_moment_of
from models.names import one_spelling
from models.pauses import Pause
from storage.log.job_lists import MAX_PAGE, Query
from storage.log.past import one_at, page_at
from storage.log.pauses import pauses
from tasks.backends import registry
from tasks.services import current

MAX_LIMIT = 2**63 - 1
"""More jobs no database counts."""


def status(job_id: str, *, at: str = "", as_json: Json = False) -> int:
    """Show where a job stands.

    Args:
        job_id: The job's id, or as much of its beginning as tells it from others.
        at: Where it stood then: a time with its zone, such as 2026-12-01T08:00Z, or a span ago, such as 90m.
    """
    log = existing().log
    job_id = log.id_of(job_id)
    if at:
        moment = past_moment_of(at, "--at", clock.now())
        job, more = one_at(log.engine, job_id, moment), {"at": clock.to_text(moment)}
        print_output(render.status_value(job) | more, lambda: render.status(job, more), as_json=as_json)
        return 0
    job = log.get(job_id)
    sha256 = job.executed.stands_on if job.executed else ""
    gone = existing().calibrations.withdrawn([sha256]).get(sha256) if sha256 else None
    more = {
        "withdrawn": f"the calibration that it stands on: {gone.reason}" if gone else "",
        "cancelled": why_cancelled(log.history(job_id)) if job.cancel_requested else "",
        "held": existing().holds.why(job_id),
        "paused": str(pauses(log.engine).get(job.backend, "")) if job.phase is Phase.WAITING else "",
    }
    more = {name: text for name, text in more.items() if text}
    print_output(render.status_value(job) | more, lambda: render.status(job, more), as_json=as_json)
    return 0


def history(job_id: str, *, follow: Annotated[bool, Parameter(negative="")] = False, as_json: Json = False) -> int:
    """Show every event of a job.

    Args:
        job_id: The job's id, or as much of its beginning as tells it from others.
        follow: Go on with each event as it is appended, until the job has ended; with --json one value a line.
    """
    job_id = existing().log.id_of(job_id)
    if follow:
        follow_history(existing(), job_id, as_json=as_json)
        return 0
    events = existing().log.history(job_id)
    print_output([render.event_value(event) for event in events], lambda: render.history(events), as_json=as_json)
    return 0


def list_jobs(  # noqa: PLR0913 - one parameter an option
    *,
    backend: str = "",
    user: str = "",
    state: str = "",
    group: str = "",
    label: Labels = None,
    at: str = "",
    limit: int = 50,
    as_json: Json = False,
) -> int:
    """List jobs, newest first.

    Args:
        backend: Only of this backend.
        user: Only of this user.
        state: Only in this state, such as QUEUED, DONE or ERROR.
        group: Only of this group.
        label: Only with this label, as NAME=VALUE; given several times, with all of them.
        at: As they stood then: a time with its zone, such as 2026-12-01T08:00Z, or a span ago, such as 90m.
        limit: At most so many.
    """
    if at and (state or label):
        raise InputError("--at goes with neither --state nor --label: an index holds them as they are now")
    if state and state.upper() not in State.__members__:
        raise BadName(f"{echo(state)} is no state; there are: {', '.join(State)}")
    if limit < 1:
        raise BadName("the limit has to be at least 1")
    if at:
        moment = past_moment_of(at, "--at", clock.now())
        query = Query(everything=True, with_hidden=True, backend=backend, user=one_spelling(user), group=group)
        past = page_at(existing().log.engine, query, moment, limit=min(limit, MAX_PAGE)).jobs
        print_output([render.status_value(job) for job in past], lambda: render.jobs(past), as_json=as_json)
        return 0
    jobs = existing().log.jobs(
        backend=backend,
        user=one_spelling(user),
        state=state.upper(),
        group=group,
        labels=labels_said(label or []),
        limit=min(limit, MAX_LIMIT),
    )
    print_output([render.status_value(job) for job in jobs], lambda: render.jobs(jobs), as_json=as_json)
    return 0


def backends(*, as_json: Json = False) -> int:
    """List the backends of this installation and how many jobs wait for each."""
    counts: dict[str, dict[str, int]] = {}
    paused: dict[str, Pause] = {}
    said: list[str] = []
    try:
        log = existing().log
        counts, paused = log.counts(), pauses(log.engine)
    except LogNotThere as error:
        said.append(f"No jobs are counted: {error}")
    signer = current().keys
    good, unusable = registry.survey()
    for why in unusable.values():
        print(f"quledger: {why}", file=sys.stderr)
    rows = [
        registry.load(name).config.model_dump()
        | {
            "pending_jobs": counts.get(name, {}).get("waiting", 0),
            "running_jobs": counts.get(name, {}).get("running", 0),
            "sign": signer.signs(name),
            "kid": signer.kid(name),
            "pause": paused[name].model_dump(mode="json", exclude={"backend"}) if name in paused else None,
        }
        for name in good
    ]
    said += [str(pause) for name, pause in sorted(paused.items())]
    print_output(rows, lambda: render.backends(rows, said), as_json=as_json)
    return 0
