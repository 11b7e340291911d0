"""The tables of the event log. `event` is the truth; every other table can be made again from it.

Times are ISO 8601 text in UTC with six decimals (`models.clock.to_text`), so that text order is time order in
SQLite and PostgreSQL alike; states are plain strings. Text is in the order of its bytes, in whatever language
the server was set up.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, LargeBinary, String, Text, false, text
from sqlmodel import Field, SQLModel

EVENT_TABLES = ("event", "control_event", "set_aside")
"""Tables whose rows are never changed."""

NOBODY_DUE = "~"
"""A place in line behind every time."""

PROVEN = text("owner <> ''")
PROVEN_SEEN = text("owner <> '' AND NOT hidden")
HIDDEN = text("hidden")
UNPROVEN = text("owner = ''")
IN_A_PROJECT = text("project <> ''")
IN_A_GROUP = text("group_name <> ''")
LABELLED = text("labels <> ''")
OPEN = text("phase <> 'final'")
PROVEN_OPEN = text("phase <> 'final' AND owner <> ''")
ENDED_OTHERWISE = text("ended NOT IN ('', 'DONE')")
PROVEN_ENDED = text("ended <> '' AND owner <> ''")
ENDS_A_RUN = text("kind IN ('completed', 'failed')")
CALIBRATED = text("calibration <> ''")
"""Conditions of indexes that hold a part of `job`; a query that is to use one says it in the same words."""


def words(length: int) -> Any:
    """Return the type of a short text; PostgreSQL, which would enforce the length, is not told it."""
    return String(length).with_variant(Text(collation="C"), "postgresql")


class _EventColumns(SQLModel):
    attempt: int
    kind: str = Field(sa_type=words(40))
    data: str = Field(sa_type=Text)
    recorded_at: str = Field(sa_type=words(40))
    actor: str = Field(sa_type=words(200))
    flow_run_id: str | None = Field(default=None, sa_type=words(40))
    prev_hash: str = Field(sa_type=words(64))


class EventRow(_EventColumns, table=True):
    """One event, as `models.events.Event`. Database triggers refuse UPDATE and DELETE."""

    __tablename__ = "event"

    job_id: str = Field(primary_key=True, sa_type=words(200))
    seq: int = Field(primary_key=True)
    hash: str = Field(sa_type=words(64))


class JobRow(SQLModel, table=True):
    """A view: the fold of a job's events, written in the same transaction as the append.

    Attributes:
        fold: `models.job.Job` as JSON; the other columns repeat what queries need.
        not_before: empty where the job may be claimed at once.
        storage: name of the storage that holds its documents; empty for the first one of the settings.
        owner: the user, where he has proven that the job is his; else empty.
        ended: the final state; empty before. Indexes name it in place of `state`, which changes with every event.
        document_sha256: of the newest document of a job that has an owner; else empty.
        labels: as `storage.log.labels.written`; empty without any.
        group_name: of the group that it belongs to; empty for none.
        calibration: hash of what its result stands on; empty before it has run.
    """

    __tablename__ = "job"

    job_id: str = Field(primary_key=True, sa_type=words(200))
    backend: str = Field(sa_type=words(100))
    user: str = Field(sa_type=words(200))
    project: str = Field(sa_type=words(200))
    phase: str = Field(sa_type=words(10))
    state: str = Field(sa_type=words(20))
    priority: int
    received_at: str = Field(sa_type=words(40))
    submitted_at: str = Field(sa_type=words(40))
    not_before: str = Field(default="", sa_type=words(40))
    attempt: int
    seq: int
    fold: str = Field(sa_column=Column(Text, nullable=False))
    storage: str = Field(default="", sa_type=words(100), sa_column_kwargs={"server_default": ""})
    owner: str = Field(default="", sa_type=words(200), sa_column_kwargs={"server_default": ""})
    hidden: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    ended: str = Field(default="", sa_type=words(20), sa_column_kwargs={"server_default": ""})
    document_sha256: str = Field(default="", sa_type=words(64), sa_column_kwargs={"server_default": ""})
    labels: str = Field(default="", sa_type=words(2100), sa_column_kwargs={"server_default": ""})
    group_name: str = Field(default="", sa_type=words(100), sa_column_kwargs={"server_default": ""})
    calibration: str = Field(default="", sa_type=words(64), sa_column_kwargs={"server_default": ""})


class QueueRow(SQLModel, table=True):
    """A user with waiting jobs: none of them that may be claimed comes before this place in line.

    It may say less than is true, never more; see `storage.log.queue`. Triggers on `job` and `held` lower it.

    Attributes:
        received_at: of the head of the queue, or before that; `NOBODY_DUE` while none may be claimed.
        job_id: of that job.
        again_at: when the next of the jobs may be claimed that pause; empty where none does.
    """

    __tablename__ = "queue"

    backend: str = Field(primary_key=True, sa_type=words(100))
    storage: str = Field(primary_key=True, sa_type=words(100))
    user: str = Field(primary_key=True, sa_type=words(200))
    received_at: str = Field(sa_type=words(40))
    job_id: str = Field(sa_type=words(200))
    again_at: str = Field(sa_type=words(40))


class LeaseRow(SQLModel, table=True):
    """The newest heartbeat of a running attempt. Not history: without a row, the claim's own lease counts."""

    __tablename__ = "lease"

    job_id: str = Field(primary_key=True, sa_type=words(200))
    attempt: int
    lease_until: str = Field(sa_type=words(40))


