"""The views made anew from the events."""

from typing import Any

from sqlalchemy import Connection, Engine, insert, text

from models.audit import check_history
from models.errors import LogBroken
from models.job import Job
from models.words import count_of
from storage import layout
from storage.identity.audit import rebuild_views
from storage.log import usage
from storage.log.database import writing
from storage.log.histories import histories, tolerate_corruption
from storage.log.rows import job_row
from storage.log.tables import JobRow, MirrorRow

BATCH = 500
"""Jobs that are written at once; no more than that many are in memory."""

_ADD_JOB = insert(JobRow.__table__)  # type: ignore[attr-defined]
_ADD_CURSOR = insert(MirrorRow.__table__)  # type: ignore[attr-defined]
_RANGE = "job_id > :after AND job_id <= :last"
# Without its lease a running attempt would be taken for dead; the lease of any other attempt counts no more.
_DROP_LEASES = text(
    "DELETE FROM lease WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.job_id = lease.job_id"
    " AND job.attempt = lease.attempt AND job.phase = 'running')"
)


def rebuild(engine: Engine) -> dict[str, int]:
    """Make `job`, `mirror`, `queue`, `usage` and the views of control streams anew from the events, in one transaction.

    How far the mirror has come is a fact about the storage, so a cursor that can be true is taken over; any
    other begins at the beginning, and the next relay writes the job's documents again.

    Returns:
        How many jobs and events of jobs there are, and how many control streams.

    Raises:
        LogBroken: names every job and control stream whose chain is broken; nothing was changed.
    """
    broken: list[str] = []
    batch: list[Job] = []
    events = jobs = 0
    after = ""
    with writing(engine, exclusive=True) as connection, tolerate_corruption(connection):
        # Triggers enter whoever waits, and lower what is there: it may say too much.
        connection.execute(text("DELETE FROM queue"))
        for job_id, rows in histories(connection):
            checked = check_history(job_id, rows)
            if checked.job is None or checked.fault is not None:
                broken.append(f"job {job_id}: {checked.fault}")
                continue
            events += len(rows)
            jobs += 1
            batch.append(checked.job)
            if len(batch) == BATCH:
                after = _replace(connection, batch, after)
                batch = []
        streams, broken_streams = rebuild_views(connection)
        if broken or broken_streams:
            what = f"{count_of(len(broken), 'job')} and {count_of(len(broken_streams), 'control stream')}"
            msg = f"nothing was changed, since {what} have broken histories: " + "; ".join(broken + broken_streams)
            raise LogBroken(msg)
        after = _replace(connection, batch, after)
        for table in ("job", "mirror"):
            connection.execute(text(f"DELETE FROM {table} WHERE job_id > :after"), {"after": after})  # noqa: S608 - our own names
        connection.execute(_DROP_LEASES)
        usage.remake(connection)
    return {"jobs": jobs, "events": events, "streams": streams}


def _replace(connection: Connection, batch: list[Job], after: str) -> str:
    """Put these jobs where the views hold anything between the last batch and the end of this one."""
    if not batch:
        return after
    part = {"after": after, "last": batch[-1].job_id}
    old = connection.execute(text(f"SELECT * FROM mirror WHERE {_RANGE}"), part).mappings()  # noqa: S608 - our own names
    cursors = {row["job_id"]: row for row in old}
    for table in ("job", "mirror"):
        connection.execute(text(f"DELETE FROM {table} WHERE {_RANGE}"), part)  # noqa: S608 - our own names
    connection.execute(_ADD_JOB, [job_row(job) for job in batch])
    connection.execute(_ADD_CURSOR, [_cursor(job, cursors.get(job.job_id)) for job in batch])
    return batch[-1].job_id


def _cursor(job: Job, old: Any) -> dict[str, Any]:
    """Return the job's cursor: the old one where it can be true."""
    seq, place = (old["seq"], old["place"]) if old else (-1, "")
    if not isinstance(seq, int) or not -1 <= seq <= job.seq or place not in ("", *layout.places(job)):
        seq, place = -1, ""
    if seq == job.seq and not layout.may_lie_at(job, place):
        seq = -1
    return {"job_id": job.job_id, "seq": seq, "place": place, "behind": seq < job.seq}
