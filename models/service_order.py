"""The fair queue played through: in which order jobs are served, and when, if each takes so long.

As claims do (`models.claims.fairest`), a free place goes to the user with the fewest running jobs, then to the job that
was received first.
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple


class Head(NamedTuple):
    """A waiting job, as the order of service asks for it."""

    received_at: str
    job_id: str


class Under(NamedTuple):
    """A job under way, and for how many seconds it has been.

    Attributes:
        more: by how many seconds others took longer that were as much of a beginning; nothing where it is none.
    """

    backend: str
    user: str
    seconds: float
    more: Sequence[float] = ()


Lane = tuple[str, str]
"""A backend and a user."""


class Scene(NamedTuple):
    """How a laboratory stands.

    Attributes:
        queues: what waits, in the order that each user wants.
        slots: how many jobs run at once.
        most: how many of them of one backend; no limit for one that is missing.
        opens: in how many seconds something of a backend may begin; at once where it is missing.
        cold: by how many seconds the next job of a backend may take longer; not at all where it is missing.
    """

    queues: Mapping[Lane, Sequence[Head]]
    running: Sequence[Under]
    slots: int
    most: Mapping[str, int] = {}
    opens: Mapping[str, float] = {}
    cold: Mapping[str, Sequence[float]] = {}


Draw = Callable[[str, str], float]
"""Draws how many seconds a job of a backend and a user takes."""


class Played(NamedTuple):
    """One round.

    Attributes:
        at: when the job is served that was waited for, or when all are that there are; in seconds.
        served: how many others are before it, by user.
        is_met: it was served.
    """

    at: float
    served: dict[str, int]
    is_met: bool


def play(scene: Scene, draw: Draw, left: Sequence[float], job_id: str = "", backend: str = "") -> Played:
    """Play a queue through until a job is served.

    Args:
        left: how many more seconds each of the jobs takes that are under way.
        job_id: that is waited for; without one all are served.
        backend: then, when its last job ends is asked.
    """
    hall = _Hall(scene)
    ends = [(seconds, each.user, each.backend) for each, seconds in zip(scene.running, left, strict=True)]
    heapq.heapify(ends)
    opens = sorted((at, name) for name, at in scene.opens.items() if math.isfinite(at))
    now = last = 0.0
    served: dict[str, int] = defaultdict(int)
    while True:
        while len(ends) < scene.slots and (found := hall.next()) is not None:
            lane, head = found
            if head.job_id == job_id:
                return Played(now, served, is_met=True)
            hall.begin(lane)
            served[lane[1]] += 1
            heapq.heappush(ends, (now + draw(*lane), lane[1], lane[0]))
        if opens and (not ends or opens[0][0] <= ends[0][0]):
            now, name = opens.pop(0)
            hall.open(name)
        elif ends:
            now, user, name = heapq.heappop(ends)
            last = now if name == backend or not backend else last
            hall.end((name, user))
        else:
            return Played(last, served, is_met=False)


class _Hall:
    """Who waits and who runs, while it is played."""

    def __init__(self, scene: Scene) -> None:
        self._queues = {lane: heads for lane, heads in scene.queues.items() if heads}
        self._place = dict.fromkeys(self._queues, 0)
        self._most, self._closed = scene.most, set(scene.opens)
        self._running: dict[str, int] = defaultdict(int)
        self._at_backend: dict[str, int] = defaultdict(int)
        self._backends: dict[str, list[str]] = defaultdict(list)
        # By backend; what has changed since it was pushed is passed over.
        self._line: dict[str, list[tuple[int, Head, str]]] = defaultdict(list)
        for each in scene.running:
            self._running[each.user] += 1
            self._at_backend[each.backend] += 1
        for name, user in self._queues:
            self._backends[user].append(name)
            self._push((name, user))

    def next(self) -> tuple[Lane, Head] | None:
        """Return whose turn it is."""
        best: tuple[int, Head, str, str] | None = None
        for name, line in self._line.items():
            if name in self._closed or self._at_backend[name] >= self._most.get(name, math.inf):
                continue
            while line and not self._is_so(name, line[0]):
                heapq.heappop(line)
            if line and (best is None or line[0] < best[:3]):
                best = (*line[0], name)
        return None if best is None else ((best[3], best[2]), best[1])

    def begin(self, lane: Lane) -> None:
        """Serve the head of a lane."""
        self._place[lane] += 1
        self._change(lane, 1)

    def end(self, lane: Lane) -> None:
        """End a job."""
        self._change(lane, -1)

    def open(self, backend: str) -> None:
        """End a pause."""
        self._closed.discard(backend)

    def _change(self, lane: Lane, by: int) -> None:
        name, user = lane
        self._at_backend[name] += by
        self._running[user] += by
        for each in self._backends[user]:
            self._push((each, user))

    def _push(self, lane: Lane) -> None:
        head = self._head(lane)
        if head is not None:
            heapq.heappush(self._line[lane[0]], (self._running[lane[1]], head, lane[1]))

    def _is_so(self, name: str, entry: tuple[int, Head, str]) -> bool:
        running, head, user = entry
        return running == self._running[user] and head == self._head((name, user))

    def _head(self, lane: Lane) -> Head | None:
        queue, place = self._queues[lane], self._place[lane]
        return queue[place] if place < len(queue) else None
