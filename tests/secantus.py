"""A real server that speaks MongoDB's protocol (SecantusDB), as a process of its own, for the tests."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from storage.providers.protocol import Abilities
from tests.contract.storages import Kind, Place, Places
from tests.waiting import until

SECONDS = 60
REAL = "QULEDGER_TEST_MONGODB"


class Server:
    """One server with a folder of its own; it can be stopped, killed and started again on what it holds."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = _free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"mongodb://127.0.0.1:{self.port}/"

    def fresh(self) -> str:
        """Return the URL of a storage that is empty."""
        # It calls itself a replica set of one; a direct connection also goes through whatever stands before it.
        return f"{self.url}?directConnection=true&databasePrefix=t{uuid.uuid4().hex[:12]}_"

    def start(self, *more: str) -> None:
        """Start it, with more options from now on, and wait until it answers."""
        self._options += more
        program = Path(sys.executable).with_name("secantusd-py")
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    program, "--host", "127.0.0.1", "--port", str(self.port), "--log-level", "ERROR",
                    "--storage-path", self.folder / "data", *self._options,
                ],
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )  # fmt: skip
        self._answers()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, by whatever signal."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(SECONDS)
            self._process = None

    def signal(self, how: signal.Signals) -> None:
        """Send it a signal that does not end it; one that stops it has stopped all of its threads then."""
        assert self._process is not None
        self._process.send_signal(how)
        if how is signal.SIGSTOP:
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def _answers(self) -> None:
        def listens() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return True
            return False

        until(listens, SECONDS)


@contextlib.contextmanager
def secantus_server(*options: str) -> Iterator[Server]:
    """Run a server while the block runs."""
    with tempfile.TemporaryDirectory(prefix="quledger-secantus-", ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder), *options)
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGKILL)


@contextlib.contextmanager
def _of_secantus() -> Iterator[Places]:
    with secantus_server() as server:
        yield lambda _folder: Place(server.fresh())


@contextlib.contextmanager
def _of_mongod() -> Iterator[Places]:
    url = os.environ[REAL]
    prefix = f"quledger{uuid.uuid4().hex[:8]}_"
    number = 0

    def place(_folder: Path) -> Place:
        nonlocal number
        number += 1
        return Place(f"{url}{'&' if '?' in url else '?'}databasePrefix={prefix}{number}_")

    try:
        yield place
    finally:
        with contextlib.suppress(PyMongoError), MongoClient[dict[str, object]](url) as client:
            for name in client.list_database_names():
                if name.startswith(prefix):
                    client.drop_database(name)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


_ABILITIES = Abilities(exact_bytes=False, whole_documents=True)
MONGODB = Kind("mongodb", _of_secantus, _ABILITIES)
MONGOD = Kind("mongod", _of_mongod, _ABILITIES)
