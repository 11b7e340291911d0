"""What is still to be told to whom: written in the transaction of what it is about, and taken away when it was told.

So nothing that is in the log is left untold, whoever dies when; somebody may be told twice of one thing, by one id.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, and_, bindparam, delete, func, insert, literal, select, update

from models import clock
from models.notices import GIVEN_UP, Notice, of_health
from storage.log.database import reading, writing
from storage.log.dialects import Turn, dialect_of
from storage.log.upkeep_tables import NoticeRow, SubscriberRow, ToldHealthRow

_SUBSCRIBER: Any = SubscriberRow.__table__  # type: ignore[attr-defined]
_NOTICE: Any = NoticeRow.__table__  # type: ignore[attr-defined]
_TOLD: Any = ToldHealthRow.__table__  # type: ignore[attr-defined]

_ADD = insert(_NOTICE).from_select(
    ["notice_id", "subscriber", "content", "noticed_at", "not_before", "attempts"],
    select(
        bindparam("notice_id", type_=_NOTICE.c.notice_id.type),
        _SUBSCRIBER.c.name,
        bindparam("content", type_=_NOTICE.c.content.type),
        bindparam("at", type_=_NOTICE.c.noticed_at.type),
        bindparam("at", type_=_NOTICE.c.not_before.type),
        literal(0),
    ).where(_SUBSCRIBER.c.kinds.like(bindparam("kind"))),
)

HOLD = timedelta(seconds=120)
"""So long whoever has taken a notice has for telling it before another one does."""

AT_ONCE = 5


class Taken(NamedTuple):
    """A notice that is told now; `attempts` counts this one."""

    notice: Notice
    attempts: int


class Untold(NamedTuple):
    """How many notices wait for one subscriber, since when the first, and how often the one was tried that most was."""

    number: int
    since: datetime
    attempts: int


def put(connection: Connection, notice: Notice) -> None:
    """Put a notice down for each subscriber of its kind, in the transaction of what it is about."""
    values = {"notice_id": notice.notice_id, "content": notice.content, "at": clock.to_text(notice.at)}
    connection.execute(_ADD, values | {"kind": f"% {notice.kind} %"})


def subscribe(engine: Engine, subscribers: Mapping[str, Sequence[str]], now: datetime) -> list[str]:
    """Say that these are to be told of these kinds; who was named by nobody for days is told no more.

    Returns:
        Those that are told no more.
    """
    stale = _SUBSCRIBER.c.named_at < clock.to_text(now - GIVEN_UP)
    with writing(engine) as connection:
        for name, kinds in subscribers.items():
            row = {"kinds": f" {' '.join(kinds)} ", "named_at": clock.to_text(now)}
            if not connection.execute(update(_SUBSCRIBER).where(_SUBSCRIBER.c.name == name).values(row)).rowcount:
                connection.execute(insert(_SUBSCRIBER).values(row | {"name": name}))
        gone = list(connection.execute(select(_SUBSCRIBER.c.name).where(stale)).scalars())
        if gone:
            connection.execute(delete(_NOTICE).where(_NOTICE.c.subscriber.in_(gone)))
            connection.execute(delete(_SUBSCRIBER).where(_SUBSCRIBER.c.name.in_(gone)))
    return gone


def take(engine: Engine, subscriber: str, now: datetime) -> list[Taken]:
    """Take a few notices that are due, oldest first; whoever dies with them leaves them to others, after a while."""
    due = and_(_NOTICE.c.subscriber == subscriber, _NOTICE.c.not_before <= clock.to_text(now))
    query = select(_NOTICE).where(due).order_by(_NOTICE.c.noticed_at, _NOTICE.c.notice_id).limit(AT_ONCE)
    with reading(engine) as connection:
        # A glance without the write lock: mostly there is nothing.
        if connection.execute(query.limit(1)).first() is None:
            return []
    with writing(engine) as connection:
        rows = connection.execute(query.with_for_update(skip_locked=True)).mappings().all()
        ids = [row["notice_id"] for row in rows]
        mine = and_(_NOTICE.c.subscriber == subscriber, _NOTICE.c.notice_id.in_(ids))
        held = {"not_before": clock.to_text(now + HOLD), "attempts": _NOTICE.c.attempts + 1}
        if ids:
            connection.execute(update(_NOTICE).where(mine).values(held))
    return [Taken(_notice(dict(row)), row["attempts"] + 1) for row in rows]


def told(engine: Engine, subscriber: str, notice_id: str) -> None:
    """Take a notice away that was told, or was given up."""
    with writing(engine) as connection:
        connection.execute(delete(_NOTICE).where(_is(subscriber, notice_id)))


def put_off(engine: Engine, subscriber: str, notice_id: str, until: datetime) -> None:
    """Have a notice tried again later."""
    with writing(engine) as connection:
        values = {"not_before": clock.to_text(until)}
        connection.execute(update(_NOTICE).where(_is(subscriber, notice_id)).values(values))


def untold(engine: Engine) -> dict[str, Untold]:
    """Return what waits for each subscriber; those for whom nothing waits are left out."""
    query = select(
        _NOTICE.c.subscriber, func.count(), func.min(_NOTICE.c.noticed_at), func.max(_NOTICE.c.attempts)
    ).group_by(_NOTICE.c.subscriber)
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    return {name: Untold(number, datetime.fromisoformat(since), attempts) for name, number, since, attempts in rows}


def put_health(
    engine: Engine, down: dict[str, str], now: datetime, before: Sequence[str] | None = None
) -> Notice | None:
    """Put down that other parts are down than when that was last told; return the notice, None where they are the same.

    Args:
        down: part -> how it is.
        before: what was down when it was last told, where that was not put down here.
    """
    with writing(engine) as connection:
        dialect_of(connection).in_turn(connection, Turn.HEALTH)
        found = connection.execute(select(_TOLD.c.down)).scalar()
        notice = of_health(json.loads(found or "[]") if before is None else before, down, now)
        if notice is None and before is None:
            return None
        row = {"down": json.dumps(sorted(down))}
        if not connection.execute(update(_TOLD).values(row)).rowcount:
            connection.execute(insert(_TOLD).values(row | {"name": "health"}))
        if notice is not None:
            put(connection, notice)
    return notice


def _is(subscriber: str, notice_id: str) -> Any:
    return and_(_NOTICE.c.subscriber == subscriber, _NOTICE.c.notice_id == notice_id)


def _notice(row: Mapping[str, Any]) -> Notice:
    kind = json.loads(row["content"])["type"]
    return Notice(row["notice_id"], kind, datetime.fromisoformat(row["noticed_at"]), row["content"])
