"""`quledger db size` on a log of both databases."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage import layout
from storage.log.sizes import sizes
from tests.contract.databases import Databases
from tests.contract.log_fixture import LogFixture
from tests.program import Program


def test_it_says_what_takes_room(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Of the database, and of the documents of a job that has ended; what came in the first day is a day's."""
    lab = LogFixture(tmp_path, engine := databases.open(url := databases.new(tmp_path)))
    lab.submit("first")
    lab.finish(lab.take())
    lab.submit("second")
    lab.relay.update_all()
    monkeypatch.setenv("QULEDGER_DATABASE", url)
    monkeypatch.setenv("QULEDGER_STORAGE", lab.folder.as_uri())
    found = Program(tmp_path / "home", capsys).json("db", "size")
    paths = [layout.events("rydberg", "first"), layout.finished("rydberg", "first")]
    paths += [layout.status("rydberg", "first"), layout.result("rydberg", "first")]
    told = {name: found[name] for name in ("jobs", "jobs_looked_at", "jobs_a_day", "payload_bytes")}
    assert told == {"jobs": 2, "jobs_looked_at": 1, "jobs_a_day": 2.0, "payload_bytes": 0}
    assert found["storage_bytes_a_job"] == sum((lab.folder / path).stat().st_size for path in paths)
    assert found["database_bytes"] >= 100_000
    assert (found["free_bytes"] is None) == (found["days_left"] is None) == (databases.kind == "postgresql")
    later = sizes(engine, datetime.now(UTC) + timedelta(days=40))
    assert (later.jobs, later.recent_jobs, later.days) == (2, 0, 30.0)
