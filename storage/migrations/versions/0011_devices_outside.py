"""Devices that engines outside serve, as they say they stand, and the files that engines bring of jobs under way."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def words(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of a short text, in the order of its bytes."""
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the two tables, and the devices that have tokens already."""
    op.create_table(
        "device",
        sa.Column("name", words(100), primary_key=True),
        sa.Column("status", words(20), nullable=False),
        sa.Column("n_qubits", sa.Integer, nullable=True),
        sa.Column("device_info", sa.Text, nullable=False),
        sa.Column("calibrated_at", words(40), nullable=False),
    )
    op.execute(
        "INSERT INTO device (name, status, device_info, calibrated_at)"
        " SELECT substr(stream, 8), '', '', '' FROM control_event WHERE kind = 'device_added'"
    )
    op.create_table(
        "engine_file",
        sa.Column("job_id", words(200), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("item", words(40), primary_key=True),
        sa.Column("uploaded_at", words(40), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_engine_file_uploaded_at", "engine_file", ["uploaded_at"])
