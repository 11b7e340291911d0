"""Control streams of users, projects and devices, and their views."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SQLITE_GUARD = [
    f"CREATE TRIGGER control_event_no_{verb.lower()} BEFORE {verb} ON control_event "
    "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
    for verb in ("UPDATE", "DELETE")
]
_POSTGRES_GUARD = [
    (
        "CREATE TRIGGER control_event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON control_event "
        "EXECUTE FUNCTION event_refuse()"
    ),
]


def words(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of a short text, in the order of its bytes."""
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables; there were no users before, so they are empty."""
    op.create_table(
        "control_event",
        sa.Column("stream", words(200), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("kind", words(40), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("recorded_at", words(40), nullable=False),
        sa.Column("actor", words(200), nullable=False),
        sa.Column("prev_hash", words(64), nullable=False),
        sa.Column("hash", words(64), nullable=False),
    )
    op.create_table(
        "account",
        sa.Column("name", words(100), primary_key=True),
        sa.Column("role", words(10), nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("added_at", words(40), nullable=False),
        sa.Column("limits", sa.Text, nullable=False),
    )
    op.create_table(
        "project",
        sa.Column("name", words(100), primary_key=True),
        sa.Column("added_at", words(40), nullable=False),
        sa.Column("limits", sa.Text, nullable=False),
    )
    op.create_table(
        "membership",
        sa.Column("project", words(100), primary_key=True),
        sa.Column("user", words(100), primary_key=True),
        sa.Column("role", words(10), nullable=False),
    )
    op.create_index("ix_membership_user", "membership", ["user"])
    op.create_table(
        "name_link",
        sa.Column("name", words(200), primary_key=True),
        sa.Column("user", words(100), nullable=False),
    )
    op.create_index("ix_name_link_user", "name_link", ["user"])
    op.create_table(
        "token",
        sa.Column("token_id", words(20), primary_key=True),
        sa.Column("sha256", words(64), nullable=False),
        sa.Column("user", words(100), nullable=False),
        sa.Column("device", words(100), nullable=False),
        sa.Column("scopes", words(40), nullable=False),
        sa.Column("note", words(200), nullable=False),
        sa.Column("issued_at", words(40), nullable=False),
        sa.Column("expires_at", words(40), nullable=False),
        sa.Column("revoked_at", words(40), nullable=False),
        sa.Column("last_used_at", words(40), nullable=False),
    )
    op.create_index("ix_token_sha256", "token", ["sha256"], unique=True)
    op.create_index("ix_token_user", "token", ["user"])
    for statement in _POSTGRES_GUARD if op.get_bind().dialect.name == "postgresql" else _SQLITE_GUARD:
        op.execute(statement)
