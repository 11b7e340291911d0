"""Warnings on the operator's terminal, and the log files in the home."""

import asyncio
import contextlib
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from tasks.log_files import LogErrors

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

MAX_BYTES = 20_000_000
"""A log that has grown larger is put aside when it is next opened; the one that was put aside before is gone."""

POLL_SECONDS = 2.0

REPORT_SECONDS = 300.0
"""Errors are reported at once; while more come, so often."""

_PARAMETERS = re.compile(r"^\[parameters: .*$", re.MULTILINE)

_STOPPED = "Execution was cancelled by the runtime environment"
"""Prefect's word, at ERROR, for a flow run that is cancelled in its process: nobody but us does that, to stop."""

_SELF_GOVERNED = ("uvicorn", "fastapi")
"""Loggers that hand nothing on to the root of all, once Prefect has set them up."""


def warn_on_terminal() -> None:
    """Write our warnings to standard error, where Prefect's set-up of the logs would not let them appear."""
    ours = logging.getLogger("quledger")
    ours.setLevel(logging.INFO)
    if not ours.handlers:
        ours.addHandler(_handler(sys.stderr))


def record(output: IO[str]) -> Callable[[], None]:
    """Write every warning and error of this process to its log; call it after Prefect has set up its own logs.

    Returns:
        A function that ends it.
    """
    handler = _handler(output)
    handler.addFilter(_is_news)
    logging.captureWarnings(capture=True)
    loggers = [logging.getLogger(name) for name in ("", *_SELF_GOVERNED)]
    loggers = [each for each in loggers if each.parent is None or not each.propagate]
    for each in loggers:
        each.addHandler(handler)
    threading.excepthook = _record_thread

    def stop() -> None:
        logging.captureWarnings(capture=False)
        threading.excepthook = threading.__excepthook__
        for each in loggers:
            each.removeHandler(handler)

    return stop


def record_crash() -> None:
    """Also write an exception that ends this process to its log."""
    sys.excepthook = _record_crash


def write_crash(path: Path, error: Exception) -> None:
    """Write into a log where an error came from; nobody else may read it."""
    made = logging.makeLogRecord(
        {
            "name": "quledger.cli",
            "levelno": logging.CRITICAL,
            "levelname": "CRITICAL",
            "msg": "a command failed",
            "exc_info": (type(error), error, error.__traceback__),
        }
    )
    with open_log(path) as log:
        os.fchmod(log.fileno(), 0o600)
        log.write(f"{_Formatter(FORMAT).format(made)}\n".encode(errors="backslashreplace"))


def drop_debug_records() -> None:
    """Keep passwords out of the DEBUG log of a server: uvicorn writes down what comes through a websocket."""
    # A filter, as Prefect sets the level anew.
    for name in ("uvicorn.error", "uvicorn", "websockets.server"):
        logging.getLogger(name).addFilter(lambda record: record.levelno > logging.DEBUG)


def open_log(path: Path) -> IO[bytes]:
    """Open a log for appending; one that has grown too large is put aside first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > MAX_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


@contextlib.contextmanager
def report_errors(say: Callable[[str], None], *paths: Path) -> Iterator[None]:
    """Tell `say` about errors in these logs: at once, every few minutes while more come, and at the end."""
    errors, over = LogErrors(*paths), threading.Event()

    def watch() -> None:
        while not over.wait(POLL_SECONDS):
            for sentence in errors.unreported(REPORT_SECONDS):
                say(f"there were errors: {sentence}")

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
        for sentence in errors.all():
            say(f"there were errors: {sentence}")


class _Formatter(logging.Formatter):
    """Writes times in UTC and leaves out the parameters of failed SQL statements, which may be a user's data."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        return _PARAMETERS.sub("[parameters left out]", super().format(record))


def _handler(output: IO[str]) -> logging.Handler:
    handler = logging.StreamHandler(output)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_Formatter(FORMAT))
    return handler


def _is_news(record: logging.LogRecord) -> bool:
    """Say whether a record is news to the operator."""
    # Prefect says so with the exception that there is, or with none.
    broke = record.exc_info is not None and record.exc_info[0] is not None
    if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
        return False  # whoever was told to stop has stopped, also in the midst of writing what is asked for again
    if record.name in {"prefect.flow_runs", "prefect.task_runs"} and not broke:
        if _STOPPED in record.getMessage():
            return False  # whoever was told to stop has stopped
        # How a job ended stands in the log of events and on the page of its run; a user's bad job is no error of ours.
        return record.name == "prefect.flow_runs" and getattr(record, "flow_name", "") != "run-job"
    # Prefect renews the place of a run as soon as the run begins; one that has ended by then has given it back. Where a
    # place is really lost, this is followed by an error.
    return not (record.name == "prefect.concurrency" and "410 Gone" in record.getMessage() and not broke)


def _record_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("quledger").critical("the process ends", exc_info=(kind, error, trace))


def _record_thread(what: threading.ExceptHookArgs) -> None:
    if what.exc_value is not None:
        error = (what.exc_type, what.exc_value, what.exc_traceback)
        logging.getLogger("quledger").critical("a thread ended", exc_info=error)
