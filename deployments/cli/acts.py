"""`quledger cancel` and `quledger retry`: with one job, or with all that a filter names."""

import sys
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any

from cyclopts import Parameter

from deployments.cli import render
from deployments.cli.existing import existing
from deployments.cli.output import Json, Labels, print_output
from models import clock
from models.bulk import BulkAct
from models.errors import BadName, echo
from models.job import Job, State
from models.labels import labels_said
from models.moments import window_of
from models.names import one_spelling
from models.words import count_of
from storage.log.job_lists import Query
from tasks.jobs import bulk, submission

MOST_SHOWN = 50


@Parameter(name="*")
@dataclass(frozen=True)
class Which:
    """Options that say with which jobs something is done; a job has to fit all of them."""

    backend: Annotated[str, Parameter(help="All of this backend.")] = ""
    user: Annotated[str, Parameter(help="All of this user.")] = ""
    project: Annotated[str, Parameter(help="All of this project.")] = ""
    state: Annotated[list[State] | None, Parameter(help="All in this state; may be repeated.", negative="")] = None
    group: Annotated[str, Parameter(help="All of this group.")] = ""
    label: Annotated[Labels, Parameter(help="All with this label, as NAME=VALUE; may be repeated.")] = None
    since: Annotated[str, Parameter(help="All handed in then or later: a time, or so long ago (2h).")] = ""
    until: Annotated[str, Parameter(help="All handed in before then; the same.")] = ""
    yes: Annotated[bool, Parameter(help="Do it; without this it is only said what would be done.", negative="")] = False

    def query(self) -> Query:
        """Return the list of these jobs.

        Raises:
            InputError: an option cannot be what it is, or there is none.
        """
        since, until = window_of(self.since, self.until, clock.now(), dashes="--")
        query = Query(
            everything=True,
            backend=self.backend,
            user=one_spelling(self.user),
            project=self.project,
            states=frozenset(self.state or []),
            since=since,
            until=until,
            group=self.group,
            labels=tuple(labels_said(self.label or []).items()),
        )
        bulk.check_narrow(query)
        return query


NONE = Which()


def retry(job_id: str | None = None, *, which: Which = NONE, as_json: Json = False) -> int:
    """Give a job that ended in ERROR through no fault of its own another chance.

    Without an id it is for all jobs that the options name; then it is first said which they are.

    Args:
        job_id: The job's id, or as much of its beginning as tells it from others.
    """
    if _is_bulk(job_id, which):
        return _all("retry", which, as_json=as_json)
    job = submission.revive(existing(), existing().log.id_of(job_id or ""))
    value = {"job_id": job.job_id, "state": job.state}
    print_output(value, lambda: print(f"job {job.job_id} waits again"), as_json=as_json)
    return 0


def cancel(job_id: str | None = None, *, reason: str = "", which: Which = NONE, as_json: Json = False) -> int:
    """Cancel a job: at once where it waits; where it runs, its worker stops it within seconds.

    Without an id it is for all jobs that the options name; then it is first said which they are.

    Args:
        job_id: The job's id, or as much of its beginning as tells it from others.
        reason: Why; it is kept in the job's history.
    """
    if _is_bulk(job_id, which):
        return _all("cancel", which, reason, as_json=as_json)
    job_id = existing().log.id_of(job_id or "")
    job = submission.cancel(existing(), job_id, by="operator", reason=reason)
    text = f"job {job_id} is cancelled" if job.state is State.CANCELLED else f"job {job_id} is being stopped"
    print_output({"job_id": job_id, "state": job.state}, lambda: print(text), as_json=as_json)
    return 0


def _is_bulk(job_id: str | None, which: Which) -> bool:
    """Return whether it is for many jobs.

    Raises:
        BadName: it is for one, and options for many are given.
    """
    if job_id is not None and which != NONE:
        raise BadName(f"name a job, such as {echo(job_id)}, or say by options which jobs; not both")
    return job_id is None


def _all(act: BulkAct, which: Which, reason: str = "", *, as_json: bool) -> int:
    query = which.query()
    services = existing()
    found = bulk.matching(services, act, query)
    if which.yes:
        done = bulk.do_all(services, act, found, by="operator", reason=reason)
        failed = [{"job_id": job_id, "message": message} for job_id, message in done.failed.items()]
        word = {"cancel": "cancelled, or being stopped", "retry": "waiting again"}[act]
        print_output(
            _value(done.jobs, failed, dry_run=False),
            lambda: print(f"{count_of(len(done.jobs), 'job')} {word}"),
            as_json=as_json,
        )
        for message in done.failed.values():
            print(f"quledger: {message}", file=sys.stderr)
        return 1 if failed else 0
    jobs = list(islice(found, MOST_SHOWN))
    rest = [job.job_id for job in found]

    def show() -> None:
        if jobs:
            render.jobs(jobs)
        if rest:
            print(f"and {count_of(len(rest), 'more job')}")
        number = len(jobs) + len(rest)
        hint = "; --yes does it" if number else ""
        print(f"{act} is for {count_of(number, 'job')}, and nothing was done{hint}")

    print_output(_value(jobs, [], dry_run=True, more=rest), show, as_json=as_json)
    return 0


def _value(
    jobs: list[Job], failed: list[dict[str, str]], *, dry_run: bool, more: list[str] | None = None
) -> dict[str, Any]:
    job_ids = [job.job_id for job in jobs] + (more or [])
    return {"dry_run": dry_run, "job_ids": job_ids, "failed": failed}
