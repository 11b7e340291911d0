"""Functions of the tests in processes of their own, forked from one that has imported what they need.

Nothing of a test's own process comes along but its environment: no thread, no connection, no lock.
"""

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from tests import fork_servers

SECONDS = 240
"""So long may any of them take for anything."""


CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "storage.providers.dropbox.dropbox_storage",
        "storage.providers.fsspec_storage",
        "storage.providers.mongodb.mongo_storage",
        "storage.providers.s3.s3_storage",
        "tests.contract.children",
        "tests.contract.racing",
    ]
)


def share(folder: Path) -> None:
    """Fork from the same process as other test processes, which share this folder."""
    fork_servers.share(forkserver._forkserver, folder / "functions")


def process(work: Callable[..., object], *arguments: Any) -> ForkServerProcess:
    """Return a process that calls `work` in the environment of this one; it is not started yet."""
    return CONTEXT.Process(target=_surrounded, args=(dict(os.environ), work, arguments))


def run_together(
    work: Callable[..., Any], *arguments: tuple[Any, ...], meanwhile: Callable[[], object] = lambda: None
) -> list[Any]:
    """Call `work(go, …)` in a process of its own for each tuple of arguments; return what each of them returned.

    Args:
        work: prepares itself, calls `go`, which returns when all have come so far, and does what it is for.
        meanwhile: called here from the same moment on.
    """
    line = CONTEXT.Barrier(len(arguments) + 1)
    pipes = [CONTEXT.Pipe(duplex=False) for _ in arguments]
    children = [process(_report, work, line, pipe[1], each) for pipe, each in zip(pipes, arguments, strict=True)]
    for child in children:
        child.start()
    try:
        for _, theirs in pipes:
            theirs.close()
        line.wait(SECONDS)
        meanwhile()
        returned = []
        for ours, _ in pipes:
            assert ours.poll(SECONDS), "a process does not come to its end"
            returned.append(ours.recv())  # one that failed has closed it, and says on standard error why
    finally:
        for child in children:
            child.kill()
            child.join()
            child.close()
        for ours, _ in pipes:
            ours.close()
    return returned


@contextlib.contextmanager
def running(work: Callable[..., object], *arguments: Any) -> Iterator[None]:
    """Let a process come as far as `go` in `work(go, …)` before the block begins, and kill it at the block's end."""
    there = CONTEXT.Event()
    child = process(work, there.set, *arguments)
    child.start()
    try:
        assert there.wait(SECONDS), "a process does not come so far"
        yield
    finally:
        child.kill()
        child.join()
        child.close()


def _surrounded(environment: dict[str, str], work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    work(*arguments)


def _report(work: Callable[..., Any], line: Barrier, pipe: Connection, arguments: tuple[Any, ...]) -> None:
    try:
        pipe.send(work(lambda: line.wait(SECONDS), *arguments))
    except BaseException:
        line.abort()
        raise
