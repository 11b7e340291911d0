"""How long jobs take, and how many run at once, by those that ended of late."""

import random
from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

FEW = 8
"""Of fewer jobs alike nothing is concluded; those of the whole backend are taken instead."""


NEWEST = 100
"""So many of the newest runs of a kind say how long one takes: machines are busy now and idle then."""

RECENT = 200
"""So many of the newest runs say how many run at once."""


class Ran(NamedTuple):
    """A run that has ended; times in seconds.

    Attributes:
        size: of the document, in bytes.
        waited: from when the job was received.
        began: on any clock that all runs share.
        seconds: from the claim to the end.
    """

    backend: str
    user: str
    size: int
    waited: float
    began: float
    seconds: float


class Durations:
    """How long jobs take, by those that ended of late."""

    def __init__(self, runs: Sequence[Ran]) -> None:
        self.runs = runs
        self._seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._usual: dict[tuple[str, str], float] = {}
        for run in sorted(runs, key=lambda run: run.began, reverse=True):
            for lane in {(run.backend, run.user), (run.backend, ""), ("", "")}:
                if len(self._seconds[lane]) < NEWEST:
                    self._seconds[lane].append(run.seconds)

    def knows(self, backend: str) -> int:
        """Return how many jobs of a backend are known, up to `NEWEST`."""
        return len(self._seconds.get((backend, ""), ()))

    def of(self, backend: str, user: str) -> list[float]:
        """Return the seconds of jobs like those of a user at a backend; of all jobs where that is new, or a second."""
        for lane in ((backend, user), (backend, "")):
            found = self._seconds.get(lane, [])
            if len(found) >= (FEW if lane[1] else 1):
                return found
        return self._seconds.get(("", "")) or [1.0]

    def left(self, backend: str, user: str, elapsed: float, chance: random.Random) -> float:
        """Draw how many more seconds a job takes that has been under way for so long: by those that took longer.

        One that takes longer than any of its kind may be one of a drain that has just begun, as others were before.
        """
        for seconds in (self.of(backend, user), self._seconds.get((backend, ""), []), self._seconds.get(("", ""), [])):
            if longer := [each for each in seconds if each > elapsed]:
                return chance.choice(longer) - elapsed
        # Longer than any before: then, as long again as by now.
        return 2 * elapsed * chance.random()

    def usual(self, backend: str, user: str) -> float:
        """Return how many seconds such a job takes as a rule."""
        if (backend, user) not in self._usual:
            self._usual[backend, user] = median(self.of(backend, user))
        return self._usual[backend, user]

    def like(self, backend: str, user: str, size: int) -> list[float]:
        """Return the seconds of jobs whose documents are about as large, of the user if there are enough of them."""
        alike = [run for run in self.runs if run.backend == backend and size <= 2 * run.size and run.size <= 2 * size]
        for found in ([run.seconds for run in alike if run.user == user], [run.seconds for run in alike]):
            if len(found) >= FEW:
                return found
        return self.of(backend, user)


def slots(runs: Sequence[Ran], running: int, configured: int) -> int:
    """Return how many jobs run at once: as many as did while others waited, or as the settings say.

    Args:
        running: how many do now.
        configured: of the settings of whoever asks; drains may have been started with others.
    """
    runs = sorted(runs, key=lambda run: run.began)[-RECENT:]
    changes = sorted([(run.began, 1) for run in runs] + [(run.began + run.seconds, -1) for run in runs])
    at_once = peak = 0
    for _, change in changes:
        at_once += change
        peak = max(peak, at_once)
    # A job that did not wait says nothing: there may have been no other.
    full = sum(run.waited > 1 for run in runs) >= FEW
    return max(peak if full else configured, running, 1)
