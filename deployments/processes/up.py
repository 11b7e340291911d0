"""Everything in one command: Prefect's server with its UI, all deployments, and a warm worker that serves them."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import httpx

from deployments.deploy import POOL, deploy
from deployments.processes.blocks import Blocks
from deployments.processes.kept import kept
from deployments.processes.logs import report_errors, warn_on_terminal
from deployments.processes.ports import LOOPBACK, expect_free, listen
from deployments.processes.prefect_server import prefect_server
from deployments.processes.stop_signals import stop_signals
from flows.prefect_api.client import ask, authentication
from models import clock
from models.settings import Settings
from tasks.log_files import API, SERVER, WORKER
from tasks.sandbox.walls import hide_memory
from tasks.services import Services

RESTART_SECONDS = 2.0
READY_SECONDS = 180.0
"""How long a worker may take until it serves, on a machine that has much else to do."""

PAUSE = 0.5

API_OPTION = "--api-port"


def serve(port: int, say: Callable[[str], None], *, api_port: int | None = None) -> None:
    """Serve until Ctrl-C, SIGTERM or SIGHUP; then everything that was started here has ended.

    Args:
        port: of Prefect's server, on loopback; unused where `PREFECT_API_URL` names a server.
        say: called with each line for the operator.
        api_port: of the HTTP API and the pages, on loopback; None for none of them.

    Raises:
        BadSetting: a port is taken.
        PrefectUnavailable: the deployments could not be registered.
    """
    hide_memory()
    settings = Settings.read()
    services = Services(settings)
    # So that a problem with settings, database or storage is reported at once.
    services.open()
    ours = {} if os.environ.get("PREFECT_API_URL") else {"--port": port}
    expect_free(ours if api_port is None else ours | {API_OPTION: api_port})
    for number in (signal.SIGINT, *stop_signals()):
        signal.signal(number, _interrupt)
    warn_on_terminal()
    say("Starting Prefect's server (some 15 s) ...")
    try:
        with (
            _front_door(settings, api_port) as (door, begin_door),
            report_errors(say, *(settings.folder / log for log in (SERVER, WORKER, API))),
            prefect_server(settings, port) as url,
            kept("the worker", "deployments.processes.embedded_worker", settings.folder / WORKER) as begin,
        ):
            since = clock.now()
            begin()
            begin_door()
            say(f"Prefect answers at {url.removesuffix('/api')}; deployments and worker follow ...")
            deploy()
            if not _wait_for_worker(url, since, begin):
                say(f"The worker does not serve yet; what keeps it is in {settings.folder / WORKER}")
            say(f"Prefect UI:      {url.removesuffix('/api')}")
            say(f"Backends:        {url.removesuffix('/api')}/artifacts")
            say(f"Prefect API:     {url}")
            if door:
                say(f"Pages and API:   {door}/ui, {door}/v1 (a token: `quledger user add`, `quledger token new`)")
            say(f"Storage:         {settings.redacted()['storage']}")
            say("Launch a job:    UI > Deployments > run-job > Run > Custom run; or `quledger submit`")
            blocks = Blocks(services, say)
            blocks.look()
            say("Ctrl-C stops everything; jobs under way are given back.")
            while True:
                time.sleep(RESTART_SECONDS)
                begin()
                begin_door()
                blocks.look()
    finally:
        with contextlib.suppress(OSError):  # the terminal may be gone
            say("stopped")


@contextlib.contextmanager
def _front_door(settings: Settings, port: int | None) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the address of the API, and a function that starts it unless it runs; empty where none is wanted."""
    if port is None:
        yield "", lambda: None
        return
    # The socket is ours, so that nobody takes the port while the API is started again.
    with listen(LOOPBACK, port, API_OPTION) as listening:
        fd, log = listening.fileno(), settings.folder / API
        with kept("the API", "deployments.processes.embedded_api", log, str(fd), fds=(fd,)) as begin:
            yield f"http://{LOOPBACK}:{listening.getsockname()[1]}", begin


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
