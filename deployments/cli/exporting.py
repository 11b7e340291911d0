"""`quledger export`: jobs into an archive, or jobs, events and results as tables."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployments.cli.existing import existing
from deployments.cli.output import Json, Labels, print_output
from models import clock
from models.errors import BadName, InputError, echo, printable
from models.job import Job, State
from models.labels import labels_said
from models.moments import window_of
from models.names import one_spelling
from models.words import count_of
from storage.log import job_lists
from storage.log.job_lists import Query
from tasks.jobs.archiving import NEVER_COMPILED, NOT_ASKED_FOR
from tasks.jobs.archiving import export as write_archive
from tasks.services import Services

if TYPE_CHECKING:
    from deployments.parquet import What

PAGE = 500
"""Jobs that are read and written at a time."""

SAID = 20
"""So much of what was left out is said line by line."""


def export(  # noqa: PLR0913 - one parameter an option
    *job_ids: str,
    archive: Path | None = None,
    jobs: Path | None = None,
    events: Path | None = None,
    results: Path | None = None,
    backend: str = "",
    user: str = "",
    project: str = "",
    state: str = "",
    group: str = "",
    label: Labels = None,
    since: str = "",
    until: str = "",
    programs: bool = True,
    as_json: Json = False,
) -> int:
    """Write jobs into an archive that proves itself, or jobs, events or results into Parquet files.

    Examples: `quledger export 3f2a 77b1 --archive paper.zip`;
    `quledger export --jobs jobs.parquet --results results.parquet --backend rydberg --since 30d`.

    Args:
        job_ids: Ids of jobs, or as much of each beginning as tells it from others; without any, all to which the rest
            applies.
        archive: File with document, program, result, history, calibration and keys of each job; `quledger
            verify-archive` checks it. It is not written over.
        jobs: Parquet file with a row for each job.
        events: Parquet file with a row for each event.
        results: Parquet file with a row for each outcome and each expectation value.
        backend: Only of this backend.
        user: Only of this user.
        project: Only of this project.
        state: Only in this state, such as DONE.
        group: Only of this group.
        label: Only with this label, as NAME=VALUE; given several times, with all of them.
        since: Handed in then or later: a time with its zone, or a span ago, such as 30d.
        until: Handed in before then.
        programs: Compile each document of an archive again, to have the program in it.
    """
    if not (archive or jobs or events or results):
        raise InputError("say what is to be written: --archive, --jobs, --events or --results, each with a file")
    if state and state.upper() not in State.__members__:
        raise BadName(f"{echo(state)} is no state; there are: {', '.join(State)}")
    begin, end = window_of(since, until, clock.now(), dashes="--")
    query = Query(
        everything=True,
        with_hidden=True,
        backend=backend,
        user=one_spelling(user),
        project=one_spelling(project),
        states=frozenset({State(state.upper())}) if state else frozenset(),
        group=group,
        labels=tuple(labels_said(label or []).items()),
        since=begin,
        until=end,
    )
    if job_ids and query != Query(everything=True, with_hidden=True):
        raise InputError("name jobs, or say to which all of this applies, not both")
    services = existing()
    wanted = [services.log.id_of(each) for each in job_ids]
    said: dict[str, Any] = {}
    lost: dict[str, str] = {}
    named: list[tuple[What, Path | None]] = [("jobs", jobs), ("events", events), ("results", results)]
    tables = {what: path for what, path in named if path}
    if tables:
        said |= _write_tables(services, tables, _pages(services, wanted, query), lost)
    left_out = [*lost.values()]
    if archive:
        ids = [job.job_id for page in _pages(services, wanted, query) for job in page]
        if not ids:
            raise BadName("an archive of no job proves nothing: none is as the options say")
        manifest = write_archive(services, ids, archive, with_programs=programs)
        said["archive"] = {"file": str(archive), "jobs": len(manifest.jobs), "members": len(manifest.members)}
        missing = [(job_id, *each) for job_id, job in manifest.jobs.items() for each in job.left_out.items()]
        left_out += [
            f"the {what} of {job_id}: {why}"
            for job_id, what, why in missing
            if why not in (NEVER_COMPILED, NOT_ASKED_FOR)
        ]
    print_output(said | {"left_out": left_out}, lambda: _show(said), as_json=as_json)
    for line in left_out[:SAID]:
        print(f"quledger: left out: {line}", file=sys.stderr)
    if len(left_out) > SAID:
        print(f"quledger: left out: {len(left_out) - SAID} more", file=sys.stderr)
    return 1 if lost else 0


def _pages(services: Services, wanted: list[str], query: Query) -> Iterator[list[Job]]:
    """Yield the jobs, some at a time."""
    if wanted:
        for start in range(0, len(wanted), PAGE):
            yield [services.log.get(job_id) for job_id in wanted[start : start + PAGE]]
        return
    cursor = ""
    while True:
        page = job_lists.page(services.log.engine, query, limit=PAGE, cursor=cursor)
        yield page.jobs
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


def _write_tables(
    services: Services, tables: dict["What", Path], pages: Iterator[list[Job]], left_out: dict[str, str]
) -> dict[str, Any]:
    """Write the files and return how many rows each has; results that cannot be read are named in `left_out`."""
    from deployments import parquet  # noqa: PLC0415 - pyarrow takes a second to import
    from deployments.export_rows import rows_of  # noqa: PLC0415 - as above

    rows = dict.fromkeys(tables, 0)
    with contextlib.ExitStack() as stack:
        writers = {what: stack.enter_context(parquet.writing(path, what)) for what, path in tables.items()}
        for jobs in pages:
            for what, writer in writers.items():
                found = [*rows_of(services, what, jobs, left_out)]
                parquet.write(writer, found)
                rows[what] += len(found)
    return {what: {"file": str(path), "rows": rows[what]} for what, path in tables.items()}


def _show(said: dict[str, Any]) -> None:
    for what, value in said.items():
        file = printable(value["file"])
        if what == "archive":
            print(f"{file}: {count_of(value['jobs'], 'job')}; quledger verify-archive checks it")
        else:
            print(f"{file}: {count_of(value['rows'], 'row')} of {what}")
