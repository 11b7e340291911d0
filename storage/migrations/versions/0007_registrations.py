"""Jobs that have an id and no submission yet, and the secrets that the servers of one log share."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def words(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of a short text, in the order of its bytes."""
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the two tables."""
    op.create_table(
        "registration",
        sa.Column("job_id", words(200), primary_key=True),
        sa.Column("user", words(200), nullable=False),
        sa.Column("registered_at", words(40), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=True),
    )
    op.create_index("ix_registration_user", "registration", ["user"])
    op.create_index("ix_registration_registered_at", "registration", ["registered_at"])
    op.create_table(
        "secret",
        sa.Column("name", words(40), primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
