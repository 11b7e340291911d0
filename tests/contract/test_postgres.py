"""What is PostgreSQL's own: how it is opened, what is said when it cannot be, its query plans, its locks."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, text

from models.errors import BadSetting, LogUnavailable, StorageUnavailable
from storage.audit.restore import restore
from storage.documents.postgres_locks import PostgresJobLocks
from storage.documents.relay import Relay
from storage.log import queue
from storage.log.database import open_database, reading
from storage.log.event_log import EventLog
from storage.log.histories import histories, tolerate_corruption
from storage.log.mirror_cursor import MirrorCursor
from storage.log.no_log import NoLog
from storage.log.postgres import Postgres
from storage.providers.stores import Stores
from storage.schema import SCHEMA
from tests.contract.children import hold_a_lock_of_the_log
from tests.contract.conftest import Houses
from tests.contract.databases import Databases, on
from tests.contract.dump import dump
from tests.contract.log_fixture import LogFixture
from tests.postgres import PASSWORD, Server
from tests.processes import running

ROOT = Path(__file__).parents[2]
pytestmark = [on("postgresql"), pytest.mark.usefixtures("databases")]


@pytest.fixture
def url(tmp_path: Path, databases: Databases) -> str:
    """The URL of an empty log."""
    return databases.new(tmp_path)


@pytest.fixture
def engine(url: str, databases: Databases) -> Engine:
    """An empty log."""
    return databases.open(url)


@pytest.fixture
def locks(engine: Engine) -> Iterator[PostgresJobLocks]:
    """Locks of jobs."""
    locks = PostgresJobLocks(engine, 1)
    yield locks
    locks.close()


def refusal(url: str, *, existing: bool = False) -> str:
    """Return what is said of a database that cannot be opened: one line without the password."""
    with pytest.raises((LogUnavailable, BadSetting)) as refused:
        open_database(url, existing=existing)
    said = str(refused.value)
    assert PASSWORD not in said
    assert said.isprintable()
    return said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (PASSWORD, "wr0ng", "the user or the password is wrong"),
        ("quledger:", "nobody:", "the user or the password is wrong"),
        (f":{PASSWORD}", "", "the server asks for a password"),
        ("/log", "/nosuch", "no such database; make it with createdb"),
        ("127.0.0.1", "nosuch.invalid", "there is no such host"),
        ("?", "?nosuch=1&", "an option in the URL cannot be used"),
        ("postgresql:", "postgresql+psycopg2:", "is not supported; write sqlite:"),
        ("/log", "/?x=", "the database has no name"),
    ],
)
def test_what_cannot_be_opened_is_explained(url: str, old: str, new: str, said: str):
    """One sentence says what to check, and the password is not in it."""
    assert said in refusal((url + "?sslmode=prefer").replace(old, new, 1))


def test_a_server_that_is_not_there_is_named(postgres: Server):
    """Nothing listens at the port, or the port is none."""
    assert "no server answers there" in refusal(postgres.url("x").replace(str(postgres.port), "1"))
    assert "write sqlite:" in refusal(postgres.url("x").replace(str(postgres.port), "port"))


def test_a_missing_driver_is_named(url: str, monkeypatch: pytest.MonkeyPatch):
    """Without psycopg the operator reads how to install it."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "pip install 'psycopg[binary]'" in refusal(url)


def test_an_empty_database_is_no_log(postgres: Server):
    """Where nothing may be made, a database without tables is refused and left empty."""
    url = postgres.create("no_tables")
    try:
        assert "holds no event log" in refusal(url, existing=True)
        with pytest.raises(NoLog, match="holds no event log"):
            open_database(url, begins=False)
        assert postgres.sql(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace", name="no_tables"
        ) == [(0,)]
    finally:
        postgres.drop(url)


