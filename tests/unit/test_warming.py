"""What the beginning of a drain costs, and what is expected shortly after its first claims."""

import math
import random

import pytest

from models.durations import Durations, Ran
from models.forecast import forecast
from models.service_order import Head, Lane, Scene, Under, play
from models.warming import Warming


def ran(backend: str, began: float, seconds: float, worker: str = "w") -> Ran:
    """Return a run of a user."""
    return Ran(backend, "u", 100, 5.0, began, seconds, worker)


RUNS = [
    # The first two, side by side; then ten that are usual; then the first one of another backend, and eight usual ones.
    *(ran("b", 0.0, 9.0), ran("b", 1.0, 7.0)),
    *(ran("b", 10.0 + nth, 2.0) for nth in range(10)),
    ran("c", 30.0, 5.0),
    *(ran("c", 40.0 + nth, 3.0) for nth in range(8)),
]


def test_beginnings_are_those_before_any_was_through():
    """Of the worker, or of the worker at the backend; who ran something is not always known."""
    warming = Warming(RUNS)
    found = [warming.is_beginning(run.worker, run.backend, run.began) for run in RUNS]
    assert found == [True, True, *[False] * 10, True, *[False] * 8]
    assert not Warming([ran("b", 0.0, 9.0, worker="")]).is_beginning("", "b", 0.0)
    assert warming.is_beginning("new", "b", 50.0)


def test_what_a_beginning_costs():
    """By how much it took longer than is usual: 9 and 7 against 2 seconds, 5 against 3."""
    durations = Durations(RUNS)
    assert (set(durations.of("b", "u")), durations.of("c", "u")) == ({2.0}, [3.0] * 8)
    assert (durations.knows("b"), durations.knows("c")) == (12, 9)
    assert sorted(durations.warming.cost("new", "b", 50.0)) == [5.0, 7.0]
    assert durations.warming.cost("w", "d", 50.0) == [2.0]
    assert durations.warming.cost("w", "b", 50.0) == ()
    # With little more known than beginnings, they too say how long a job takes.
    alone = Durations(RUNS[:9])
    assert (sorted(alone.of("b", "u")), alone.warming.cost("new", "b", 50.0)) == ([*[2.0] * 7, 7.0, 9.0], [])


def test_the_first_job_of_a_backend_takes_longer():
    """Of one that no worker under way has served; where none is, a drain may begin whenever it wants."""
    warming = Durations(RUNS).warming
    assert warming.to_come([("w", "b")], {"b", "c", "d"}) == {"d": [2.0]}
    assert warming.to_come([("new", "b")], {"b", "c"}) == {"c": [2.0]}
    assert warming.to_come([], {"b", "c"}) == {}
    queues = {("b", "u"): [Head("1", "first"), Head("2", "second"), Head("3", "third")]}
    scene = Scene(queues, [], 1, cold={"b": [4.0]})
    durations = Durations([ran("b", 0.0, 2.0, worker="")])
    assert forecast(scene, durations, "second", [2.0], 1).start.expected == 6.0
    assert forecast(scene, durations, "third", [2.0], 1).start.expected == 8.0


def test_what_is_left_of_a_beginning():
    """As long as others took that were one: 2 seconds and 7 more, of which 3 are over."""
    durations = Durations([ran("b", 0.0, 9.0), *RUNS[2:12]])
    assert durations.left("b", "u", 3.0, random.Random(1), [7.0]) == 6.0
    assert durations.left("b", "u", 0.5, random.Random(1)) == 1.5


KINDS = {("b", "u"): 0.5, ("c", "u"): 6.0, ("d", "u"): 1.0}
"""One user's jobs, so that they are begun in the order in which they came; the median of their seconds."""
SLOTS = 3


def drained(jobs: list[tuple[str, str, str]], at: float, worker: str, chance: random.Random) -> list[tuple[Ran, str]]:
    """Return how a drain runs jobs, and their ids: the first ones take 6 seconds more, the first of a backend 2."""
    lanes: dict[Lane, list[Head]] = {}
    for nth, (backend, user, job_id) in enumerate(jobs):
        lanes.setdefault((backend, user), []).append(Head(f"{nth:04}", job_id))
    seconds: dict[str, float] = {}
    met: set[str] = set()
    for nth, (backend, user, job_id) in enumerate(jobs):
        usual = chance.lognormvariate(math.log(KINDS[backend, user]), 0.4)
        seconds[job_id] = usual + (6.0 if nth < SLOTS else 0.0 if backend in met else 2.0)
        met.add(backend)
    found, free = [], [at] * SLOTS
    for backend, user, job_id in jobs:
        free.sort()
        found.append((Ran(backend, user, 100, 9.0, free[0], seconds[job_id], worker), job_id))
        free[0] += seconds[job_id]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_four_of_five_starts_are_within_a_factor_of_two_shortly_after_the_first_claims(seed: int):
    """Two drains have run before; the third one has begun its first three jobs two seconds ago."""
    chance = random.Random(seed)
    kinds = list(KINDS)

    def queue(number: int) -> list[tuple[str, str, str]]:
        return [(*chance.choice(kinds), f"{number}-{nth}") for nth in range(103 if number == 2 else 40)]

    past = [run for number in range(2) for run, _ in drained(queue(number), number * 1000.0, f"w{number}", chance)]
    jobs = queue(2)
    truth = {job_id: run.began - 2.0 for run, job_id in drained(jobs, 0.0, "w2", chance)}
    durations = Durations(past)
    under = [Under(backend, user, 2.0, durations.warming.cost("w2", backend, 0.0)) for backend, user, _ in jobs[:SLOTS]]
    cold = durations.warming.to_come([("w2", each.backend) for each in under], {"b", "c", "d"})
    queues: dict[Lane, list[Head]] = {}
    for nth, (backend, user, job_id) in enumerate(jobs[SLOTS:]):
        queues.setdefault((backend, user), []).append(Head(f"{nth:04}", job_id))
    good = 0
    for backend, user, job_id in jobs[SLOTS:]:
        scene = Scene(queues, under, SLOTS, cold=cold)
        start = forecast(scene, durations, job_id, durations.of(backend, user), durations.knows(backend)).start
        good += (start.expected + 1) / 2 <= truth[job_id] + 1 <= 2 * (start.expected + 1)
    assert good >= 80


def test_it_is_played_with_what_is_left():
    """A round begins with what each job under way still takes."""
    assert play(Scene({("b", "u"): [Head("1", "j")]}, [Under("b", "u", 1.0)], 1), lambda *_: 1.0, [5.0], "j").at == 5.0
