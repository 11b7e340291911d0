"""How much longer jobs take while a drain warms up: its first ones, and the first one of each backend.

A drain that has just begun imports what its jobs need, and its server does everything for the first time. Which runs
these were is seen in those that have ended: a worker began them before any of its own, or of the backend, was through.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

KEPT = 30
"""So many of the newest beginnings of a kind say what one costs."""


class Ran(NamedTuple):
    """A run that has ended; times in seconds.

    Attributes:
        size: of the document, in bytes.
        waited: from when the job was received.
        began: on any clock that all runs share.
        seconds: from the claim to the end.
        worker: who ran it; empty where that is not known.
    """

    backend: str
    user: str
    size: int
    waited: float
    began: float
    seconds: float
    worker: str = ""


class Warming:
    """Which runs were beginnings, and what those cost."""

    def __init__(self, runs: Sequence[Ran]) -> None:
        self._first_end: dict[tuple[str, str], float] = defaultdict(lambda: math.inf)
        for run in runs:
            if run.worker:
                for kind in ((run.worker, ""), (run.worker, run.backend)):
                    self._first_end[kind] = min(self._first_end[kind], run.began + run.seconds)
        self._cost: dict[bool, list[float]] = {True: [], False: []}

    def is_beginning(self, worker: str, backend: str, began: float) -> bool:
        """Return whether a run that a worker began then belongs to its warming up."""
        return worker != "" and began < self._first_end.get((worker, backend), math.inf)

    def learn(self, runs: Sequence[Ran], usual: Callable[[str, str], float]) -> None:
        """Learn what beginnings cost.

        Args:
            runs: beginnings, the newest first.
            usual: how many seconds a job of a backend and a user takes when it is none.
        """
        for run in runs:
            cost = self._cost[self._is_first(run.worker, run.began)]
            if len(cost) < KEPT:
                cost.append(max(0.0, run.seconds - usual(run.backend, run.user)))

    def cost(self, worker: str, backend: str, began: float) -> Sequence[float]:
        """Return by how many seconds jobs like one that is under way took longer; nothing where it is no beginning."""
        if not self.is_beginning(worker, backend, began):
            return ()
        return self._cost[self._is_first(worker, began)] or self._cost[False]

    def to_come(self, running: Collection[tuple[str, str]], backends: Collection[str]) -> Mapping[str, Sequence[float]]:
        """Return of which backends the next job is a beginning, and by how much those took longer.

        Args:
            running: worker and backend of each job that is under way.
            backends: those for which something waits.
        """
        workers = {worker for worker, _ in running if worker}
        warm = {backend for _, backend in running}
        warm |= {backend for worker, backend in self._first_end if worker in workers}
        cold = self._cost[False]
        return {backend: cold for backend in backends if workers and cold and backend not in warm}

    def _is_first(self, worker: str, began: float) -> bool:
        return began < self._first_end.get((worker, ""), math.inf)
