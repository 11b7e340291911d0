"""Whose a job is where that is proven, lists of his jobs, what they use, and the payloads that he keeps."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_IN_TIME = ["submitted_at", "job_id"]
_PROVEN = "owner <> ''"
_OPEN = "phase <> 'final'"
_ENDED_OTHERWISE = "ended NOT IN ('', 'DONE')"
_INDEXES = {
    "ix_job_owner": (["owner", *_IN_TIME], f"{_PROVEN} AND NOT hidden"),
    "ix_job_hidden": (["owner", *_IN_TIME], "hidden"),
    "ix_job_user": (["user", *_IN_TIME], "owner = ''"),
    "ix_job_project": (["project", *_IN_TIME], "project <> ''"),
    "ix_job_open": (["phase", *_IN_TIME], _OPEN),
    "ix_job_open_owner": (["owner", "phase", *_IN_TIME], f"{_OPEN} AND {_PROVEN}"),
    "ix_job_open_project": (["project", "phase", *_IN_TIME], f"{_OPEN} AND {_PROVEN}"),
    "ix_job_ended": (["ended", *_IN_TIME], _ENDED_OTHERWISE),
    "ix_job_ended_owner": (["owner", "ended", *_IN_TIME], f"ended <> '' AND {_PROVEN}"),
    "ix_job_document": (["owner", "document_sha256"], _PROVEN),
}


def words(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of a short text, in the order of its bytes."""
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add columns, indexes and tables; nobody has proven that a job is his so far, and none is hidden."""
    op.add_column("job", sa.Column("owner", words(200), nullable=False, server_default=""))
    op.add_column("job", sa.Column("hidden", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("job", sa.Column("ended", words(20), nullable=False, server_default=""))
    op.add_column("job", sa.Column("document_sha256", words(64), nullable=False, server_default=""))
    op.execute("UPDATE job SET ended = state WHERE phase = 'final'")
    for name, (columns, where) in _INDEXES.items():
        op.create_index(name, "job", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_table(
        "usage",
        sa.Column("who", words(210), primary_key=True),
        sa.Column("day", words(10), primary_key=True),
        sa.Column("jobs", sa.BigInteger, nullable=False),
        sa.Column("shots", sa.BigInteger, nullable=False),
        sa.Column("microseconds", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "payload",
        sa.Column("owner", words(200), primary_key=True),
        sa.Column("sha256", words(64), primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_at", words(40), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
