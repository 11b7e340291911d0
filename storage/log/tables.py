"""The tables of the event log. `event` is the truth; every other table can be made again from it.

Times are ISO 8601 text in UTC with six decimals (`models.clock.to_text`), so that text order is time order in
SQLite and PostgreSQL alike; states are plain strings. Text is in the order of its bytes, in whatever language
the server was set up.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)

METADATA = MetaData()
"""What the tables belong to; `storage.schema` has all of them."""

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


def _envelope() -> Iterator[Column[Any]]:
    """Yield the columns that two tables of events share."""
    yield Column("attempt", Integer, nullable=False)
    yield Column("kind", words(40), nullable=False)
    yield Column("data", Text, nullable=False)
    yield Column("recorded_at", words(40), nullable=False)
    yield Column("actor", words(200), nullable=False)
    yield Column("flow_run_id", words(40))
    yield Column("prev_hash", words(64), nullable=False)


EVENT = Table(
    "event",
    METADATA,
    *_envelope(),
    Column("job_id", words(200), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("hash", words(64), nullable=False),
)
"""One event, as `models.events.Event`. Database triggers refuse UPDATE and DELETE."""


JOB = Table(
    "job",
    METADATA,
    Column("job_id", words(200), primary_key=True),
    Column("backend", words(100), nullable=False),
    Column("user", words(200), nullable=False),
    Column("project", words(200), nullable=False),
    Column("phase", words(10), nullable=False),
    Column("state", words(20), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("received_at", words(40), nullable=False),
    Column("submitted_at", words(40), nullable=False),
    Column("not_before", words(40), nullable=False, default=""),
    Column("attempt", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("fold", Text, nullable=False),
    Column("storage", words(100), nullable=False, default="", server_default=""),
    Column("owner", words(200), nullable=False, default="", server_default=""),
    Column("hidden", Boolean, nullable=False, default=False, server_default=false()),
    Column("ended", words(20), nullable=False, default="", server_default=""),
    Column("document_sha256", words(64), nullable=False, default="", server_default=""),
    Column("labels", words(2100), nullable=False, default="", server_default=""),
    Column("group_name", words(100), nullable=False, default="", server_default=""),
    Column("calibration", words(64), nullable=False, default="", server_default=""),
)
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


QUEUE = Table(
    "queue",
    METADATA,
    Column("backend", words(100), primary_key=True),
    Column("storage", words(100), primary_key=True),
    Column("user", words(200), primary_key=True),
    Column("received_at", words(40), nullable=False),
    Column("job_id", words(200), nullable=False),
    Column("again_at", words(40), nullable=False),
)
"""A user with waiting jobs: none of them that may be claimed comes before this place in line.

It may say less than is true, never more; see `storage.log.queue`. Triggers on `job` and `held` lower it.

Attributes:
    received_at: of the head of the queue, or before that; `NOBODY_DUE` while none may be claimed.
    job_id: of that job.
    again_at: when the next of the jobs may be claimed that pause; empty where none does.
"""


LEASE = Table(
    "lease",
    METADATA,
    Column("job_id", words(200), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("lease_until", words(40), nullable=False),
)
"""The newest heartbeat of a running attempt. Not history: without a row, the claim's own lease counts."""


MIRROR = Table(
    "mirror",
    METADATA,
    Column("job_id", words(200), primary_key=True),
    Column("seq", Integer, nullable=False, default=-1),
    Column("place", words(500), nullable=False, default=""),
    Column("behind", Boolean, nullable=False, default=True),
)
"""How far a job's documents in the storage follow its events.

Attributes:
    seq: of the last event that was mirrored; -1 before the first.
    place: where the job document lies below the storage's root; empty where that is not known.
    behind: whether events wait to be mirrored.
"""


HELD = Table(
    "held",
    METADATA,
    Column("job_id", words(200), primary_key=True),
    Column("storage", words(100), nullable=False),
    Column("why", words(500), nullable=False),
    Column("since", words(40), nullable=False),
)
"""A job with which nothing is done, since its mirrored history is no part of the log's. It need not be in the log.

Attributes:
    why: in what they differ, one clause.
"""


NOT_HELD = text("NOT EXISTS (SELECT 1 FROM held WHERE held.job_id = job.job_id)")
"""Condition on a row of `job`: nothing is done with a job that is held."""


PAUSE = Table(
    "pause",
    METADATA,
    Column("backend", words(100), primary_key=True),
    Column("drain_down", Boolean, nullable=False),
    Column("reason", words(200), nullable=False),
    Column("until", words(40), nullable=False),
    Column("since", words(40), nullable=False),
    Column("by", words(200), nullable=False),
)
"""A view of the control streams of backends: `models.pauses.Pause`, also one that is over by itself.

Attributes:
    until: empty where somebody has to resume.
"""


NOT_PAUSED = text(
    "NOT EXISTS (SELECT 1 FROM pause WHERE pause.backend = queue.backend AND (until = '' OR until > :now))"
)
"""Condition on a row of `queue`: something of its backend may begin."""


USAGE = Table(
    "usage",
    METADATA,
    Column("who", words(210), primary_key=True),
    Column("day", words(10), primary_key=True),
    Column("jobs", BigInteger, nullable=False),
    Column("shots", BigInteger, nullable=False),
    Column("microseconds", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)
"""A view: what the jobs of one user or project have used on one day, of jobs that have an owner alone.

Attributes:
    who: `user/NAME` or `project/NAME`.
    day: as YYYY-MM-DD in UTC; empty for all days together.
    bytes: of documents.
"""


PAYLOAD = Table(
    "payload",
    METADATA,
    Column("owner", words(200), primary_key=True),
    Column("sha256", words(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("created_at", words(40), nullable=False),
    Column("content", LargeBinary, nullable=False),
)
"""A document that a user keeps here for his jobs, by the hash of its bytes."""


LOG_MARK = Table(
    "log_mark",
    METADATA,
    Column("log_id", words(64), primary_key=True),
    Column("mark", Integer, nullable=False),
    Column("marked_at", words(40), nullable=False),
)
"""The one row that says which log this is, and how far it has come; see `storage.documents.marks`."""


SET_ASIDE = Table(
    "set_aside",
    METADATA,
    *_envelope(),
    Column("job_id", words(200), primary_key=True),
    Column("hash", words(64), primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("set_aside_at", words(40), nullable=False),
)
"""An event that a restore took out of a history, because the mirror had gone another way; kept for ever."""
