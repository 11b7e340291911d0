"""`quledger db`: the database is upgraded, looked at, copied and asked, on SQLite and PostgreSQL."""

import contextlib
import io
import json
import os
import re
import sqlite3
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from storage.log import upkeep
from storage.log.console import BadQuery, ask
from storage.log.database import HEAD, reading
from tests.contract.conftest import Houses
from tests.contract.databases import Databases, on
from tests.contract.dump import dump
from tests.contract.log_fixture import LogFixture
from tests.postgres import Server
from tests.program import Program


@pytest.fixture
def program(
    tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Program:
    """The command line over a log with one job."""
    lab = LogFixture(tmp_path, databases.open(url := databases.new(tmp_path)))
    lab.submit("first")
    lab.log.engine.dispose()
    monkeypatch.setenv("QULEDGER_DATABASE", url)
    return Program(tmp_path / "home", capsys)


ENDLESS = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


def test_a_statement_that_does_not_end_is_ended(program: Program) -> None:
    """Whoever writes would wait for it; the next one is asked as ever."""
    begun = time.monotonic()
    said = program.refused("db", "shell", ENDLESS, "--seconds", "0.3")
    assert "the statement was ended after 0.3 s; --seconds says how many it may take" in said
    assert time.monotonic() - begun < 30.0
    refused = program.refused("db", "shell", f"CREATE TABLE more AS {ENDLESS}", "--write", "--seconds", "0.3")
    assert "was ended after 0.3 s" in refused
    for seconds in ("0.3", "0", "1e300"):
        assert "1 row" in program.said("db", "shell", "SELECT 1", "--seconds", seconds)
    for number in ("-1", "nan", "inf"):
        assert "--seconds" in program.refused("db", "shell", "SELECT 1", f"--seconds={number}")


def failed(program: Program, *arguments: str) -> tuple[int, str]:
    """Return the exit code of a call, and what it said."""
    code, _, said = program(*arguments)
    return code, said


def test_a_database_that_is_as_it_should_be(program: Program) -> None:
    """It stands at the newest version, is whole, and an upgrade does nothing."""
    assert program.json("db", "current") == {"version": HEAD, "needed": HEAD}
    assert program.json("db", "upgrade") == {"before": HEAD, "version": HEAD}
    assert program.json("db", "check") == {"version": HEAD, "faults": []}
    assert program.said("db", "check") == f"checked at version {HEAD}: no faults\n"


def test_what_is_not_as_it_should_be_is_named(log_fixtures: Houses, tmp_path: Path) -> None:
    """A missing trigger, index or column, and another version."""
    engine = log_fixtures(tmp_path).log.engine
    of_event = "" if engine.dialect.name == "sqlite" else " ON control_event"
    trigger = "control_event_no_update" if engine.dialect.name == "sqlite" else "control_event_append_only"
    with engine.begin() as connection:
        for statement in (
            f"DROP TRIGGER {trigger}{of_event}",
            "DROP INDEX ix_job_recent",
            "ALTER TABLE probe ADD COLUMN mine TEXT",
            "CREATE TABLE somebody_elses (a INTEGER)",
        ):
            connection.execute(text(statement))
    assert sorted(upkeep.faults_of(engine)) == [
        *("the tables differ: add index ix_job_recent", "the tables differ: remove column probe mine"),
        f"the trigger {trigger} is missing",
    ]
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0005'"))
    assert upkeep.faults_of(engine) == [f"it is of version 0005, and this Quledger needs {HEAD}: `quledger db upgrade`"]


def test_every_trigger_is_looked_for(log_fixtures: Houses, tmp_path: Path) -> None:
    """The list of those that have to be there is the one of a new database."""
    engine = log_fixtures(tmp_path).log.engine
    with reading(engine) as connection:
        assert (
            set(connection.execute(upkeep._NAMES[engine.dialect.name]).scalars())
            == upkeep.TRIGGERS[engine.dialect.name]
        )


@on("sqlite")
def test_a_copy_is_made_while_somebody_writes(program: Program, tmp_path: Path) -> None:
    """It is the log of one moment, whole, for its owner alone; a second one is put beside it, and older ones go."""
    path = Path(os.environ["QULEDGER_DATABASE"].removeprefix("sqlite:///"))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE job SET priority = 7")
        made = program.json("db", "backup")
    copy = Path(made["file"])
    assert (made["events"], made["deleted"], copy.parent) == (1, [], tmp_path / "home" / "backups")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in copy.parent.iterdir()] == [copy.name]
    with program.services() as services:
        assert b"".join(dump(services.log.engine)) == b"".join(dump(upkeep.engine_of(f"sqlite:///{copy}")))
    for name in ("quledger-20200101T000000Z.db", "mine.db"):
        (copy.parent / name).write_bytes(b"")
    again = program.json("db", "backup", "--keep", "2")
    assert [Path(each).name for each in again["deleted"]] == ["quledger-20200101T000000Z.db"]
    assert {each.name for each in copy.parent.glob("*.db")} == {copy.name, Path(again["file"]).name, "mine.db"}


