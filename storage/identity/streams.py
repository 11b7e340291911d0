"""Control streams as rows: read whole and folded, and appended to."""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Table, bindparam, insert, select
from sqlalchemy.exc import IntegrityError

from models import clock
from models.errors import AppendConflict, LogBroken, printable
from models.events import GENESIS
from models.identity.control_events import ControlEvent, seal
from models.identity.facts import ControlFact
from models.identity.people import Fold, apply, changes_anything
from models.notices import of_control
from storage.identity import views
from storage.identity.tables import ControlEventRow
from storage.log import outbox

EVENT: Table = ControlEventRow.__table__  # type: ignore[attr-defined]

_ADD = insert(EVENT)
_ONE = select(EVENT).where(EVENT.c.stream == bindparam("stream")).order_by(EVENT.c.seq)
_ALL = select(EVENT).order_by(EVENT.c.stream, EVENT.c.seq).execution_options(yield_per=500)


def fold_of(connection: Connection, stream: str) -> Fold | None:
    """Return the fold of a stream; None where there is no such stream.

    Raises:
        LogBroken: its events tell nothing that can be.
    """
    rows = [dict(row) for row in connection.execute(_ONE, {"stream": stream}).mappings()]
    return _fold(stream, rows) if rows else None


def folds(connection: Connection, kind: str) -> Iterator[Fold]:
    """Yield the folds of all streams of one kind, by name.

    Raises:
        LogBroken: the events of one tell nothing that can be.
    """
    for stream, rows in streams(connection, kind):
        yield _fold(stream, rows)


def streams(connection: Connection, kind: str = "") -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the name of each stream, or of those of one kind, and its events as they are stored, in order."""
    # The next character after the slash ends the range; an index serves it in both databases.
    query = _ALL.where(EVENT.c.stream >= f"{kind}/", EVENT.c.stream < f"{kind}0") if kind else _ALL
    for stream, rows in groupby(connection.execute(query).mappings(), key=lambda row: row["stream"]):
        yield stream, [dict(row) for row in rows]


def add(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Insert events as they were stored elsewhere; the caller has checked them, and brings the views after them."""
    connection.execute(_ADD, rows)


def write(  # noqa: PLR0913 - what a fact is written with
    connection: Connection, stream: str, before: Fold | None, fact: ControlFact, *, actor: str, now: datetime
) -> Fold | None:
    """Append one fact and bring the views after it; one that changes nothing is not written.

    Returns:
        The fold after it.

    Raises:
        ValueError: the fact may not follow; the text says why.
        AppendConflict: another writer was quicker.
    """
    event = seal(
        fact,
        stream=stream,
        seq=before.seq + 1 if before else 0,
        recorded_at=now,
        actor=printable(actor),
        prev_hash=before.last_hash if before else GENESIS,
    )
    after = apply(before, event)
    if not changes_anything(before, after):
        return before
    try:
        connection.execute(_ADD, event.model_dump() | {"recorded_at": clock.to_text(now)})
        views.change(connection, before, after)
    except IntegrityError:
        msg = f"{stream} was changed by another writer"
        raise AppendConflict(msg) from None
    if (notice := of_control(event)) is not None:
        outbox.put(connection, notice)
    return after


def _fold(stream: str, rows: list[dict[str, Any]]) -> Fold:
    fold: Fold | None = None
    try:
        for row in rows:
            fold = apply(fold, ControlEvent.model_validate(row))
    except ValueError:
        fold = None
    if fold is None:
        msg = f"the events of {stream} are damaged; run `quledger verify`"
        raise LogBroken(msg)
    return fold
