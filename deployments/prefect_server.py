"""Which Prefect the flows talk to: the one that `PREFECT_API_URL` names, else an embedded one.

Nothing here may import Prefect, which reads its settings from the environment as it is imported.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import IO

from models.errors import BadSetting, QuledgerError
from models.settings import Settings, redact_url

START_SECONDS = 180.0
"""How long the embedded server may take; a slow machine needs 20 s."""

TUNED = {
    # These halve what the server spends on each run; see docs/prefect.md.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "100",
    # Old runs are deleted with their logs and artifacts: our log keeps the history. As shipped only events are.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(30 * 24 * 3600),
    # A drain that waits for the end of the one before it is asked again soon.
    "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
    # The UI asks the server that it came from, whatever its port.
    "PREFECT_SERVER_UI_API_URL": "/api",
}

QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # What runs say goes to Prefect's API and its UI; our own program speaks to the terminal.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_CLI_PROMPT": "false",
}


class PrefectUnavailable(QuledgerError):
    """No Prefect server answers."""


def prepare(settings: Settings) -> None:
    """Set what the environment leaves open; to be called before Prefect is imported."""
    for name, value in (TUNED | QUIET | {"PREFECT_HOME": str(settings.folder / "prefect")}).items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def prefect_server(settings: Settings, port: int = 0) -> Iterator[str]:
    """Give the address of a Prefect API while the block runs.

    Args:
        port: where the embedded server listens, on loopback; 0 takes any that is free.

    Raises:
        BadSetting: the port is taken.
        PrefectUnavailable: the given server does not answer, or the embedded one did not start.
    """
    prepare(settings)
    given = os.environ.get("PREFECT_API_URL")
    if given:
        if not _answers(given):
            msg = f"Prefect does not answer at {redact_url(given)} (PREFECT_API_URL); start it, or unset the variable"
            raise PrefectUnavailable(msg)
        yield given
        return
    folder = settings.folder
    folder.mkdir(parents=True, exist_ok=True)
    try:
        listening = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        msg = f"port {port} cannot be listened on ({error.strerror}); name another one with --port"
        raise BadSetting(msg) from None
    with listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
        with (folder / "prefect-server.log").open("ab") as output:
            server = _start(listening, output)
    try:
        _wait(server, url, f"{folder / 'prefect-server.log'}")
        os.environ["PREFECT_API_URL"] = url
        yield url
    finally:
        os.environ.pop("PREFECT_API_URL", None)
        assert server.stdin is not None  # noqa: S101 - it was made with a pipe
        server.stdin.close()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _start(listening: socket.socket, output: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start the server; its own session keeps a Ctrl-C in the terminal from ending it before the flows."""
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "deployments.embedded_server", str(listening.fileno())],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=(listening.fileno(),),
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5):  # noqa: S310 - the operator's own address
            return True
    except (OSError, ValueError):
        return False


def _wait(server: "subprocess.Popen[bytes]", url: str, log: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if _answers(url):
            return
        time.sleep(0.1)
    server.kill()
    msg = f"the embedded Prefect server did not start; what it said is in {log}"
    raise PrefectUnavailable(msg)
