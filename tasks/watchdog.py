"""Ends a process whose event loop stands still: what holds it would hold every job for ever.

    async with watched(folder, seconds=10.0):
        ...                                    # the loop of a drain or a worker

A small process of its own (`tasks.watcher`) hears from the loop every now and then. When it has not for so long, it
has this process write what every thread is doing into `standstill.log` in the home, and kills it: leases and whoever
started the process bring the rest right. Nothing in the process itself could do that: code that holds the interpreter,
such as a regular expression or a JSON parser, lets no other thread run. A process that was stopped (SIGSTOP) or a
machine that slept is not taken for one that stands still.
"""

import asyncio
import contextlib
import faulthandler
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from tasks import watcher

_LOG = logging.getLogger("quledger.watchdog")

REPORT = "standstill.log"
MAX_REPORT = 1_000_000
"""A report that has grown beyond so many bytes is begun anew."""


@contextlib.asynccontextmanager
async def watched(folder: Path, seconds: float) -> AsyncIterator[None]:
    """Have this process ended if its event loop stands still while the block runs.

    Args:
        folder: where the report is written.
        seconds: the longest that the loop may stand still.
    """
    with _report(folder) as report:
        process = _begin(report.fileno(), seconds)
        faulthandler.register(watcher.SIGNAL, file=report, all_threads=True, chain=False)
        assert process.stdin is not None  # noqa: S101 - it was made with a pipe
        os.set_blocking(process.stdin.fileno(), False)
        beating = asyncio.create_task(_beat(process.stdin.fileno(), seconds / watcher.BEATS))
        try:
            yield
        finally:
            beating.cancel()
            process.stdin.close()
            await asyncio.to_thread(process.wait)
            faulthandler.unregister(watcher.SIGNAL)


def _report(folder: Path) -> BinaryIO:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / REPORT
    if path.exists() and path.stat().st_size > MAX_REPORT:
        path.unlink()
    return path.open("ab")


def _begin(report: int, seconds: float) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-I", "-S", watcher.__file__, str(os.getpid()), f"{seconds:g}", str(report)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[report],
        start_new_session=True,  # Ctrl-C in a terminal is not for it
        env={},
        cwd="/",
    )


async def _beat(pipe: int, pause: float) -> None:
    while True:
        try:
            os.write(pipe, b".")
        except BlockingIOError:
            pass  # it has enough to read
        except OSError:
            _LOG.warning("watchdog_gone action=go_on: nobody ends this process if its event loop stands still")
            return
        await asyncio.sleep(pause)
