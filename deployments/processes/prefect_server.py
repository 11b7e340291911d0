"""Which Prefect the flows talk to: the one that `PREFECT_API_URL` names, else an embedded one.

Nothing here may import Prefect, which reads its settings from the environment as it is imported.
"""

import contextlib
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from filelock import FileLock, Timeout

from deployments.processes.logs import open_log
from deployments.processes.ports import LOOPBACK, listen
from deployments.processes.prefect_secrets import keep_secret, warn_of_open_logins
from flows.prefect_api.client import REFUSED, authentication, refusal
from models import clock
from models.errors import QuledgerError
from models.settings import Settings, redact_url
from tasks import python
from tasks.log_files import SERVER
from tasks.prefect_settings import database, home, prepare, server_environment, server_settings

__all__ = ["PrefectUnavailable", "prefect_server", "server_settings", "write_error"]

START_SECONDS = 180.0
"""How long the embedded server may take; a slow machine needs 20 s."""

TURN_SECONDS = 900.0
"""How long a start waits for others: several at once would make or migrate one database at the same time."""

ANSWER_SECONDS = 15.0
"""A server that has just started is slow at first; that there is none is known at once."""

FIRST_ANSWER_SECONDS = 5.0
"""How long to wait for the first answer of our own server before checking that it still runs."""

END_SECONDS = 10.0
MAX_PAUSE = 30.0

_CAUSES = {
    r"Can't locate revision": "a newer version of Prefect has made its database, {database}; install that version, or"
    " put the file aside (the event log needs nothing of it)",
    r"file is not a database|malformed|file is encrypted": "its database is broken: {database}; put the file aside (the"
    " event log needs nothing of it)",
    r"database is locked": "another program holds its database, {database}",
    r"database or disk is full|No space left on device": "the disk is full",
    r"readonly database|unable to open database file|Permission denied|Read-only file system": "its database cannot be"
    " written: {database}",
    r"disk I/O error|Input/output error": "the disk fails",
}
"""What a server that does not start says -> what it means."""


class PrefectUnavailable(QuledgerError):
    """No Prefect server answers."""


@contextlib.contextmanager
def prefect_server(settings: Settings, port: int = 0) -> Iterator[str]:
    """Yield the address of a Prefect API, which answers while the block runs.

    Args:
        port: where the embedded server listens, on loopback; 0 takes any that is free.

    Raises:
        BadSetting: the port is taken.
        PrefectUnavailable: the given server does not answer or does not let us in, or the embedded one did not start.
    """
    prepare(settings)
    warn_of_open_logins(settings)
    given = os.environ.get("PREFECT_API_URL")
    if given:
        if not _answers(given):
            msg = f"Prefect does not answer at {redact_url(given)} (PREFECT_API_URL); start it, or unset the variable"
            raise PrefectUnavailable(msg)
        yield given
        return
    with listen(LOOPBACK, port) as listening:
        server = _Server(settings, listening)
        try:
            with _start_lock(settings):
                server.start()
            os.environ["PREFECT_API_URL"] = server.url
            yield server.url
        finally:
            os.environ.pop("PREFECT_API_URL", None)
            server.stop()


