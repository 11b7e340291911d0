"""A Prefect server of our own, on loopback, that ends with the process that started it.

Run as `python -P -m deployments.processes.embedded_server FD`, in a folder of our own and with the environment of
`tasks/prefect_settings.py`. Standard input is a pipe from the parent: when it is closed, the server ends. FD is the
listening socket, so that nobody can take the port in between.
"""

import gc
import os
import signal
import socket
import sys
from datetime import timedelta
from functools import partial
from typing import Any

from deployments.processes.logs import drop_debug_records, record, record_crash
from deployments.processes.parent import end_with_parent
from tasks.sandbox.walls import hide_memory

SECOND = timedelta(seconds=1)


def _let_writers_wait() -> None:
    """Begin each transaction of Prefect's that may write as a writer's, which waits for its turn.

    Prefect begins it as a reader's, and SQLite refuses at once that it writes if anybody has written since it began:
    the server answers 503, and a form of its UI says that something went wrong.
    """
    from prefect.server.database.configurations import AioSqliteConfiguration  # noqa: PLC0415 - as in `main`

    begin = AioSqliteConfiguration.begin_transaction

    def begin_as_writer(database: AioSqliteConfiguration, session: Any, *_: Any, **__: Any) -> Any:
        return begin(database, session, with_for_update=True)

    AioSqliteConfiguration.begin_transaction = begin_as_writer  # type: ignore[method-assign, assignment]


def _read_settings_once() -> None:
    """Let Prefect tell its settings, which stay as they are in this process, by a hash that is computed once.

    It would do so anew for each client that the server has of itself, for a twentieth of a second each time.
    """
    from prefect.settings import Settings, get_current_settings  # noqa: PLC0415 - as in `main`

    known = get_current_settings().hash_key()
    Settings.hash_key = lambda self: known  # type: ignore[method-assign]  # noqa: ARG005 - called by its name


def _look_once_a_second() -> None:
    """Let Prefect look once a second, and not four times, whether a task of its own is due: most of what it does idly.

    None of them minds a second: the most frequent one is done every five.
    """
    from prefect.server.api import background_workers  # noqa: PLC0415 - as in `main`

    where: Any = background_workers
    where.Worker = partial(where.Worker, scheduling_resolution=SECOND, minimum_check_interval=SECOND)


def main() -> None:
    """Serve until the parent has gone."""
    hide_memory()
    end_with_parent(partial(os.kill, os.getpid(), signal.SIGTERM))
    import uvicorn  # noqa: PLC0415 - after the watch has begun: importing takes seconds
    from prefect.server.api.server import create_app  # noqa: PLC0415 - as above

    _let_writers_wait()
    _read_settings_once()
    _look_once_a_second()
    app = create_app()
    gc.freeze()  # what is here now stays, and no collection need look at it again
    record(sys.stderr)
    record_crash()
    drop_debug_records()
    config = uvicorn.Config(app, log_config=None, log_level="warning", access_log=False, lifespan="on")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
