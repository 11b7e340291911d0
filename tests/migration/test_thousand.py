"""A log of a thousand jobs of release 0.1.0: upgraded, every history can be read and has the hashes that it had."""

import lzma
import sqlite3
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from models.audit import check_history
from storage.log.database import HEAD, open_database, reading, version_of
from storage.log.event_log import EventLog
from storage.log.upkeep import faults_of
from tests.releases.frozen import FOLDER, FrozenHome

JOBS = 1000
EVENTS = (
    "SELECT job_id, seq, attempt, kind, data, recorded_at, actor, flow_run_id, prev_hash, hash"
    " FROM event ORDER BY job_id, seq"
)


def test_every_history_is_readable_and_every_hash_equal(fresh: Callable[[str], str], tmp_path: Path) -> None:
    """On SQLite and PostgreSQL; each job is what its events say, and the database is whole."""
    (tmp_path / "log.sql").write_bytes(said := lzma.decompress((FOLDER / "0.1.0-thousand.sql.xz").read_bytes()))
    written = sqlite3.connect(":memory:")
    written.executescript(said.decode())
    url = fresh("quledger")
    FrozenHome(tmp_path, "0.1.0").fill(url)
    engine = open_database(url)
    assert (version_of(engine), faults_of(engine)) == (HEAD, [])
    with reading(engine) as connection:
        found = [tuple(row) for row in connection.execute(text(EVENTS))]
    assert found == written.execute(EVENTS).fetchall()
    written.close()

    log = EventLog(engine)
    jobs = {job.job_id: job for job in log.jobs(limit=2 * JOBS)}
    assert len(jobs) == JOBS
    # All events are the same on both; how a server hands one history out does not hang on which it is.
    for job_id, job in list(jobs.items())[:: 1 if url.startswith("sqlite") else 20]:
        events = log.history(job_id)
        checked = check_history(job_id, [event.model_dump(mode="json") for event in events])
        assert (checked.fault, len(checked.events), checked.events[-1].hash) == (None, len(events), job.last_hash)
    engine.dispose()
