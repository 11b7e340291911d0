"""All tables of the database with their indexes: what the migrations make.

Whoever only reads and writes rows imports the tables alone: indexes with a condition load what SQLAlchemy knows of
PostgreSQL, also where the log is on SQLite.
"""

from sqlalchemy import Index, MetaData, text
from sqlalchemy.sql.elements import TextClause
from sqlmodel import SQLModel

from storage.identity import tables as identity
from storage.log import tables as log
from storage.log import upkeep_tables as upkeep
from storage.uploads import tables as uploads

SCHEMA: MetaData = SQLModel.metadata


def _index(
    model: type[SQLModel], name: str, *columns: str, where: TextClause | None = None, unique: bool = False
) -> None:
    table = SCHEMA.tables[str(model.__tablename__)]
    terms = [table.c[column] if column in table.c else text(column) for column in columns]
    Index(name, *terms, unique=unique, sqlite_where=where, postgresql_where=where)


# How long jobs took of late.
_index(log.EventRow, "ix_event_ended", "recorded_at", "job_id", where=log.ENDS_A_RUN)

# The head of each user's queue, in the order of service.
_index(log.JobRow, "ix_job_queue", "phase", "backend", "user", "priority DESC", "received_at", "job_id")
# PostgreSQL would now and then look for waiting jobs in it too, and read all of another backend's.
_JOB = SCHEMA.tables["job"]
Index("ix_job_running", _JOB.c.phase, _JOB.c.user, postgresql_where=text("phase = 'running'"))
_index(log.JobRow, "ix_job_recent", "submitted_at", "job_id")
_index(
    log.JobRow, "ix_job_paused", "backend", "user", "not_before", where=text("phase = 'waiting' AND not_before <> ''")
)
# Lists, newest or oldest first (`storage.log.job_lists`), and what is counted against limits.
_index(log.JobRow, "ix_job_owner", "owner", "submitted_at", "job_id", where=log.PROVEN_SEEN)
_index(log.JobRow, "ix_job_hidden", "owner", "submitted_at", "job_id", where=log.HIDDEN)
_index(log.JobRow, "ix_job_user", "user", "submitted_at", "job_id", where=log.UNPROVEN)
_index(log.JobRow, "ix_job_project", "project", "submitted_at", "job_id", where=log.IN_A_PROJECT)
_index(log.JobRow, "ix_job_group", "group_name", "submitted_at", "job_id", where=log.IN_A_GROUP)
_index(log.JobRow, "ix_job_labelled", "submitted_at", "job_id", "labels", where=log.LABELLED)
_index(log.JobRow, "ix_job_open", "phase", "submitted_at", "job_id", where=log.OPEN)
_index(log.JobRow, "ix_job_open_owner", "owner", "phase", "submitted_at", "job_id", where=log.PROVEN_OPEN)
_index(log.JobRow, "ix_job_open_project", "project", "phase", "submitted_at", "job_id", where=log.PROVEN_OPEN)
_index(log.JobRow, "ix_job_ended", "ended", "submitted_at", "job_id", where=log.ENDED_OTHERWISE)
_index(log.JobRow, "ix_job_ended_owner", "owner", "ended", "submitted_at", "job_id", where=log.PROVEN_ENDED)
_index(log.JobRow, "ix_job_calibration", "calibration", "submitted_at", "job_id", where=log.CALIBRATED)
# What keeps a payload.
_index(log.JobRow, "ix_job_document", "owner", "document_sha256", where=log.PROVEN)

_index(log.QueueRow, "ix_queue_turn", "backend", "storage", "received_at", "job_id", "user")
_index(log.QueueRow, "ix_queue_again", "again_at", where=text("again_at <> ''"))
_index(log.MirrorRow, "ix_mirror_behind", "job_id", where=text("behind"))
_index(upkeep.NoticeRow, "ix_notice_due", "subscriber", "not_before", "noticed_at")

_index(identity.MembershipRow, "ix_membership_user", "user")
_index(identity.NameLinkRow, "ix_name_link_user", "user")
_index(identity.TokenRow, "ix_token_sha256", "sha256", unique=True)
_index(identity.TokenRow, "ix_token_user", "user")
_index(identity.CalibrationRow, "ix_calibration_sha256", "sha256")
_index(identity.CalibrationRow, "ix_calibration_withdrawn", "withdrawn_at", "sha256", where=text("withdrawn_at <> ''"))

_index(uploads.RegistrationRow, "ix_registration_user", "user")
_index(uploads.RegistrationRow, "ix_registration_registered_at", "registered_at")
_index(uploads.EngineFileRow, "ix_engine_file_uploaded_at", "uploaded_at")
