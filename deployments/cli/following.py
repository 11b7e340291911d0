"""`quledger wait` and `watch`: follow jobs by their events."""

import contextlib
import json
import math
import sys
import time
from typing import Any

from rich.console import Group
from rich.live import Live

from deployments.cli import render
from deployments.cli.existing import existing
from deployments.cli.output import Json, print_output
from deployments.group_results import jobs_of
from models.clock import to_text
from models.errors import BadName, LogError
from models.job import FINAL, Job, State
from models.words import count_of
from storage.log.pauses import pauses
from tasks.jobs.following import following
from tasks.jobs.results import result_document
from tasks.services import Services

HINT_SECONDS = 5.0
"""So long nobody takes a job before its user is told what would."""

MOST = 100
"""So many of the newest jobs, of those that run and of those that wait are watched."""

ROWS = 40
"""Of the live table."""


def wait(*job_ids: str, group: str = "", timeout: float | None = None, as_json: Json = False) -> int:
    """Wait until jobs have ended; end with code 1 if one of them did not end in DONE.

    Examples: `quledger wait 3f2a 77b1 --timeout 600`; `quledger wait --group rabi`.

    Args:
        job_ids: Their ids, or as much of the beginning of each as tells it from others.
        group: All jobs of this group.
        timeout: Wait at most so many seconds; the code is 1 then.
    """
    expect_seconds(timeout)
    services = existing()
    wanted = [services.log.id_of(each) for each in job_ids]
    if group:
        wanted += [job.job_id for job in jobs_of(services.log, group)]
    if not wanted:
        raise BadName("say which jobs are to be waited for, or which --group")
    ended = ends_of(services, wanted, timeout, tell=not as_json)
    value = [_value(job) for job in ended.values()]
    print_output(value, lambda: None, as_json=as_json)
    return 0 if all(job.state is State.DONE for job in ended.values()) else 1


def watch(*job_ids: str, as_json: Json = False) -> int:
    """Show jobs as they change: those that are named, or all there are. Ctrl-C ends it.

    Into a file or a pipe it prints a line for each change, with `--json` one JSON value a line. It ends by itself when
    all jobs that were named have ended. Example: `quledger watch 3f2a`.

    Args:
        job_ids: Their ids, or as much of the beginning of each as tells it from others.
    """
    services = existing()
    wanted = dict.fromkeys(services.log.id_of(each) for each in job_ids)
    jobs: dict[str, Job] = {}

    def look() -> dict[str, int]:
        return services.log.last_events(wanted) if wanted else services.log.in_sight(MOST)

    is_live = not as_json and render.console.is_terminal
    live = Live(console=render.console, auto_refresh=False) if is_live else contextlib.nullcontext()
    with contextlib.suppress(KeyboardInterrupt), live:
        for turn, changed in enumerate(following(services.log, look)):
            jobs |= {job.job_id: job for job in changed}
            if not wanted:
                jobs = dict(sorted(jobs.items(), key=_place)[:ROWS])
            if isinstance(live, Live):
                live.update(Group(*render.job_lines(list(jobs.values()))), refresh=True)
            else:
                _print_lines([job for job in changed if turn or wanted or job.state not in FINAL], as_json=as_json)
            if wanted and all(job.state in FINAL for job in jobs.values()):
                break
    return 0


def expect_seconds(timeout: float | None) -> None:
    """Make sure that a time can be waited for.

    Raises:
        BadName: it cannot.
    """
    if timeout is not None and not timeout >= 0:
        raise BadName("--timeout: say a number of seconds, 0 or more")


def _place(item: tuple[str, Job]) -> tuple[bool, float]:
    """Return where a job stands in the live table: what has not ended first, and the newest of each."""
    return item[1].state in FINAL, -item[1].submitted_at.timestamp()


def show_end(services: Services, job: Job, timeout: float | None, *, as_json: bool) -> int:
    """Wait for a job's end and print its result; return the exit code that its end has."""
    print(f"job {job.job_id}", file=sys.stderr)
    (job,) = ends_of(services, [job.job_id], timeout, tell=True, states=True).values()
    document = result_document(services, job.job_id) if job.state is State.DONE else None
    if as_json:
        print(json.dumps(_value(job) | {"result": document}))
    elif document is not None:
        from deployments.cli.results import print_text  # noqa: PLC0415 - pandas takes a second to import

        print_text(document)
    if job.state is State.DONE:
        return 0
    if job.state is State.ERROR:
        print(f"quledger: job {job.job_id} ended in ERROR: {job.reason}", file=sys.stderr)
    return 2 if job.blame == "user" else 1


def ends_of(
    services: Services, job_ids: list[str], timeout: float | None, *, tell: bool, states: bool = False
) -> dict[str, Job]:
    """Wait until jobs have ended, or that time is over, and return them as they stand then.

    Args:
        tell: say on standard error who has ended, and what keeps all from it.
        states: say each state.
    """
    jobs: dict[str, Job] = {}
    waiting = dict.fromkeys(job_ids)
    hint_at, said = time.monotonic() + HINT_SECONDS, False
    for changed in following(services.log, lambda: services.log.last_events(waiting), timeout):
        for job in changed:
            jobs[job.job_id] = job
            if job.state in FINAL:
                waiting.pop(job.job_id)
            if tell and (states or job.state in FINAL):
                print(
                    f"  {job.state}" if states else f"{job.job_id} {job.state} {job.reason}".rstrip(), file=sys.stderr
                )
        if not waiting:
            break
        if tell and not states and not said:
            print(f"waiting for {count_of(len(waiting), 'job')} ...", file=sys.stderr)
            said = True
        if tell and time.monotonic() > hint_at:
            hint_at = math.inf
            print(*_what_keeps(services, [jobs[each] for each in waiting]), sep="", end="", file=sys.stderr)
    if waiting and tell:
        some = f"{', '.join(list(waiting)[:5])}{' ...' if len(waiting) > 5 else ''}"  # noqa: PLR2004 - a line of them
        print(f"quledger: the time is over; not ended: {some}", file=sys.stderr)
    return {each: jobs[each] for each in dict.fromkeys(job_ids)}


def _what_keeps(services: Services, jobs: list[Job]) -> list[str]:
    """Return why jobs that nobody has taken so far wait, a line each."""
    if any(job.attempt for job in jobs):
        return []
    paused = {}
    # A log that is away for a moment is no end of waiting.
    with contextlib.suppress(LogError):
        paused = pauses(services.log.engine)
    backends = {job.backend for job in jobs}
    if backends <= paused.keys():
        return [f"{paused[backend]}\n" for backend in sorted(backends)]
    return ["nobody has taken what waits so far; `quledger drain` runs it\n"]


def _value(job: Job) -> dict[str, Any]:
    return {"job_id": job.job_id, "state": job.state, "is_final": job.state in FINAL, "reason": job.reason}


def _print_lines(jobs: list[Job], *, as_json: bool) -> None:
    for job in sorted(jobs, key=lambda each: each.updated_at):
        if as_json:
            value = _value(job) | {"backend": job.backend, "attempt": job.attempt, "at": to_text(job.updated_at)}
            print(json.dumps(value), flush=True)
        else:
            print(
                f"{to_text(job.updated_at)[:19]}Z {job.job_id} {job.state} {job.backend} {job.reason}".rstrip(),
                flush=True,
            )
