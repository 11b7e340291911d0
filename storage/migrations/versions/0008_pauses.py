"""Which backends are paused, and what says how long jobs took of late."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def words(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of a short text, in the order of its bytes."""
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table, and an index of the events that end a run."""
    op.create_table(
        "pause",
        sa.Column("backend", words(100), primary_key=True),
        sa.Column("drain_down", sa.Boolean, nullable=False),
        sa.Column("reason", words(200), nullable=False),
        sa.Column("until", words(40), nullable=False),
        sa.Column("since", words(40), nullable=False),
        sa.Column("by", words(200), nullable=False),
    )
    ends = sa.text("kind IN ('completed', 'failed')")
    op.create_index("ix_event_ended", "event", ["recorded_at", "job_id"], sqlite_where=ends, postgresql_where=ends)
