"""Labels of jobs, and the groups that jobs belong to."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_job_group": (["group_name", "submitted_at", "job_id"], "group_name <> ''"),
    "ix_job_labelled": (["submitted_at", "job_id", "labels"], "labels <> ''"),
}


def words(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of a short text, in the order of its bytes."""
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add columns and indexes; no job has labels or a group so far."""
    op.add_column("job", sa.Column("labels", words(2100), nullable=False, server_default=""))
    op.add_column("job", sa.Column("group_name", words(100), nullable=False, server_default=""))
    for name, (columns, where) in _INDEXES.items():
        op.create_index(name, "job", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
