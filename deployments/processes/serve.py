"""The front door as a process: uvicorn around the application, on loopback unless told otherwise."""

import contextlib
import functools
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from deployments.processes.local_access import is_anybody_there, local_access
from deployments.processes.logs import record
from deployments.processes.mirroring import mirrored
from deployments.processes.ports import LOOPBACK, listen
from deployments.processes.stop_signals import stop_signals
from models.settings import Settings
from tasks.sandbox.walls import hide_memory
from tasks.services import Services

MAX_CONNECTIONS = 2000
"""More at once are answered with 503."""

END_SECONDS = 10


def serve_api(port: int, say: Callable[[str], None], *, host: str = LOOPBACK) -> None:
    """Serve the API and the pages until Ctrl-C or SIGTERM.

    Args:
        port: 0 for any that is free.
        host: the address to listen on.

    Raises:
        BadSetting: it cannot be listened there.
        LogUnavailable: the event log cannot be opened.
    """
    hide_memory()
    services = Services(Settings.read())
    services.open(patient=True)
    listening = listen(host, port)
    serve_on(services, listening, say)


def serve_on(services: Services, listening: socket.socket, say: Callable[[str], None]) -> None:
    """Serve on a socket until this process is told to stop."""
    # Seconds of imports that nothing else on the command line needs.
    import uvicorn  # noqa: PLC0415

    from deployments.api.app import make_app  # noqa: PLC0415
    from deployments.processes.connections import Connection  # noqa: PLC0415

    with listening:
        host, port = listening.getsockname()[:2]
        app = make_app(services, is_warmed=True)
        config = uvicorn.Config(
            app,
            http=Connection,
            log_config=None,
            log_level="warning",
            access_log=False,  # query strings of other front ends' clients hold tokens
            lifespan="on",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=END_SECONDS,
        )
        record(sys.stderr)
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        say(f"Quledger answers at {url}/ui (pages), {url}/v1 (API), {url}/v1/docs (how to use it)")
        if not is_anybody_there(services):
            say("Nobody can sign in yet: quledger user add NAME --role operator, then quledger token new NAME")
        server = uvicorn.Server(config)

        def end(number: int, frame: FrameType | None) -> None:
            # Whoever waits for a change would be waited for.
            with contextlib.suppress(AttributeError, RuntimeError):  # not yet begun, or ended
                app.state.end_waits()
            server.handle_exit(number, frame)

        server.capture_signals = functools.partial(_ended_by_signals, end)  # type: ignore[method-assign]
        with mirrored(services), local_access(services, host, url):
            server.run(sockets=[listening])
        with contextlib.suppress(OSError):  # the terminal may be gone
            say("stopped")


@contextlib.contextmanager
def _ended_by_signals(end: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """End at the signals that end our other processes; uvicorn itself would raise them once more when it has ended."""
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, *stop_signals())}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
