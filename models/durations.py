"""How long jobs take, and how many run at once, by those that ended of late."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import median

from models.warming import Ran, Warming

__all__ = ["Ran"]

FEW = 8
"""Of fewer jobs alike nothing is concluded; those of the whole backend are taken instead."""


NEWEST = 100
"""So many of the newest runs of a kind say how long one takes: machines are busy now and idle then."""

TRIES = 9
"""So often it is drawn how long a beginning takes."""

RECENT = 200
"""So many of the newest runs say how many run at once."""


class Durations:
    """How long jobs take, by those that ended of late."""

    def __init__(self, runs: Sequence[Ran]) -> None:
        self.runs = sorted(runs, key=lambda run: run.began, reverse=True)
        self.warming = Warming(runs)
        first = [run for run in self.runs if self.warming.is_beginning(run.worker, run.backend, run.began)]
        beginnings = set(first)
        usual = [run for run in self.runs if run not in beginnings]
        # Of a backend of which little else is known, beginnings say how long its jobs take.
        known = {name for name, number in Counter(run.backend for run in usual).items() if number >= FEW}
        self._usual_runs = [run for run in self.runs if run not in beginnings or run.backend not in known]
        self._seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._usual: dict[tuple[str, str], float] = {}
        for run in self._usual_runs:
            for lane in {(run.backend, run.user), (run.backend, ""), ("", "")}:
                if len(self._seconds[lane]) < NEWEST:
                    self._seconds[lane].append(run.seconds)
        self.warming.learn([run for run in first if run.backend in known], self.usual)

    def knows(self, backend: str) -> int:
        """Return how many jobs of a backend are known, up to `NEWEST`."""
        return min(NEWEST, sum(run.backend == backend for run in self.runs))

    def of(self, backend: str, user: str) -> list[float]:
        """Return the seconds of jobs like those of a user at a backend; of all jobs where that is new, or a second."""
        for lane in ((backend, user), (backend, "")):
            found = self._seconds.get(lane, [])
            if len(found) >= (FEW if lane[1] else 1):
                return found
        return self._seconds.get(("", "")) or [1.0]

    def left(self, backend: str, user: str, elapsed: float, chance: random.Random, more: Sequence[float] = ()) -> float:
        """Draw how many more seconds a job takes that has been under way for so long: by those that took longer.

        Args:
            more: by how much longer jobs take that are a beginning, where it is one.
        """
        if more:
            drawn = [chance.choice(self.of(backend, user)) + chance.choice(more) for _ in range(TRIES)]
            if longer := [each for each in drawn if each > elapsed]:
                return chance.choice(longer) - elapsed
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
        of = [run for run in self._usual_runs if run.backend == backend]
        alike = [run for run in of if size <= 2 * run.size and run.size <= 2 * size]
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