def test_a_role_that_may_not_is_told_what_it_lacks(postgres: Server, url: str):
    """A role without CREATE cannot make the tables; one that may only read cannot write."""
    postgres.sql("CREATE ROLE reader LOGIN PASSWORD 'r3ader'")
    empty = postgres.create("not_mine")
    try:
        assert "CREATE on the schema" in refusal(as_reader(empty))
        postgres.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", name=url.rpartition("/")[2])
        engine = open_database(as_reader(url))
        with pytest.raises(LogUnavailable, match="lacks a permission"):
            MirrorCursor(engine).advance("j", 0, "")
        engine.dispose()
        postgres.sql("ALTER ROLE reader SET default_transaction_read_only = on")
        engine = open_database(as_reader(url))
        with pytest.raises(LogUnavailable, match="it may only be read"):
            MirrorCursor(engine).advance("j", 0, "")
        engine.dispose()
    finally:
        postgres.drop(empty)
        postgres.sql("DROP OWNED BY reader", name=url.rpartition("/")[2])
        postgres.sql("DROP ROLE reader")


def as_reader(url: str) -> str:
    """Return the URL for a role that may do little."""
    return url.replace(f"quledger:{PASSWORD}", "reader:r3ader")


def test_a_database_of_few_characters_is_refused(postgres: Server):
    """A log needs every character there is."""
    url = postgres.create("narrow", "ENCODING latin1 LOCALE 'C' TEMPLATE template0")
    try:
        assert "has the encoding LATIN1" in refusal(url)
    finally:
        postgres.drop(url)


def test_a_full_disk_is_named():
    """The server's word for a full disk is put into ours."""
    assert (
        Postgres().words(psycopg.errors.DiskFull("could not extend file"))
        == "the disk of the server is full; free some space"
    )


def test_the_migration_and_the_models_agree(postgres: Server):
    """The tables of the migration are those of the models, with text in the order of its bytes."""
    url = postgres.create("declared")
    engine, declared = create_engine(postgres.migrated), create_engine(url)
    query = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
    columns = (
        "SELECT table_name, column_name, data_type, collation_name, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
    )
    try:
        SCHEMA.create_all(declared)
        with engine.connect() as one, declared.connect() as other:
            assert [
                each
                for each in compare_metadata(MigrationContext.configure(one), SCHEMA)
                if not str(each[0]).endswith("_index")
            ] == []
            for each in (query, columns):
                assert set(one.execute(text(each)).all()) == set(other.execute(text(each)).all())
            collations = {
                row.column_name: row.collation_name for row in one.execute(text(columns)) if row.data_type == "text"
            }
    finally:
        engine.dispose()
        declared.dispose()
        postgres.drop(url)
    # JSON and lists of words, which nobody sorts or compares.
    unordered = {"data", "fold", "limits", "backends", "content", "device_info", "down", "kinds"}
    assert {name for name, collation in collations.items() if collation != "C"} == unordered


def test_the_claim_uses_its_index(engine: Engine):
    """With many jobs the users and the heads of their queues are found by the index, without sorting or scanning."""
    fill = (
        "INSERT INTO job SELECT 'j' || n, 'rydberg', 'u' || n, '',"
        " CASE WHEN n % 5 = 0 THEN 'waiting' ELSE 'over' END, 'DONE', 0, n::text, n::text, '', 0, 0, '{}'"
        " FROM generate_series(1, 20000) AS n"
    )
    of = {"_backend": "rydberg", "_storage": "", "_user": "u5", "now": "2026", "beyond": "2027"}
    with engine.begin() as connection:
        connection.execute(text(fill))
        connection.execute(text("ANALYZE job"))
        connection.execute(text("ANALYZE queue"))
        head = text(f"EXPLAIN (ANALYZE, COSTS OFF) {queue._HEAD}")
        plan = "\n".join(connection.scalars(head, of | {"phase_1": "waiting", "param_1": 1}))
        assert "using ix_job_queue" in plan, plan
        assert "Sort" not in plan
        first = queue._FIRST.text.replace(":without", "('u1')")
        values = {"backend": "rydberg", "beyond": "2027"}
        plan = "\n".join(connection.scalars(text(f"EXPLAIN (ANALYZE, COSTS OFF) {first}"), values))
        assert plan.count("ix_queue_turn") >= 2, plan
        assert "Seq Scan on job" not in plan
        compiled = queue._RUNNING_BY_USER.compile(connection, compile_kwargs={"literal_binds": True})
        plan = "\n".join(connection.scalars(text(f"EXPLAIN {compiled}")))
        assert "using ix_job_running" in plan