@on("sqlite")
def test_two_copies_at_one_moment(program: Program, tmp_path: Path) -> None:
    """Copies made in the same second stand beside each other; one that another process is at work on is left alone."""
    url, folder = os.environ["QULEDGER_DATABASE"], tmp_path / "copies"
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    made = [upkeep.back_up(url, folder, moment.replace(microsecond=each)).file.name for each in (1, 2)]
    assert made == ["quledger-20260102T030405.000001Z.db", "quledger-20260102T030405.000002Z.db"]
    (folder / ".quledger-20260102T030405.000003Z.db.part").write_bytes(b"half")
    for each in (2, 3):
        with pytest.raises(upkeep.BadTarget):
            upkeep.back_up(url, folder, moment.replace(microsecond=each))
    assert (folder / ".quledger-20260102T030405.000003Z.db.part").read_bytes() == b"half"


@on("sqlite")
def test_a_database_that_is_damaged_gives_no_copy(program: Program, tmp_path: Path) -> None:
    """It is said, and nothing is left behind; so where the copy cannot be put."""
    path = Path(os.environ["QULEDGER_DATABASE"].removeprefix("sqlite:///"))
    assert failed(program, "db", "backup", str(path / "below"))[0] == 2
    with contextlib.closing(sqlite3.connect(path)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'set_aside'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with path.open("rb+") as file:
        file.seek((page - 1) * size)
        file.write(bytes(64))
    code, said = failed(program, "db", "backup")
    assert code == 1
    assert "the copy" in said
    assert list((tmp_path / "home" / "backups").iterdir()) == []


@on("postgresql")
def test_a_copy_of_postgresql(program: Program, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pg_dump` makes it, `pg_restore` reads it back, and it restores to the same log; without them it is refused."""
    server = postgres
    monkeypatch.setenv("PATH", str(server._programs))
    copy = program.json("db", "backup")["file"]
    other = server.create("restored_from_a_copy")
    subprocess.run([server._programs / "pg_restore", "--no-owner", f"--dbname={other}", copy], check=True)
    with program.services() as services:
        engine = upkeep.engine_of(other)
        assert b"".join(dump(engine)) == b"".join(dump(services.log.engine))
        engine.dispose()
    server.drop(other)
    monkeypatch.setenv("PATH", "/nowhere")
    code, said = failed(program, "db", "backup")
    assert (code, "pg_dump is not installed here" in said) == (1, True)
    assert [path.name for path in Path(copy).parent.iterdir()] == [Path(copy).name]


def test_the_shell_reads(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """One statement as an argument, or several from standard input; with its time where that is wanted."""
    found = program.json("db", "shell", "SELECT job_id, seq, NULL FROM job", "--profile")
    assert found.pop("seconds") >= 0
    assert found.pop("rows") == [["first", 0, None]]
    assert found.pop("more") is False
    assert re.fullmatch(r"n\n1\n1 row, [0-9.]+ ms\n", program.said("db", "shell", "SELECT 1 AS n", "--profile"))
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 1;\nSELECT count(*)\nFROM event;\nSELECT 'a%';\nSELECT 2"))
    lines = program.said("db", "shell", "--json").splitlines()
    assert [json.loads(line)["rows"] for line in lines] == [[[1]], [[1]], [["a%"]], [[2]]]
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT nothing;\nSELECT 3;\n"))
    code, said = failed(program, "db", "shell")
    assert (code, "nothing" in said) == (2, True)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM job",
        "UPDATE probe SET name = 'x'",
        "INSERT INTO probe VALUES ('a', 'b')",
        "DROP TABLE probe",
        "CREATE TABLE mine (a INTEGER)",
        "COMMIT; DELETE FROM job",
        "SELECT 1; DELETE FROM job",
        "SET TRANSACTION READ WRITE",
        "PRAGMA writable_schema = 1",
        "ATTACH '/tmp/other.db' AS other",
        "WITH gone AS (DELETE FROM job RETURNING *) SELECT * FROM gone",
        "VACUUM",
        "COMMIT",
        "LOCK TABLE job IN ACCESS EXCLUSIVE MODE",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY (SELECT 1) TO STDOUT",
        "SELECT pg_read_file('/etc/hostname')",
        "SELECT pg_reload_conf()",
        "DO $$ BEGIN PERFORM 1; END $$",
        "",
    ],
)
def test_the_shell_changes_nothing(log_fixtures: Houses, tmp_path: Path, statement: str) -> None:
    """However it is put; and nothing of it stays for the next one."""
    lab = log_fixtures(tmp_path)
    lab.submit("first")
    before = b"".join(dump(lab.log.engine))
    with pytest.raises(BadQuery):
        ask(lab.log.engine, statement)
    for reads in ("SELECT count(*) FROM job", "\n select count(*) FROM job", "WITH x AS (SELECT 1) SELECT * FROM x"):
        assert ask(lab.log.engine, reads).rows == [[1]]
    assert b"".join(dump(lab.log.engine)) == before


def test_the_shell_writes_where_it_is_told_to_and_never_an_event(log_fixtures: Houses, tmp_path: Path) -> None:
    """However it is put: neither an event, nor its table, nor what guards it."""
    lab = log_fixtures(tmp_path)
    lab.submit("first")
    engine = lab.log.engine
    ask(engine, "UPDATE job SET priority = 3", write=True)
    for statement in ("CREATE INDEX mine ON job (priority)", "DROP INDEX mine"):
        ask(engine, statement, write=True)
    assert ask(engine, "SELECT priority FROM job").rows == [[3]]
    before = b"".join(dump(engine))
    sqlite = engine.dialect.name == "sqlite"
    for statement in (
        "UPDATE event SET actor = 'eve'",
        "INSERT INTO event SELECT * FROM event",
        "INSERT INTO set_aside SELECT 1",
        "DROP TABLE control_event",
        "ALTER TABLE event RENAME TO mine",
        *(SQLITE_TRICKS if sqlite else POSTGRES_TRICKS),
    ):
        with pytest.raises(BadQuery):
            ask(engine, statement, write=True)
    assert b"".join(dump(engine)) == before
    assert upkeep.faults_of(engine) == []


SQLITE_TRICKS = (
    "DROP TRIGGER event_no_delete",
    "INSERT OR REPLACE INTO event SELECT * FROM event",
    "CREATE TRIGGER t AFTER UPDATE ON job BEGIN DELETE FROM event; END",
    "PRAGMA writable_schema = 1",
    "ATTACH ':memory:' AS other",
    "COMMIT",
)
POSTGRES_TRICKS = (
    "DROP TRIGGER event_no_delete ON event",
    "ALTER TABLE event DISABLE TRIGGER ALL",
    "TRUNCATE control_event",
    "CREATE OR REPLACE FUNCTION event_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    "DO $$ BEGIN SET LOCAL session_replication_role = replica; UPDATE event SET actor = 'eve'; END $$",
    (
        "DO $$ BEGIN ALTER TABLE event DISABLE TRIGGER ALL; DELETE FROM event; ALTER TABLE event ENABLE TRIGGER ALL;"
        " END $$"
    ),
)


@on("sqlite")
def test_a_database_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str], databases: Databases) -> None:
    """`upgrade` makes it, and the others say so."""
    assert failed(Program(tmp_path / "a", capsys), "db", "current")[0] == 3
    assert failed(Program(tmp_path / "b", capsys), "db", "check")[0] == 1
    assert failed(Program(tmp_path / "c", capsys), "db", "backup")[0] == 1
    program = Program(tmp_path / "d", capsys)
    assert program.json("db", "upgrade") == {"before": None, "version": HEAD}
    assert program.json("db", "check")["faults"] == []
