"""Signs of life of drains, a row to try the database with, and what is still to be told to whom."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def words(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of a short text, in the order of its bytes."""
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the five tables."""
    op.create_table(
        "drain",
        sa.Column("worker", words(200), primary_key=True),
        sa.Column("began_at", words(40), nullable=False),
        sa.Column("seen_at", words(40), nullable=False),
        sa.Column("every", sa.Float, nullable=False),
        sa.Column("backends", sa.Text, nullable=False),
        sa.Column("prefect", words(500), nullable=False),
    )
    op.create_table(
        "probe",
        sa.Column("name", words(40), primary_key=True),
        sa.Column("written_at", words(40), nullable=False),
    )
    op.create_table(
        "subscriber",
        sa.Column("name", words(40), primary_key=True),
        sa.Column("kinds", sa.Text, nullable=False),
        sa.Column("named_at", words(40), nullable=False),
    )
    op.create_table(
        "told_health",
        sa.Column("name", words(40), primary_key=True),
        sa.Column("down", sa.Text, nullable=False),
    )
    op.create_table(
        "notice",
        sa.Column("notice_id", words(40), primary_key=True),
        sa.Column("subscriber", words(40), primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("noticed_at", words(40), nullable=False),
        sa.Column("not_before", words(40), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
    )
    op.create_index("ix_notice_due", "notice", ["subscriber", "not_before", "noticed_at"])
