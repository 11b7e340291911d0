"""The child processes of a sandbox: each forked for a job, and kept for the next one where its backend allows that.

A fork costs 16 ms of CPU, nearly all of it for the pages that the child then touches; a child that is kept has them.
Kept are children of backends that only interpret data, after a job that was done, or a batch of documents that was
validated (`tasks.sandbox.batches`), and left the process small.
"""

import socket
from collections import defaultdict
from typing import NamedTuple

from tasks.sandbox.fork_client import Child, ServerKind

MAX_JOBS = 200
"""The most jobs of one child, one after the other: whatever a library does not give back ends with it."""


class PoolKey(NamedTuple):
    """What a kept child fits: jobs of one fork server's backends, with these limits, which cannot be widened."""

    server: ServerKind
    cpu_seconds: float
    memory_mb: float


class ChildPool:
    """The children that wait for a job; their fork server ends them."""

    def __init__(self) -> None:
        self._waiting: defaultdict[PoolKey, list[Child]] = defaultdict(list)
        self._is_closed = False

    def take(self, kind: PoolKey) -> Child | None:
        """Return a child that lives and fits, if there is one."""
        while waiting := self._waiting[kind]:
            child = waiting.pop()
            if not child.end.done() and _is_silent(child.channel):
                return child
            child.channel.close()
        return None

    def keep(self, kind: PoolKey, child: Child) -> bool:
        """Keep a child for the next job; False if it has to end."""
        if self._is_closed or child.end.done() or child.jobs >= MAX_JOBS:
            return False
        self._waiting[kind].append(child)
        return True

    def close(self) -> None:
        """Let go of them all."""
        self._is_closed = True
        for waiting in self._waiting.values():
            for child in waiting:
                child.channel.close()
        self._waiting.clear()


def _is_silent(channel: socket.socket) -> bool:
    """Say whether nothing has come, not even the end: that of a child that has just been killed is seen here first."""
    try:
        channel.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
