"""Running flows in this process: an embedded or given Prefect, the right order of imports, a graceful end."""

import asyncio
import contextlib
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from rich.console import Console

from deployments.processes.logs import open_log, record, report_errors, warn_on_terminal
from deployments.processes.prefect_server import PrefectUnavailable, prefect_server
from deployments.processes.stop_signals import stop_signals
from models.errors import BadSetting
from models.job import Job, State
from models.settings import Settings
from tasks.backends import registry
from tasks.log_files import DRAIN, SERVER
from tasks.prefect_settings import import_prefect
from tasks.services import Services, use
from tasks.watchdog import watched

MAX_AT_ONCE = 64

PATIENCE = 2.0
"""Seconds after which somebody without a terminal is told what is waited for."""


def run_drain_command(
    backends: list[str] | None,
    concurrency: int | None,
    *,
    until_empty: bool,
    time_budget: float | None,
    say: Callable[[str], None] | None,
) -> tuple[dict[str, int], list[str]]:
    """Run `drain_queue` in this process.

    Args:
        say: called with one line for each job that ends, if there is one to call.

    Returns:
        How many jobs ended in each state; and why jobs were left that somebody has to do something about.
    """
    unserved: list[str] = []
    services = Services(
        Settings.read(),
        on_final=lambda job: None if say is None else say(_line(job)),
        on_progress=lambda line: print(line, file=sys.stderr),
        on_unserved=unserved.extend,
    )
    # Before the server starts, so that a problem with settings, database or storage is reported at once.
    services.open()
    for name in backends or []:
        registry.load(name)
    if concurrency is not None and not 1 <= concurrency <= MAX_AT_ONCE:
        msg = f"{concurrency} jobs at once cannot be run; say a number from 1 to {MAX_AT_ONCE}"
        raise BadSetting(msg)
    with flows_ready(services):
        counts = run_drain(
            services, backends=backends, concurrency=concurrency, until_empty=until_empty, time_budget=time_budget
        )
    return counts, unserved


def run_worker_command() -> None:
    """Serve the deployments of the given Prefect in this process, until it is told to stop.

    Raises:
        BadSetting: there is none given: nobody could launch anything at an embedded one.
    """
    services = Services(Settings.read())
    services.open()
    if "PREFECT_API_URL" not in os.environ:
        raise BadSetting("PREFECT_API_URL is not set; it says whose deployments are served (see `quledger up`)")
    with flows_ready(services):
        from deployments.processes.worker import work  # noqa: PLC0415 - Prefect is imported once its settings stand

        work(services)


def run_drain(services: Services, **parameters: Any) -> dict[str, int]:
    """Run the flow `drain_queue` with these parameters, where flows of these services are ready."""
    from flows.drain_queue import drain_queue  # noqa: PLC0415 - Prefect is imported once its settings stand
    from flows.prefect_api.engine import flush_prefect, leave_sigterm_alone  # noqa: PLC0415 - as above

    leave_sigterm_alone()
    try:
        return asyncio.run(_stoppable(drain_queue(**parameters), services.settings))
    except httpx.HTTPError as error:
        msg = f"Prefect stopped answering ({type(error).__name__}); the jobs wait, drain again when it is back"
        raise PrefectUnavailable(msg) from None
    finally:
        # Once more, now that no thread of the loop is left that might claim.
        services.claims.give_back_all()
        flush_prefect()


@contextlib.contextmanager
def flows_ready(services: Services) -> Iterator[str]:
    """Yield the address of the Prefect API; within the block, flows of these services may be run.

    Prefect's warnings in this process go into a log in the home; errors there are reported on standard error.
    """
    console = Console(stderr=True)
    use(services)
    folder = services.settings.folder
    with contextlib.ExitStack() as stack:
        with _waiting(console):
            url = stack.enter_context(prefect_server(services.settings))
            import_prefect(services.settings)
        console.print(f"Prefect UI: {url.removesuffix('/api')}", style="dim")
        stack.enter_context(report_errors(lambda line: print(line, file=sys.stderr), folder / DRAIN, folder / SERVER))
        output = stack.enter_context(io.TextIOWrapper(open_log(folder / DRAIN), write_through=True))
        stack.callback(record(output))
        warn_on_terminal()
        yield url


@contextlib.contextmanager
def _waiting(console: Console) -> Iterator[None]:
    """Say what is waited for: at once where the line goes away again, else if it takes long."""
    is_given = bool(os.environ.get("PREFECT_API_URL"))
    line = f"Waiting for {'Prefect to answer' if is_given else 'the embedded Prefect server to start (some 15 s)'} ..."
    if console.is_terminal:
        with console.status(line):
            yield
        return
    late = threading.Timer(PATIENCE, console.print, (line,))
    late.daemon = True
    late.start()
    try:
        yield
    finally:
        late.cancel()


async def _stoppable(flow_run: Any, settings: Settings) -> Any:
    """Wait for a flow run; SIGTERM and SIGHUP end it as Ctrl-C does: what is under way is given back."""
    task = asyncio.ensure_future(flow_run)
    for number in stop_signals():
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        async with watched(settings.folder, settings.standstill_seconds):
            return await task
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):  # the terminal may be gone
            print("stopped; jobs under way were given back", file=sys.stderr)
        raise KeyboardInterrupt from None


def _line(job: Job) -> str:
    seconds = (job.updated_at - job.submitted_at).total_seconds()
    line = f"{job.state:<9} {job.backend:<12} {job.job_id}  {seconds:7.2f} s"
    return line if job.state is State.DONE else f"{line}  {job.reason[:160]}"
