"""When a job is served: its queue is played through several times with durations of the past."""

import math
import random
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

from models.durations import Durations
from models.service_order import Draw, Lane, Played, Scene, Under, play

ROUNDS = 21
BUDGET = 10_000
"""So often it is played through, unless all rounds together serve more jobs than that."""

DRIFT = 0.25
"""What is to come is never more like the past than that: machines are busy at one time and idle at another."""


class Span(NamedTuple):
    """What to expect, in seconds from now, and between what it lies in four of five cases."""

    expected: float
    earliest: float
    latest: float


class Forecast(NamedTuple):
    """When a job is served.

    Attributes:
        served: how many jobs are before it, by user, if each takes as long as most like it did.
        is_met: it was reached; else all that were looked at are before it.
    """

    start: Span
    end: Span
    served: dict[str, int]
    is_met: bool


def forecast(scene: Scene, durations: Durations, job_id: str, own: Sequence[float], known: int) -> Forecast:
    """Return when a waiting job is served; the same question has the same answer.

    Args:
        own: how many seconds jobs like it took.
        known: of how many jobs of its backend the durations are.
    """
    chance = random.Random(job_id)  # noqa: S311 - protects nothing
    left = [median([_left(durations, each, chance) for _ in range(9)]) for each in scene.running]
    usual = play(scene, _first_longer(scene, durations.usual, median), left, job_id)
    starts: list[float] = []
    ends: list[float] = []
    while len(starts) < ROUNDS and (not starts or len(starts) * sum(usual.served.values()) < BUDGET):
        starts.append(_round(scene, durations, chance, job_id).at)
        ends.append(starts[-1] + chance.choice(own))
    return Forecast(span(starts, known), span(ends, known), usual.served, usual.is_met)


def drained(scene: Scene, durations: Durations, backend: str) -> float:
    """Return in how many seconds the last job of a backend ends that waits or runs now."""
    chance = random.Random(backend)  # noqa: S311 - protects nothing
    return _round(scene, durations, chance, "", backend).at


def _round(scene: Scene, durations: Durations, chance: random.Random, job_id: str, backend: str = "") -> Played:
    known: dict[Lane, list[float]] = {}
    draw_number = chance.random

    def draw(backend: str, user: str) -> float:
        seconds = known.get((backend, user))
        if seconds is None:
            seconds = known[backend, user] = durations.of(backend, user)
        return seconds[int(draw_number() * len(seconds))]

    left = [_left(durations, each, chance) for each in scene.running]
    return play(scene, _first_longer(scene, draw, chance.choice), left, job_id, backend)


def _left(durations: Durations, each: Under, chance: random.Random) -> float:
    return durations.left(each.backend, each.user, each.seconds, chance, each.more)


def _first_longer(scene: Scene, draw: Draw, pick: Callable[[Sequence[float]], float]) -> Draw:
    """Return what draws the seconds of jobs, where the first one of a backend that is cold takes longer."""
    cold = dict(scene.cold)
    if not cold:
        return draw

    def longer(backend: str, user: str) -> float:
        more = cold.pop(backend, None)
        return draw(backend, user) + (pick(more) if more else 0.0)

    return longer


def span(drawn: Sequence[float], known: int) -> Span:
    """Return what to expect by what was drawn, with room for what so few known jobs do not tell."""
    ordered = sorted(drawn)
    low, middle, high = (ordered[round(part * (len(ordered) - 1))] for part in (0.1, 0.5, 0.9))
    room = DRIFT + 1 / math.sqrt(max(known, 1))
    return Span(middle, max(0.0, low * (1 - min(room, 1.0))), high * (1 + room))
