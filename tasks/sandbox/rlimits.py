"""What the child process of a job may use, and what it has used."""

import math
import os
import resource
import sys
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MEGABYTE = 1_000_000

SPARE = 32 * MEGABYTE
"""So much may a child have grown that is kept for the next job, in bytes."""


class Limits(BaseModel):
    """What one job may use in its child process.

    Attributes:
        cpu_seconds: CPU time; rounded up to whole seconds, since the kernel counts those.
        wall_seconds: time in which the job is at work, all its calls together.
        memory_mb: memory beyond what the fork server has loaded, in megabytes of 10^6 bytes.
        answer_mb: size of the largest answer, in the same megabytes.
    """

    model_config = ConfigDict(frozen=True)

    cpu_seconds: float = Field(default=40.0, gt=0)
    wall_seconds: float = Field(default=50.0, gt=0)
    memory_mb: float = Field(default=2048.0, gt=0)
    answer_mb: float = Field(default=512.0, gt=0)


class Meter:
    """The limits and the use of this process, and of the job that it has now.

    Args:
        loaded_bytes: address space of the fork server; None where the kernel does not limit it (macOS).
    """

    def __init__(self, loaded_bytes: int | None) -> None:
        self._loaded = loaded_bytes
        self._first_rss = _max_rss()
        self._jobs = 0
        self._before = 0.0

    def begin(self, job: dict[str, Any]) -> None:
        """Set the limits of the next job: `cpu_seconds`, `memory_bytes`, and for how many `jobs` the process is."""
        # The fork is counted with the first job; later ones may get a second more, for the kernel counts whole seconds.
        self._before = _cpu_seconds() if self._jobs else 0.0
        self._jobs += 1
        most = math.ceil(job["cpu_seconds"])
        # SIGXCPU ends it; if that is ignored, SIGKILL does, a second after the process's last job could have ended.
        lower(resource.RLIMIT_CPU, math.ceil(self._before + job["cpu_seconds"]), job["jobs"] * most + 1)
        if self._loaded is not None:
            spare = SPARE if job["jobs"] > 1 else 0
            most = job["memory_bytes"]
            lower(resource.RLIMIT_AS, max(_address_space(), self._loaded) + most, self._loaded + spare + most)

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the job so far, with that of its own children."""
        return _cpu_seconds() - self._before

    @property
    def max_rss(self) -> int:
        """The most memory that the process had at once, in bytes."""
        return _max_rss()

    @property
    def is_small(self) -> bool:
        """Whether the process has hardly grown since it was forked."""
        grown = _max_rss() - self._first_rss
        return grown < SPARE and (self._loaded is None or _address_space() - self._loaded < SPARE)


def lower(kind: int, soft: int, hard: int | None = None) -> None:
    """Set a limit, but never above the one that holds already."""
    _, highest = resource.getrlimit(kind)
    hard = soft if hard is None else hard
    if highest != resource.RLIM_INFINITY:
        hard = min(hard, highest)
    resource.setrlimit(kind, (min(soft, hard), hard))


def _usage() -> tuple[resource.struct_rusage, resource.struct_rusage]:
    return resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)


def _cpu_seconds() -> float:
    return sum(each.ru_utime + each.ru_stime for each in _usage())


def _max_rss() -> int:
    return max(each.ru_maxrss for each in _usage()) * (1 if sys.platform == "darwin" else 1024)


def _address_space() -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGESIZE")
