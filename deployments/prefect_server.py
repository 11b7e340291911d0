"""Which Prefect the flows talk to: the one that `PREFECT_API_URL` names, else an embedded one.

Nothing here may import Prefect, which reads its settings from the environment as it is imported.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx

from flows.prefect_view import REFUSED, authentication, refusal
from models.errors import BadSetting, QuledgerError
from models.settings import Settings, redact_url

START_SECONDS = 180.0
"""How long the embedded server may take; a slow machine needs 20 s."""

ANSWER_SECONDS = 15.0
"""A server that has just started is slow at first; one that is not there is known at once."""

SERVER_ENV = Path(__file__).with_name("prefect-server.env")


def server_settings() -> dict[str, str]:
    """Return how Prefect's server is tuned, as the file says that Docker and Kubernetes read too."""
    lines = (line.strip() for line in SERVER_ENV.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


QUIET = {
    "DO_NOT_TRACK": "1",
    # What runs say goes to Prefect's API and its UI; our own program speaks to the terminal.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_CLI_PROMPT": "false",
}


class PrefectUnavailable(QuledgerError):
    """No Prefect server answers."""


def prepare(settings: Settings) -> None:
    """Set what the environment leaves open; to be called before Prefect is imported."""
    for name, value in (server_settings() | QUIET | {"PREFECT_HOME": str(settings.folder / "prefect")}).items():
        os.environ.setdefault(name, value)
    if "PREFECT_API_URL" not in os.environ and "PREFECT_SERVER_API_AUTH_STRING" in os.environ:
        # The server will be ours, and asks us for its password too.
        os.environ.setdefault("PREFECT_API_AUTH_STRING", os.environ["PREFECT_SERVER_API_AUTH_STRING"])


@contextlib.contextmanager
def prefect_server(settings: Settings, port: int = 0) -> Iterator[str]:
    """Give the address of a Prefect API while the block runs.

    Args:
        port: where the embedded server listens, on loopback; 0 takes any that is free.

    Raises:
        BadSetting: the port is taken.
        PrefectUnavailable: the given server does not answer or does not let us in, or the embedded one did not start.
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
    """Say whether Prefect is there.

    Raises:
        PrefectUnavailable: it is, and does not let us in.
    """
    try:
        with httpx.Client(timeout=ANSWER_SECONDS, headers=authentication()) as client:
            client.get(f"{url}/health").raise_for_status()
            # That anybody may ask; this not.
            refused = client.get(f"{url}/admin/version").status_code in REFUSED
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return False
    if refused:
        raise PrefectUnavailable(refusal(url))
    return True


def _wait(server: "subprocess.Popen[bytes]", url: str, log: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if _answers(url):
            return
        time.sleep(0.1)
    server.kill()
    msg = f"the embedded Prefect server did not start; what it said is in {log}"
    raise PrefectUnavailable(msg)
