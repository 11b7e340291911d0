"""The event log, its view of jobs, leases and the mirror's cursor."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SQLITE_GUARD = [
    f"CREATE TRIGGER event_no_{verb.lower()} BEFORE {verb} ON event "
    "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
    for verb in ("UPDATE", "DELETE")
]
_POSTGRES_GUARD = [
    (
        "CREATE FUNCTION event_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'events are append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    ),
    # For the statement, not for each row: what would change no row is refused too.
    "CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event EXECUTE FUNCTION event_refuse()",
]


def words(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of a short text, in the order of its bytes."""
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables, their indexes, and the triggers that keep events as they were written."""
    op.create_table(
        "event",
        sa.Column("job_id", words(200), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("kind", words(40), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("recorded_at", words(40), nullable=False),
        sa.Column("actor", words(200), nullable=False),
        sa.Column("flow_run_id", words(40), nullable=True),
        sa.Column("prev_hash", words(64), nullable=False),
        sa.Column("hash", words(64), nullable=False),
    )
    op.create_table(
        "job",
        sa.Column("job_id", words(200), primary_key=True),
        sa.Column("backend", words(100), nullable=False),
        sa.Column("user", words(200), nullable=False),
        sa.Column("project", words(200), nullable=False),
        sa.Column("phase", words(10), nullable=False),
        sa.Column("state", words(20), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("received_at", words(40), nullable=False),
        sa.Column("submitted_at", words(40), nullable=False),
        sa.Column("not_before", words(40), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("fold", sa.Text, nullable=False),
    )
    op.create_index(
        "ix_job_queue", "job", ["phase", "backend", "user", sa.text("priority DESC"), "received_at", "job_id"]
    )
    op.create_index("ix_job_running", "job", ["phase", "user"], postgresql_where=sa.text("phase = 'running'"))
    op.create_index("ix_job_recent", "job", ["submitted_at", "job_id"])
    op.create_table(
        "lease",
        sa.Column("job_id", words(200), primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("lease_until", words(40), nullable=False),
    )
    op.create_table(
        "mirror",
        sa.Column("job_id", words(200), primary_key=True),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("place", words(500), nullable=False),
        sa.Column("behind", sa.Boolean, nullable=False),
    )
    op.create_index(
        "ix_mirror_behind",
        "mirror",
        ["job_id"],
        sqlite_where=sa.text("behind"),
        postgresql_where=sa.text("behind"),
    )
    for statement in _POSTGRES_GUARD if op.get_bind().dialect.name == "postgresql" else _SQLITE_GUARD:
        op.execute(statement)
