"""Which backends are paused, as claims and people ask for it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, select

from models import clock
from models.pauses import Pause
from storage.log.database import reading
from storage.log.tables import PauseRow

_PAUSE: Any = PauseRow.__table__  # type: ignore[attr-defined]
_IN_FORCE = select(_PAUSE).where((_PAUSE.c.until == "") | (_PAUSE.c.until > bindparam("now")))


def in_force(connection: Connection, now: datetime) -> dict[str, Pause]:
    """Return the pauses that are not over, by backend."""
    rows = connection.execute(_IN_FORCE, {"now": clock.to_text(now)}).mappings()
    return {row["backend"]: Pause.model_validate({**row, "until": row["until"] or None}) for row in rows}


def not_paused(connection: Connection, backends: Sequence[str], now: datetime) -> list[str]:
    """Return those of the backends of which something may begin."""
    paused = {row.backend for row in connection.execute(_IN_FORCE, {"now": clock.to_text(now)})}
    return [backend for backend in backends if backend not in paused]


def pauses(engine: Engine, now: datetime | None = None) -> dict[str, Pause]:
    """Return the pauses that are not over, by backend; as of now where no time is given."""
    with reading(engine) as connection:
        return in_force(connection, now or clock.now())