class _Server:
    """The embedded server: a process that is started again if it dies, and ends with us."""

    def __init__(self, settings: Settings, listening: socket.socket) -> None:
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
        self._settings, self._listening = settings, listening
        self._log = settings.folder / SERVER
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            PrefectUnavailable: it does not; the message says why.
        """
        before = self._log.stat().st_size if self._log.exists() else 0
        server = self._process = self._spawn()
        deadline = time.monotonic() + START_SECONDS
        while not _answers(self.url, FIRST_ANSWER_SECONDS):
            if server.poll() is not None or time.monotonic() > deadline:
                late = server.poll() is None
                why = (
                    f"it did not answer within {START_SECONDS:g} s"
                    if late
                    else _cause(self._log, before, self._settings)
                )
                raise PrefectUnavailable(f"the embedded Prefect server did not start: {why}. Its log is {self._log}")
            time.sleep(0.1)
        threading.Thread(target=self._restart_when_dead, args=(server,), daemon=True).start()

    def stop(self) -> None:
        """End it and wait until it is gone."""
        self._stopping.set()
        with self._changing:
            server = self._process
        if server is None:
            return
        assert server.stdin is not None  # noqa: S101 - it was made with a pipe
        server.stdin.close()
        try:
            server.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()

    def _spawn(self) -> "subprocess.Popen[bytes]":
        """Start the process; its own session keeps a Ctrl-C in the terminal from ending it before the flows."""
        with open_log(self._log) as output:
            return subprocess.Popen(  # noqa: S603 - our own module
                python.command("deployments.processes.embedded_server", str(self._listening.fileno())),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=home(self._settings),
                env=keep_secret(self._settings, server_environment(self._settings)),
                start_new_session=True,
                pass_fds=(self._listening.fileno(),),
            )

    def _restart_when_dead(self, server: "subprocess.Popen[bytes]") -> None:
        """Start the server again whenever it dies; callers wait meanwhile, because the socket stays open."""
        pause = 1.0
        while True:
            began = time.monotonic()
            code = server.wait()
            if self._stopping.is_set():
                return
            write_error(self._log, f"quledger.server: Prefect's server ended with code {code}; it is started again")
            pause = 1.0 if time.monotonic() > began + MAX_PAUSE else min(MAX_PAUSE, 2 * pause)
            if self._stopping.wait(pause):
                return
            with self._changing:
                if self._stopping.is_set():
                    return
                server = self._process = self._spawn()


def write_error(log: Path, message: str) -> None:
    """Write an error into the log of a process that has ended."""
    with open_log(log) as output:
        output.write(f"{clock.now():%Y-%m-%d %H:%M:%S},000 ERROR {message}\n".encode())


@contextlib.contextmanager
def _start_lock(settings: Settings) -> Iterator[None]:
    """Wait until no other embedded server of this home is being started.

    Raises:
        PrefectUnavailable: another one takes too long.
    """
    # The file stays: whoever waits has opened it already, and would lock one that is gone.
    lock = FileLock(home(settings) / "start.lock", TURN_SECONDS, poll_interval=0.1, preserve_lock_file=True)
    try:
        held = lock.acquire()
    except Timeout:
        msg = "another embedded Prefect server of this home is being started and does not come to an end"
        raise PrefectUnavailable(msg) from None
    with held:
        yield


def _answers(url: str, seconds: float = ANSWER_SECONDS) -> bool:
    """Return whether Prefect answers.

    Args:
        seconds: how long it may take.

    Raises:
        PrefectUnavailable: it answers, and does not let us in, or is something else.
    """
    try:
        with httpx.Client(timeout=seconds, headers=authentication()) as client:
            client.get(f"{url}/health").raise_for_status()
            # Anybody may ask for that; not for this.
            version = client.get(f"{url}/admin/version")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return False
    if version.status_code in REFUSED:
        raise PrefectUnavailable(refusal(url))
    if not _is_version(version):
        raise PrefectUnavailable(f"what answers at {redact_url(url)} (PREFECT_API_URL) is no Prefect API")
    return True


def _is_version(answer: httpx.Response) -> bool:
    try:
        return answer.is_success and isinstance(answer.json(), str)
    except ValueError:
        return False


def _cause(log: Path, start: int, settings: Settings) -> str:
    """Return why a server did not start, from what it wrote after so many bytes of its log."""
    with log.open("rb") as written:
        written.seek(start)
        said = written.read().decode(errors="replace")
    for pattern, meaning in _CAUSES.items():
        if re.search(pattern, said):
            return meaning.format(database=database(settings))
    errors = re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception|Exit)\b.*", said, re.MULTILINE)
    return str(errors[-1])[:200] if errors else "it said nothing"
