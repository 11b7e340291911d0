"""All of a log in a form in which a test compares two of them."""

import json
from collections.abc import Iterator

from sqlalchemy import Engine, text

from storage.log.database import reading
from storage.log.histories import tolerate_corruption


def dump(engine: Engine, *, cursors: bool = True) -> Iterator[bytes]:
    """Yield every row of the log and its views as a line of JSON, in an order of their own: equal logs, equal bytes.

    Args:
        cursors: with the cursors of the mirror. They say how far a storage has come; a log that was just
            restored has none of its own until the first relay.
    """
    tables = {"event": "job_id, seq", "job": "job_id", "usage": "who, day"} | ({"mirror": "job_id"} if cursors else {})
    with reading(engine) as connection, tolerate_corruption(connection):
        for table, order in tables.items():
            query = text(f"SELECT * FROM {table} ORDER BY {order}")
            for row in connection.execute(query.execution_options(yield_per=500)).mappings():
                # SQLite has no truth values but 0 and 1.
                plain = {name: int(value) if isinstance(value, bool) else value for name, value in row.items()}
                yield json.dumps([table, plain], sort_keys=True).encode("ascii") + b"\n"
