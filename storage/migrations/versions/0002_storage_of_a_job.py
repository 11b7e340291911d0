"""The storage of each job in the view, so that a claim can leave out the jobs of one that is down."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; the jobs so far belong to the first storage of the settings."""
    words = sa.String(100).with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("job", sa.Column("storage", words, nullable=False, server_default=""))
