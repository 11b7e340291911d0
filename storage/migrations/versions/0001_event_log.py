"""The event log, its view of jobs, leases and the mirror's cursor."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, their indexes, and the triggers that keep events as they were written."""
    op.create_table(
        "event",
        sa.Column("job_id", sa.String(200), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.String(40), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("flow_run_id", sa.String(40), nullable=True),
        sa.Column("prev_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_table(
        "job",
        sa.Column("job_id", sa.String(200), primary_key=True),
        sa.Column("backend", sa.String(100), nullable=False),
        sa.Column("user", sa.String(200), nullable=False),
        sa.Column("project", sa.String(200), nullable=False),
        sa.Column("phase", sa.String(10), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("received_at", sa.String(40), nullable=False),
        sa.Column("submitted_at", sa.String(40), nullable=False),
        sa.Column("not_before", sa.String(40), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("fold", sa.Text, nullable=False),
    )
    op.create_index(
        "ix_job_queue", "job", ["phase", "backend", "user", sa.text("priority DESC"), "received_at", "job_id"]
    )
    op.create_index("ix_job_running", "job", ["phase", "user"])
    op.create_index("ix_job_recent", "job", ["submitted_at", "job_id"])
    op.create_table(
        "lease",
        sa.Column("job_id", sa.String(200), primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("lease_until", sa.String(40), nullable=False),
    )
    op.create_table(
        "mirror",
        sa.Column("job_id", sa.String(200), primary_key=True),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("place", sa.String(500), nullable=False),
        sa.Column("behind", sa.Boolean, nullable=False),
    )
    op.create_index(
        "ix_mirror_behind",
        "mirror",
        ["job_id"],
        sqlite_where=sa.text("behind"),
        postgresql_where=sa.text("behind"),
    )
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER event_no_{verb.lower()} BEFORE {verb} ON event "
            "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
        )
