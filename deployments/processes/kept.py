"""A process that is started again when it ends, and that ends with the one that keeps it."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from deployments.processes.logs import open_log
from deployments.processes.prefect_server import write_error
from tasks import python

STOP_SECONDS = 40.0


@contextlib.contextmanager
def kept(what: str, module: str, log: Path, *arguments: str, fds: Sequence[int] = ()) -> Iterator[Callable[[], None]]:
    """Yield a function that starts the process unless it runs; the process ends with the block.

    Args:
        what: it is, for the log.
        module: that it runs. It ends when its standard input is closed.
        log: takes what it writes.
        fds: sockets that it gets.
    """
    running: list[subprocess.Popen[bytes]] = []

    def begin() -> None:
        if running and running[0].poll() is None:
            return
        if running:
            write_error(log, f"quledger.up: {what} ended with code {running[0].returncode}; it is started again")
        running.clear()
        with open_log(log) as output:
            running.append(
                subprocess.Popen(  # noqa: S603 - our own module
                    python.command(module, *arguments),
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=os.environ | python.variables(),
                    start_new_session=True,
                    pass_fds=fds,
                )
            )

    try:
        yield begin
    finally:
        for process in running:
            assert process.stdin is not None  # noqa: S101 - it was made with a pipe
            process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
