"""The ledger of calibrations, and which of them each result stands on."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_KEY = '"backend_config_sha256":"'
"""A text of a user in the JSON of a job has no such quotes: they would be escaped."""


def words(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of a short text, in the order of its bytes."""
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add tables and the column; results so far name the hash of the configuration alone."""
    op.create_table(
        "calibration",
        sa.Column("backend", words(100), primary_key=True),
        sa.Column("sha256", words(64), primary_key=True),
        sa.Column("config_sha256", words(64), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("recorded_at", words(40), nullable=False),
        sa.Column("withdrawn_at", words(40), nullable=False),
        sa.Column("withdrawn_by", words(200), nullable=False),
        sa.Column("reason", words(500), nullable=False),
    )
    op.create_index("ix_calibration_sha256", "calibration", ["sha256"])
    withdrawn = sa.text("withdrawn_at <> ''")
    op.create_index(
        "ix_calibration_withdrawn",
        "calibration",
        ["withdrawn_at", "sha256"],
        sqlite_where=withdrawn,
        postgresql_where=withdrawn,
    )
    op.create_table(
        "calibration_period",
        sa.Column("backend", words(100), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("sha256", words(64), nullable=False),
        sa.Column("since", words(40), nullable=False),
        sa.Column("until", words(40), nullable=False),
    )
    op.add_column("job", sa.Column("calibration", words(64), nullable=False, server_default=""))
    find = "strpos" if op.get_bind().dialect.name == "postgresql" else "instr"
    begins = f"substr(fold, {find}(fold, '{_KEY}') + {len(_KEY)})"
    op.execute(
        f"UPDATE job SET calibration = substr({begins}, 1, {find}({begins}, '\"') - 1)"  # noqa: S608 - our own words
        f" WHERE {find}(fold, '{_KEY}') > 0".replace(":", "\\:")
    )
    standing = sa.text("calibration <> ''")
    op.create_index(
        "ix_job_calibration",
        "job",
        ["calibration", "submitted_at", "job_id"],
        sqlite_where=standing,
        postgresql_where=standing,
    )
