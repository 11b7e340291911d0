"""Jobs that are held, how far the log has come, and events that were set aside for those that the mirror holds."""

import hashlib
import uuid

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# An event may go only where it stands set aside, and what is set aside stays.
_SQLITE_GUARD = [
    "DROP TRIGGER event_no_delete",
    (
        "CREATE TRIGGER event_no_delete BEFORE DELETE ON event WHEN NOT EXISTS "
        "(SELECT 1 FROM set_aside WHERE set_aside.job_id = OLD.job_id AND set_aside.hash = OLD.hash) "
        "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
    ),
    *(
        f"CREATE TRIGGER set_aside_no_{verb.lower()} BEFORE {verb} ON set_aside "
        "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
        for verb in ("UPDATE", "DELETE")
    ),
]
_POSTGRES_GUARD = [
    "DROP TRIGGER event_append_only ON event",
    "CREATE TRIGGER event_append_only BEFORE UPDATE OR TRUNCATE ON event EXECUTE FUNCTION event_refuse()",
    (
        "CREATE FUNCTION event_refuse_unless_set_aside() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NOT EXISTS (SELECT 1 FROM gone) OR EXISTS (SELECT 1 FROM gone WHERE NOT EXISTS "
        "(SELECT 1 FROM set_aside WHERE set_aside.job_id = gone.job_id AND set_aside.hash = gone.hash)) THEN "
        "RAISE EXCEPTION 'events are append-only' USING ERRCODE = 'integrity_constraint_violation'; END IF; "
        "RETURN NULL; END $$"
    ),
    (
        "CREATE TRIGGER event_no_delete AFTER DELETE ON event REFERENCING OLD TABLE AS gone "
        "FOR EACH STATEMENT EXECUTE FUNCTION event_refuse_unless_set_aside()"
    ),
    (
        "CREATE TRIGGER set_aside_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON set_aside "
        "EXECUTE FUNCTION event_refuse()"
    ),
]


def words(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of a short text, in the order of its bytes."""
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables; a log that has events is named by the oldest of them, whichever copy of it is upgraded."""
    op.create_table(
        "held",
        sa.Column("job_id", words(200), primary_key=True),
        sa.Column("storage", words(100), nullable=False),
        sa.Column("why", words(500), nullable=False),
        sa.Column("since", words(40), nullable=False),
    )
    op.create_table(
        "log_mark",
        sa.Column("log_id", words(64), primary_key=True),
        sa.Column("mark", sa.Integer, nullable=False),
        sa.Column("marked_at", words(40), nullable=False),
    )
    op.create_table(
        "set_aside",
        sa.Column("job_id", words(200), primary_key=True),
        sa.Column("hash", words(64), primary_key=True),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("kind", words(40), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("recorded_at", words(40), nullable=False),
        sa.Column("actor", words(200), nullable=False),
        sa.Column("flow_run_id", words(40), nullable=True),
        sa.Column("prev_hash", words(64), nullable=False),
        sa.Column("set_aside_at", words(40), nullable=False),
    )
    connection = op.get_bind()
    for statement in _POSTGRES_GUARD if connection.dialect.name == "postgresql" else _SQLITE_GUARD:
        op.execute(statement)
    oldest = connection.execute(
        sa.text(
            "SELECT event.hash FROM job JOIN event ON event.job_id = job.job_id AND event.seq = 0"
            " ORDER BY job.submitted_at, job.job_id LIMIT 1"
        )
    ).scalar()
    log_id = hashlib.sha256(oldest.encode()).hexdigest()[:32] if oldest else uuid.uuid4().hex
    connection.execute(sa.text("INSERT INTO log_mark VALUES (:log_id, 0, '')"), {"log_id": log_id})
