"""Control streams compared with themselves and with their views, and the views made anew."""

from collections.abc import Iterator

from sqlalchemy import Connection, Engine, delete, select

from models.audit import Finding
from models.errors import echo
from models.identity.checking import check_stream
from models.identity.people import Fold
from storage.identity.streams import streams
from storage.identity.views import TOKEN, TOLD_BY_NO_EVENT, VIEWS, Key, Row, add, key_of, rows_of, stream_of
from storage.log.database import reading
from storage.log.dialects import Turn, dialect_of
from storage.log.histories import tolerate_corruption


def control_faults(engine: Engine) -> Iterator[Finding]:
    """Yield what differs of any control stream and of its views; nothing is changed. `job_id` names the stream."""
    with reading(engine) as connection, tolerate_corruption(connection):
        folds, broken = _checked(connection)
        stored = _stored(connection)
    for stream, fault in broken.items():
        yield Finding(job_id=stream, what="chain", message=fault)
    for stream, fold in folds.items():
        for key, row in rows_of(fold).items():
            found = stored.pop(key, None)
            if found is None:
                yield _finding(stream, key, "has no row")
            elif found != row:
                wrong = ", ".join(name for name, value in row.items() if found[name] != value)
                yield _finding(stream, key, f"differs from the events in {wrong}")
    for key, row in stored.items():
        stream = stream_of(key[0], row)
        # With a history that is not true nothing can be compared.
        if stream not in broken:
            yield _finding(stream, key, "has a row that no event accounts for")


def rebuild_views(connection: Connection) -> tuple[int, list[str]]:
    """Make the views of all control streams anew; when a token was last used is kept.

    Returns:
        How many streams there are; and every stream that is broken, after which the transaction must not be committed.
    """
    dialect_of(connection).in_turn(connection, Turn.CONTROL)
    folds, broken = _checked(connection)
    used = dict(connection.execute(select(TOKEN.c.token_id, TOKEN.c[TOLD_BY_NO_EVENT])).all())
    for table in VIEWS:
        connection.execute(delete(table))
    for fold in folds.values():
        for (table, _), row in rows_of(fold).items():
            kept = {TOLD_BY_NO_EVENT: used.get(row["token_id"], "")} if table is TOKEN else {}
            add(connection, table, row | kept)
    return len(folds), [f"{stream}: {fault}" for stream, fault in broken.items()]


def _checked(connection: Connection) -> tuple[dict[str, Fold], dict[str, str]]:
    """Return the folds of all streams that are true, and what is wrong with the others."""
    folds: dict[str, Fold] = {}
    broken: dict[str, str] = {}
    for stream, rows in streams(connection):
        fold, fault = check_stream(stream, rows)
        if fold is None or fault is not None:
            broken[stream] = fault or "it has no events"
        else:
            folds[stream] = fold
    return folds, broken


def _stored(connection: Connection) -> dict[Key, Row]:
    """Return the rows of all views as they stand."""
    rows = [(table, dict(row)) for table in VIEWS for row in connection.execute(select(table)).mappings()]
    for _, row in rows:
        row.pop(TOLD_BY_NO_EVENT, None)
    return {key_of(table, row): row for table, row in rows}


def _finding(stream: str, key: Key, message: str) -> Finding:
    table, values = key
    which = ", ".join(echo(value) for value in values)
    return Finding(job_id=stream, what="view", message=f"`{table.name}` {message} ({which})")
