"""Whose turn it is: a row for each user with waiting jobs, so that a claim does not ask for all of them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INTO = 'INSERT INTO queue (backend, storage, "user", received_at, job_id, again_at)'
_LOWER = (
    ' ON CONFLICT (backend, storage, "user") DO UPDATE SET received_at = excluded.received_at, job_id = excluded.job_id'
    " WHERE (excluded.received_at, excluded.job_id) < (queue.received_at, queue.job_id)"
)
_ENTER = f"{_INTO} VALUES (NEW.backend, NEW.storage, NEW.\"user\", NEW.received_at, NEW.job_id, '') {_LOWER}"
_ORDER = ("phase", "not_before", "priority", "received_at", "backend", "storage", '"user"')
"""Whoever writes to a waiting job without changing these holds up no claim: he locks no row of `queue`."""

_OLD, _NEW = (", ".join(f"{row}.{name}" for name in _ORDER) for row in ("OLD", "NEW"))
_ENTER_RELEASED = (
    f"{_INTO} SELECT backend, storage, \"user\", received_at, job_id, '' FROM job"  # noqa: S608 - our own names
    f" WHERE job_id = OLD.job_id AND phase = 'waiting' {_LOWER}"
)
_SQLITE = [
    f"CREATE TRIGGER queue_enter AFTER INSERT ON job WHEN NEW.phase = 'waiting' BEGIN {_ENTER}; END",
    (
        f"CREATE TRIGGER queue_enter_again AFTER UPDATE ON job WHEN NEW.phase = 'waiting' AND ({_OLD}) IS NOT ({_NEW})"
        f" BEGIN {_ENTER}; END"
    ),
    f"CREATE TRIGGER queue_released AFTER DELETE ON held BEGIN {_ENTER_RELEASED}; END",
]
_POSTGRES = [
    f"CREATE FUNCTION queue_enter() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_ENTER}; RETURN NULL; END $$",
    (
        "CREATE TRIGGER queue_enter AFTER INSERT ON job FOR EACH ROW WHEN (NEW.phase = 'waiting')"
        " EXECUTE FUNCTION queue_enter()"
    ),
    (
        "CREATE TRIGGER queue_enter_again AFTER UPDATE ON job FOR EACH ROW"
        f" WHEN (NEW.phase = 'waiting' AND ({_OLD}) IS DISTINCT FROM ({_NEW})) EXECUTE FUNCTION queue_enter()"
    ),
    (
        "CREATE FUNCTION queue_released() RETURNS trigger LANGUAGE plpgsql"
        f" AS $$ BEGIN {_ENTER_RELEASED}; RETURN NULL; END $$"
    ),
    "CREATE TRIGGER queue_released AFTER DELETE ON held FOR EACH ROW EXECUTE FUNCTION queue_released()",
]


def words(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of a short text, in the order of its bytes."""
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table, and fill it with whoever waits."""
    op.create_table(
        "queue",
        sa.Column("backend", words(100), primary_key=True),
        sa.Column("storage", words(100), primary_key=True),
        sa.Column("user", words(200), primary_key=True),
        sa.Column("received_at", words(40), nullable=False),
        sa.Column("job_id", words(200), nullable=False),
        sa.Column("again_at", words(40), nullable=False),
    )
    op.create_index("ix_queue_turn", "queue", ["backend", "storage", "received_at", "job_id", "user"])
    some = sa.text("again_at <> ''")
    op.create_index("ix_queue_again", "queue", ["again_at"], sqlite_where=some, postgresql_where=some)
    paused = sa.text("phase = 'waiting' AND not_before <> ''")
    op.create_index(
        "ix_job_paused", "job", ["backend", "user", "not_before"], sqlite_where=paused, postgresql_where=paused
    )
    op.execute(
        'INSERT INTO queue (backend, storage, "user", received_at, job_id, again_at)'
        " SELECT backend, storage, \"user\", min(received_at), '', '' FROM job WHERE phase = 'waiting' GROUP BY 1, 2, 3"
    )
    for statement in _POSTGRES if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)
