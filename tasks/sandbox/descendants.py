"""The processes that a job's child has started, and their children: what all of them use together, and their end.

The kernel limits each process by itself. So a job that starts others is watched: each look reads /proc for the child
and its descendants, and nothing where there are none. On other systems than Linux none are found.
"""

import itertools
import os
from collections.abc import Iterator
from typing import NamedTuple

MAX_PROCESSES = 64
"""The most processes that a job may have at once beside its own."""

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGESIZE")

CPU, CHILDREN_CPU, STARTED = slice(11, 13), slice(13, 15), 19
"""Places in /proc/PID/stat behind the name."""


class Process(NamedTuple):
    """One process, as /proc shows it just now.

    Attributes:
        started: with the process id, which process it is: ids come again.
        cpu_seconds: its own CPU time.
        children_seconds: that of the children that it has waited for, and of theirs.
        anonymous: memory that no file stands behind, in bytes; what it shares with its parent since a fork counts too.
    """

    pid: int
    started: int
    cpu_seconds: float
    children_seconds: float
    anonymous: int


def read(pid: int | str) -> Process | None:
    """Return a process, None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat, open(f"/proc/{pid}/statm", "rb") as memory:
            fields = stat.read().rpartition(b")")[2].split()
            _, resident, shared = map(int, memory.read().split()[:3])
    except (FileNotFoundError, ProcessLookupError):
        return None
    own, waited = (sum(map(int, fields[place])) / TICKS for place in (CPU, CHILDREN_CPU))
    number = os.getpid() if pid == "self" else int(pid)
    return Process(number, int(fields[STARTED]), own, waited, (resident - shared) * PAGE)


def children(pid: int) -> Iterator[int]:
    """Yield the children of a process, those that have ended and were not waited for as well."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children", "rb") as listed:
                yield from map(int, listed.read().split())
        except (FileNotFoundError, ProcessLookupError):
            continue


def descendants(pid: int) -> Iterator[int]:
    """Yield the children of a process, their children and so on, each after its parent."""
    waiting = [pid]
    while waiting:
        found = list(children(waiting.pop()))
        yield from found
        waiting += found


class Family:
    """A child and its descendants.

    Args:
        pid: of the child.
        cpu_seconds: what all of them may use together; memory_bytes the same.
        loaded_bytes: memory that each has from the fork server and counts for none.
    """

    def __init__(self, pid: int, cpu_seconds: float, memory_bytes: int, loaded_bytes: int) -> None:
        self._pid, self._cpu, self._memory, self._loaded = pid, cpu_seconds, memory_bytes, loaded_bytes
        self._seen: dict[tuple[int, int], float] = {}

    def excess(self) -> str:
        """Return which limit they are beyond, `processes`, `cpu` or `memory`; empty for none."""
        others = list(itertools.islice(descendants(self._pid), MAX_PROCESSES + 1))
        if not others:
            return ""
        if len(others) > MAX_PROCESSES:
            return "processes"
        alive = [process for pid in (self._pid, *others) if (process := read(pid)) is not None]
        self._seen |= {(each.pid, each.started): each.cpu_seconds for each in alive}
        # Whose parent does not wait is counted as it was seen last; who came and went unseen, by those that do wait.
        waited = sum(each.cpu_seconds + each.children_seconds for each in alive)
        if max(waited, sum(self._seen.values())) > self._cpu:
            return "cpu"
        if sum(max(0, each.anonymous - self._loaded) for each in alive) > self._memory:
            return "memory"
        return ""
