"""Old jobs for the benchmarks: Prefect's rows of one real run, copied with ids of their own, and as many in our log."""

import contextlib
import json
import re
import sqlite3
import sys
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from contestants import Ours
from log_scale import fill

BATCH = 1000
_ID = re.compile(r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")
_OF_RUN = {
    "flow_run": "id = :run",
    "flow_run_state": "flow_run_id = :run",
    "task_run": "flow_run_id = :run",
    "task_run_state": "task_run_id IN (SELECT id FROM task_run WHERE flow_run_id = :run)",
    "log": "flow_run_id = :run",
    "artifact": "flow_run_id = :run",
    "events": "id IN (SELECT event_id FROM event_resources WHERE resource_id = 'prefect.flow-run.' || :run)",
    "event_resources": """
        event_id IN (SELECT event_id FROM event_resources WHERE resource_id = 'prefect.flow-run.' || :run)
    """,
}
"""Where the rows of one run lie, in the order in which they may be inserted."""


def old_jobs(contestant: Ours, number: int) -> None:
    """Put so many jobs into Prefect's database (SQLite), copied from the newest one, and into our log."""
    path = contestant.home / "prefect" / "prefect.db"
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as connection:
        # The newest state belongs to a run and the run to the state.
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        # Ids are random: without room for the indexes every row would cost a page of each.
        connection.execute("PRAGMA cache_size=-2000000")
        connection.execute("PRAGMA wal_autocheckpoint=200000")
        connection.row_factory = sqlite3.Row
        copies = _Copies(connection)
        for start in range(0, number, BATCH):
            with connection:
                for _ in range(min(BATCH, number - start)):
                    copies.add()
        connection.execute("ANALYZE")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    fill(f"sqlite:///{contestant.home / 'quledger.db'}", range(number))


class _Copies:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        ((run,),) = connection.execute(
            "SELECT id FROM flow_run WHERE flow_id IN (SELECT id FROM flow WHERE name = 'run-job') LIMIT 1"
        )
        rows: dict[str, list[dict[str, Any]]] = {
            table: [dict(row) for row in connection.execute(f"SELECT * FROM {table} WHERE {where}", {"run": run})]  # noqa: S608
            for table, where in _OF_RUN.items()
        }
        own = {row["id"] for part in rows.values() for row in part}
        self._pieces = _ID.split(json.dumps(rows))
        self._own = [piece in own for piece in self._pieces]
        self._inserts = {
            table: f"INSERT INTO {table} VALUES ({', '.join(f':{name}' for name in part[0])})"  # noqa: S608 - our own
            for table, part in rows.items()
            if part
        }

    def add(self) -> None:
        """Insert one copy."""
        new: dict[str, str] = {}
        text = "".join(
            new.setdefault(piece, str(uuid.uuid4())) if own else piece
            for piece, own in zip(self._pieces, self._own, strict=True)
        )
        rows = json.loads(text)
        for run in rows["flow_run"]:
            run["idempotency_key"] = run["id"]  # one for each run of a flow
        for table, sql in self._inserts.items():
            self._connection.executemany(sql, rows[table])