class MirrorRow(SQLModel, table=True):
    """How far a job's documents in the storage follow its events.

    Attributes:
        seq: of the last event that was mirrored; -1 before the first.
        place: where the job document lies below the storage's root; empty where that is not known.
        behind: whether events wait to be mirrored.
    """

    __tablename__ = "mirror"

    job_id: str = Field(primary_key=True, sa_type=words(200))
    seq: int = -1
    place: str = Field(default="", sa_type=words(500))
    behind: bool = True


class HeldRow(SQLModel, table=True):
    """A job with which nothing is done, since its mirrored history is no part of the log's. It need not be in the log.

    Attributes:
        why: in what they differ, one clause.
    """

    __tablename__ = "held"

    job_id: str = Field(primary_key=True, sa_type=words(200))
    storage: str = Field(sa_type=words(100))
    why: str = Field(sa_type=words(500))
    since: str = Field(sa_type=words(40))


NOT_HELD = text("NOT EXISTS (SELECT 1 FROM held WHERE held.job_id = job.job_id)")
"""Condition on a row of `job`: nothing is done with a job that is held."""


class PauseRow(SQLModel, table=True):
    """A view of the control streams of backends: `models.pauses.Pause`, also one that is over by itself.

    Attributes:
        until: empty where somebody has to resume.
    """

    __tablename__ = "pause"

    backend: str = Field(primary_key=True, sa_type=words(100))
    drain_down: bool
    reason: str = Field(sa_type=words(200))
    until: str = Field(sa_type=words(40))
    since: str = Field(sa_type=words(40))
    by: str = Field(sa_type=words(200))


NOT_PAUSED = text(
    "NOT EXISTS (SELECT 1 FROM pause WHERE pause.backend = queue.backend AND (until = '' OR until > :now))"
)
"""Condition on a row of `queue`: something of its backend may begin."""


class UsageRow(SQLModel, table=True):
    """A view: what the jobs of one user or project have used on one day, of jobs that have an owner alone.

    Attributes:
        who: `user/NAME` or `project/NAME`.
        day: as YYYY-MM-DD in UTC; empty for all days together.
        bytes: of documents.
    """

    __tablename__ = "usage"

    who: str = Field(primary_key=True, sa_type=words(210))
    day: str = Field(primary_key=True, sa_type=words(10))
    jobs: int = Field(sa_type=BigInteger)
    shots: int = Field(sa_type=BigInteger)
    microseconds: int = Field(sa_type=BigInteger)
    bytes: int = Field(sa_type=BigInteger)


class PayloadRow(SQLModel, table=True):
    """A document that a user keeps here for his jobs, by the hash of its bytes."""

    __tablename__ = "payload"

    owner: str = Field(primary_key=True, sa_type=words(200))
    sha256: str = Field(primary_key=True, sa_type=words(64))
    size: int = Field(sa_type=BigInteger)
    created_at: str = Field(sa_type=words(40))
    content: bytes = Field(sa_type=LargeBinary)


class LogMarkRow(SQLModel, table=True):
    """The one row that says which log this is, and how far it has come; see `storage.documents.marks`."""

    __tablename__ = "log_mark"

    log_id: str = Field(primary_key=True, sa_type=words(64))
    mark: int
    marked_at: str = Field(sa_type=words(40))


class SetAsideRow(_EventColumns, table=True):
    """An event that a restore took out of a history, because the mirror had gone another way; kept for ever."""

    __tablename__ = "set_aside"

    job_id: str = Field(primary_key=True, sa_type=words(200))
    hash: str = Field(primary_key=True, sa_type=words(64))
    seq: int
    set_aside_at: str = Field(sa_type=words(40))
