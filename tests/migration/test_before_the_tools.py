"""A log as it was at migration 0007, with hundreds of jobs: upgraded, every history and hash is the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, MetaData, delete, insert, select

from models import clock
from models.facts import Submitted
from models.identity.facts import MemberSet, ProjectAdded, UserAdded
from models.identity.streams import project_stream, user_stream
from storage.audit.restore import restore
from storage.audit.verify import Verifier
from storage.identity.directory import Directory
from storage.log import database
from storage.log.database import HEAD, engine_of, open_database, version_of, writing
from storage.log.payloads import Payloads
from storage.log.submissions import Entry, begin_all
from storage.log.upkeep import faults_of
from tests.contract.log_fixture import LogFixture

OLD = "0007"
JOBS = {"sqlite": 250, "postgresql": 100}
"""On SQLite more than a restore adds at once."""

BY_TRIGGER = {"queue"}
"""Tables that fill themselves."""


def filled(folder: Path, engine: Engine) -> LogFixture:
    """Return a log of so many jobs: most wait, some are DONE; of users with projects, tokens and payloads."""
    lab = LogFixture(folder, engine)
    for job_id in ("a-first", "a-second", "a-third"):
        lab.submit(job_id)
        lab.finish(lab.take())
    about = {"backend": "rydberg", "source": "api", "shots": 5}
    facts = [
        Submitted.of(b'{"n":%d}' % number, keep_up_to=99, user="ann", received_at=clock.now(), **about)  # type: ignore[arg-type]
        for number in range(JOBS[engine.dialect.name])
    ]
    begin_all(engine, [Entry(fact, f"job{number:03}") for number, fact in enumerate(facts)], "test")
    directory = Directory(engine)
    directory.append(user_stream("ann"), UserAdded(role="operator"), actor="test")
    directory.append(project_stream("lab"), ProjectAdded(), MemberSet(user="ann", role="member"), actor="test")
    directory.issue(user_stream("ann"), ("read",), actor="test")
    Payloads(engine).put("ann", b"12345")
    lab.relay.update_all()
    return lab


def at_version(url: str, version: str) -> None:
    """Make an empty database of an old version."""
    dialect = database.dialect_named(url.partition("://")[0])
    assert dialect is not None
    engine = dialect.engine(database.make_url(url), 60, existing=False)
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    engine.dispose()


def copy_down(source: Engine, url: str) -> None:
    """Copy into an old database what it has tables and columns for."""
    target, old, new = engine_of(url), MetaData(), MetaData()
    old.reflect(target)
    new.reflect(source)
    with source.connect() as read, writing(target) as connection:
        for table in old.sorted_tables:
            if table.name in BY_TRIGGER | {"alembic_version"}:
                continue
            names = [column.name for column in table.columns]
            rows = read.execute(select(*(new.tables[table.name].c[name] for name in names))).mappings().all()
            if table.name == "log_mark":  # a new database has one of its own
                connection.execute(delete(table))
            if rows:
                connection.execute(insert(table), [dict(row) for row in rows])
    target.dispose()


def rows(engine: Engine, name: str) -> list[tuple[Any, ...]]:
    """Return all rows of a table, in order."""
    metadata = MetaData()
    metadata.reflect(engine, only=[name])
    with engine.connect() as connection:
        return sorted(tuple(row) for row in connection.execute(select(metadata.tables[name])))


def test_it_is_upgraded_verified_and_restored(fresh: Callable[[str], str], tmp_path: Path) -> None:
    """Nothing differs from a log that was never old, and the mirror gives the same one."""
    today = open_database(fresh("today"))
    lab = filled(tmp_path, today)
    at_version(url := fresh("old"), OLD)
    copy_down(today, url)
    before = engine_of(url)
    assert version_of(before) == OLD
    assert len({job for job, *_ in rows(before, "event")}) == JOBS[before.dialect.name] + 3
    before.dispose()

    upgraded = open_database(url)
    assert version_of(upgraded) == HEAD
    assert faults_of(upgraded) == []
    for table in ("event", "control_event", "job", "mirror", "token", "payload"):
        assert rows(upgraded, table) == rows(today, table), table
    assert [str(each) for each in Verifier(upgraded, lab.stores).all()] == []
    again = open_database(fresh("restored"))
    restore(again, lab.storage)
    assert rows(again, "event") == rows(today, "event")
    for engine in (today, upgraded, again):
        engine.dispose()


@pytest.mark.parametrize("version", ["0001", "0002"])
def test_an_empty_database_of_any_version_is_upgraded(version: str, tmp_path: Path) -> None:
    """And is as one that is made today."""
    at_version(url := f"sqlite:///{tmp_path / 'log.db'}", version)
    engine = open_database(url)
    assert faults_of(engine) == []
    engine.dispose()