def test_histories_are_streamed(log_fixtures: Houses, tmp_path: Path):
    """An audit reads through a cursor of the server, so that only a part of the events is in memory."""
    log_fixture = log_fixtures(tmp_path)
    for number in range(3):
        log_fixture.submit(f"j{number}")
    with reading(log_fixture.log.engine) as connection, tolerate_corruption(connection):
        rows = histories(connection)
        assert next(rows)[0] == "j0"
        assert connection.execute(text("SELECT count(*) FROM pg_cursors")).scalar() == 1
        assert [job_id for job_id, _ in rows] == ["j1", "j2"]


def test_both_kinds_of_database_hold_the_same(log_fixtures: Houses, tmp_path: Path):
    """A log that moves from SQLite to PostgreSQL by way of its mirror is the same to the byte."""
    old, new = LogFixture(tmp_path), log_fixtures(tmp_path / "new")
    for number in range(4):
        old.submit(f"j{number}")
    old.finish(old.claim())
    old.relay.update_all()
    restore(new.log.engine, old.storage)
    Relay(new.log, new.cursor, Stores.single(old.storage)).update_all()
    assert list(dump(new.log.engine)) == list(dump(old.log.engine))
    old.log.engine.dispose()


def test_a_server_that_comes_back_is_used_again(postgres: Server, url: str, engine: Engine):
    """Connections that the server has closed are replaced without a word."""
    log = EventLog(engine)
    log.counts()
    postgres.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{url.rpartition('/')[2]}'")
    assert log.counts() == {}


def test_what_is_committed_is_on_the_disk(postgres: Server, url: str):
    """A server whose habit is not to wait for the disk waits for ours; a lock is not waited for without end."""
    name = url.rpartition("/")[2]
    postgres.sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    engine = open_database(url)
    with reading(engine) as connection:
        shown = [
            connection.execute(text(f"SHOW {each}")).scalar()
            for each in ("synchronous_commit", "lock_timeout", "transaction_isolation")
        ]
    engine.dispose()
    assert shown == ["on", "1min", "repeatable read"]


def test_a_lock_is_held_by_one(locks: PostgresJobLocks, engine: Engine):
    """While one holds a job's lock another waits, in vain if it takes too long; other jobs are free."""
    other = PostgresJobLocks(engine, 0.3)
    with locks.held("j"):
        with other.held("k"):
            pass
        with pytest.raises(StorageUnavailable, match="documents of job j"), other.held("j"):
            pass
    with other.held("j"):
        pass
    other.close()


def test_one_alone_does_what_no_two_should(locks: PostgresJobLocks, engine: Engine):
    """Others are told at once, and may when it has ended; the locks of jobs are others."""
    other = PostgresJobLocks(engine, 1)
    for _ in range(2):
        with locks.alone("j") as first, other.alone("j") as second, other.held("j"):
            assert (first, second) == (True, False)
        with other.alone("j") as third:
            assert third
    other.close()


def test_a_lock_outlives_no_process(url: str, locks: PostgresJobLocks):
    """The lock of a process that is killed is free at once."""
    with (
        running(hold_a_lock_of_the_log, url),
        pytest.raises(StorageUnavailable),
        locks.held("j"),
    ):
        pass
    with locks.held("j"):
        pass


def test_more_locks_than_connections_of_the_log(locks: PostgresJobLocks, engine: Engine):
    """Threads that hold or wait for locks never keep a holder from the log, however many they are."""
    log = EventLog(engine)
    done: list[int] = []

    def work(number: int) -> None:
        for turn in range(5):
            with locks.held(f"j{(number + turn) % 3}"):
                log.counts()
        done.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 40


def test_a_lock_that_the_server_took_away_is_no_error(postgres: Server, url: str, locks: PostgresJobLocks):
    """Whoever loses its session while it holds a lock ends in peace: the log decides what is right."""
    with locks.held("j"):
        postgres.sql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{url.rpartition('/')[2]}'"
        )
        with locks.held("j"):
            pass
    with locks.held("j"):
        pass
