"""The commands that serve jobs: a drain, the control room, a worker of it."""

import contextlib
import sys
from typing import Annotated

from cyclopts import Parameter

from deployments.cli.output import Json, print_output
from deployments.cli.terminal import OutputLost, serving
from deployments.processes import up as everything
from deployments.processes.drain import run_drain_command, run_worker_command
from models.errors import BadSetting

MAX_PORT = 65535
API_PORT = 8000


def drain(
    *,
    until_empty: Annotated[bool, Parameter(negative="")] = False,
    backend: Annotated[list[str] | None, Parameter(name=["--backend", "-b"])] = None,
    concurrency: int | None = None,
    time_budget: float | None = None,
    as_json: Json = False,
) -> int:
    """Serve the queues: take jobs from the storage and run each as a Prefect flow run.

    Args:
        until_empty: End when no job is left; otherwise go on until Ctrl-C.
        backend: Serve only this backend; may be repeated.
        concurrency: Jobs at once.
        time_budget: Seconds after which no more job is begun.
    """
    if time_budget is not None and not time_budget > 0:
        raise BadSetting("the time budget has to be a number of seconds above 0")
    with serving():
        counts, unserved = run_drain_command(
            backend, concurrency, until_empty=until_empty, time_budget=time_budget, say=None if as_json else _say
        )
    ended = ", ".join(f"{number} {state}" for state, number in counts.items()) or "no jobs"
    print_output(counts, lambda: print(f"drained: {ended}"), as_json=as_json)
    for reason in unserved:
        print(f"quledger: {reason}", file=sys.stderr)
    return 1 if unserved else 0


def up(*, port: int = 4200, api: bool = True, api_port: int | None = None) -> int:
    """Serve everything: Prefect's server and UI, all deployments, their schedules. Ctrl-C stops it.

    Args:
        port: Of the server, on loopback.
        api: Serve the HTTP API and the pages too, as `quledger serve` does.
        api_port: Of these, on loopback; 8000 if left out, or any free one beside a server on any free one.
    """
    for each in (port, api_port or 0):
        _check_port(each)
    if api_port is None:
        api_port = API_PORT if port else 0
    with serving():
        everything.serve(port, _say, api_port=api_port if api else None)
    return 0


def serve(*, port: int = API_PORT, host: str = "127.0.0.1") -> int:
    """Serve the HTTP API and the pages for people. Ctrl-C stops it.

    Args:
        port: To listen on; 0 takes any that is free.
        host: Address to listen on; by default this machine alone can reach it (see docs/api.md for proxies).
    """
    _check_port(port)
    # A second of imports that no drain needs.
    from deployments.processes.serve import serve_api  # noqa: PLC0415

    with serving():
        serve_api(port, _say, host=host)
    return 0


def _check_port(port: int) -> None:
    if not 0 <= port <= MAX_PORT:
        raise BadSetting(f"port {port} cannot be listened on; name one from 0 (any that is free) to {MAX_PORT}")


def _say(line: str) -> None:
    """Print a line at once; that nobody reads it, or a full disk, ends no drain."""
    with contextlib.suppress(OutputLost):
        print(line, flush=True)


def worker() -> int:
    """Serve the deployments of the Prefect server that PREFECT_API_URL names: jobs, drains, schedules."""
    with serving():
        run_worker_command()
    return 0
