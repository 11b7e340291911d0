"""Everything in one command: Prefect's server with its UI, all deployments, and a warm worker that serves them."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import httpx

from deployments.deploy import POOL, deploy
from deployments.processes.blocks import Blocks
from deployments.processes.logs import SERVER, WORKER, open_log, report_errors, warn_on_terminal
from deployments.processes.prefect_server import prefect_server, write_error
from deployments.processes.stop_signals import stop_signals
from flows.prefect_api.client import ask, authentication
from models import clock
from models.settings import Settings
from tasks import python
from tasks.sandbox.walls import hide_memory
from tasks.services import Services

STOP_SECONDS = 40.0
RESTART_SECONDS = 2.0
READY_SECONDS = 180.0
"""How long a worker may take until it serves, on a machine that has much else to do."""

PAUSE = 0.5


def serve(port: int, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C, SIGTERM or SIGHUP; then everything that was started here has ended.

    Args:
        port: of Prefect's server, on loopback; unused where `PREFECT_API_URL` names a server.
        say: called with each line for the operator.

    Raises:
        BadSetting: the port is taken.
        PrefectUnavailable: the deployments could not be registered.
    """
    hide_memory()
    settings = Settings.read()
    services = Services(settings)
    # So that a problem with settings, database or storage is reported at once.
    services.open()
    for number in (signal.SIGINT, *stop_signals()):
        signal.signal(number, _interrupt)
    warn_on_terminal()
    say("Starting Prefect's server (some 15 s) ...")
    try:
        with (
            report_errors(say, settings.folder / SERVER, settings.folder / WORKER),
            prefect_server(settings, port) as url,
            _worker(settings) as begin,
        ):
            since = clock.now()
            begin()
            say(f"Prefect answers at {url.removesuffix('/api')}; deployments and worker follow ...")
            deploy()
            if not _wait_for_worker(url, since, begin):
                say(f"The worker does not serve yet; what keeps it is in {settings.folder / WORKER}")
            say(f"Prefect UI:      {url.removesuffix('/api')}")
            say(f"Backends:        {url.removesuffix('/api')}/artifacts")
            say(f"Prefect API:     {url}")
            say(f"Storage:         {settings.redacted()['storage']}")
            say("Launch a job:    UI > Deployments > run-job > Run > Custom run; or `quledger submit`")
            blocks = Blocks(services, say)
            blocks.look()
            say("Ctrl-C stops everything; jobs under way are given back.")
            while True:
                time.sleep(RESTART_SECONDS)
                begin()
                blocks.look()
    finally:
        with contextlib.suppress(OSError):  # the terminal may be gone
            say("stopped")


def _wait_for_worker(url: str, since: datetime, begin: Callable[[], None]) -> bool:
    """Wait until a worker serves the work pool, which it says when jobs are taken; return whether it does.

    Args:
        since: when the worker was begun; an earlier one may have left a word, too.
        begin: called meanwhile; it starts a worker that has ended again.
    """
    deadline = time.monotonic() + READY_SECONDS
    with httpx.Client(base_url=url, headers=authentication(), timeout=READY_SECONDS) as client:
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                workers = ask(client, "POST", f"/work_pools/{POOL}/workers/filter", {}).json()
                if any(datetime.fromisoformat(each["last_heartbeat_time"]) >= since for each in workers):
                    return True
            begin()
            time.sleep(PAUSE)
    return False


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _worker(settings: Settings) -> Iterator[Callable[[], None]]:
    """Yield a function that starts the worker unless it runs; the worker ends with the block."""
    running: list[subprocess.Popen[bytes]] = []

    def begin() -> None:
        if running and running[0].poll() is None:
            return
        log = settings.folder / WORKER
        if running:
            write_error(log, f"quledger.up: the worker ended with code {running[0].returncode}; it is started again")
        running.clear()
        with open_log(log) as output:
            running.append(
                subprocess.Popen(  # noqa: S603 - our own module
                    python.command("deployments.processes.embedded_worker"),
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=os.environ | python.variables(),
                    start_new_session=True,
                )
            )

    try:
        yield begin
    finally:
        for worker in running:
            assert worker.stdin is not None  # noqa: S101 - it was made with a pipe
            worker.stdin.close()
            try:
                worker.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
