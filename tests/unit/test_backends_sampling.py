import json
import math
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tasks.backends import registry
from tasks.backends.coldatoms.sampling import Readout


def document(shots: int = 100, seed: int | None = None, experiments: int = 1) -> dict[str, Any]:
    """Return a job of two rotated qubits."""
    gates = [["rlx", [0], [1.0]], ["rlx", [1], [0.5]], ["measure", [0], []], ["measure", [1], []]]
    one = {"instructions": gates, "num_wires": 2, "shots": shots, "seed": seed}
    return {f"experiment_{index}": one for index in range(experiments)}


def program(job: Any, seed: int = 1, name: str = "multiqudit") -> Any:
    """Return the compiled job, as it comes out of JSON."""
    backend = registry.load(name)
    return json.loads(json.dumps(backend.compile(backend.validate(job), seed)))


def memories(job: Any, seed: int = 1, name: str = "multiqudit") -> list[list[str]]:
    """Return the memory of each experiment."""
    return [result["data"]["memory"] for result in registry.load(name).execute(program(job, seed, name))]


def test_a_seed_of_the_user_fixes_the_memory() -> None:
    """The same seed gives the same memory, whatever the job's own entropy."""
    assert memories(document(seed=7), seed=1) == memories(document(seed=7), seed=2)
    assert memories(document(seed=7)) != memories(document(seed=8))


def test_one_number_fixes_the_whole_job() -> None:
    """Without seeds of the user the job's entropy fixes every memory, and the experiments differ."""
    once, again, other = (
        memories(document(experiments=3), 5),
        memories(document(experiments=3), 5),
        memories(document(experiments=3), 6),
    )
    assert once == again
    assert once != other
    assert len({tuple(memory) for memory in once}) == 3


def test_the_program_holds_the_seeds_that_run() -> None:
    """The compiled program names each experiment's seed, the user's or a derived one that any JSON reader keeps."""
    assert program(document(seed=7))["experiments"][0]["seed"] == 7
    derived = [item["seed"] for item in program(document(experiments=5), 2**63 - 1)["experiments"]]
    assert len(set(derived)) == 5
    assert all(0 <= seed < 2**53 for seed in derived)


def test_the_global_generator_is_left_alone() -> None:
    """Sampling neither reads nor moves numpy's global generator."""
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    memory = memories(document())
    assert np.random.random() == expected  # noqa: NPY002
    assert memories(document()) == memory


def test_shots_follow_the_distribution() -> None:
    """A hundred thousand shots agree with the exact distribution within five standard deviations."""
    shots = 100_000
    backend = registry.load("multiqudit")
    exact = backend.probabilities(backend.validate(document())[0])  # type: ignore[attr-defined]
    counts = Counter(memories(document(shots=shots))[0])
    assert counts.keys() <= exact.keys()
    for outcome, p in exact.items():
        assert abs(counts[outcome] - shots * p) < 5 * math.sqrt(shots * p * (1 - p))


def test_shots_come_in_random_order() -> None:
    """The shots are independent of one another: the first half of the memory has the distribution of the second."""
    memory = memories(document(shots=100_000))[0]
    first, second = Counter(memory[:50_000]), Counter(memory[50_000:])
    for outcome in first:
        assert abs(first[outcome] - second[outcome]) < 6 * math.sqrt(2 * first[outcome])
    repeats = sum(a == b for a, b in pairwise(memory)) / len(memory)
    expected = sum((count / len(memory)) ** 2 for count in Counter(memory).values())
    assert abs(repeats - expected) < 0.01


@pytest.mark.parametrize("name", ["multiqudit", "fermions", "rydberg"])
def test_without_a_measure_the_memory_is_empty(name: str) -> None:
    """Nothing measured gives a result with no outcome and an empty distribution."""
    job = {"experiment_0": {"instructions": [["barrier", [], []]], "num_wires": 1, "shots": 9}}
    backend = registry.load(name)
    (result,) = backend.execute(program(job, name=name))
    assert (result["shots"], result["data"]["memory"]) == (9, [])
    assert backend.probabilities(backend.validate(job)[0]) == {}  # type: ignore[attr-defined]


def test_a_result_is_what_the_contract_says() -> None:
    """A result carries the experiment's name, its shots, one string per shot and the instructions that ran."""
    job = {
        "experiment_03": {
            "instructions": [["rlx", ["1"], [math.pi]], ["measure", [1], []]],
            "num_wires": 2,
            "shots": "4",
        }
    }
    (result,) = registry.load("rydberg").execute(program(job, name="rydberg"))
    assert json.loads(json.dumps(result)) == {
        "header": {"name": "experiment_03", "extra metadata": "text"},
        "shots": 4,
        "success": True,
        "data": {
            "memory": ["1"] * 4,
            "instructions": [
                {"name": "rlx", "wires": [1], "params": [math.pi]},
                {"name": "measure", "wires": [1], "params": []},
            ],
        },
    }


def test_a_program_of_another_backend_is_refused() -> None:
    """A program runs only on the backend that compiled it."""
    with pytest.raises(ValueError, match="rydberg"):
        list(registry.load("rydberg").execute(program(document())))


def test_wires_that_are_not_measured_are_summed_out() -> None:
    """The distribution of some wires is the marginal of that of all."""
    weights = np.random.default_rng(1).random((2, 3, 4, 5))
    weights /= weights.sum()
    found = Readout.of_wires(weights, (2, 3, 4, 5), (3, 1)).distribution()
    marginal = weights.sum(axis=(0, 2))
    assert found == pytest.approx({f"{d} {b}": marginal[b, d] for b in range(3) for d in range(5)}, abs=1e-15)


@pytest.mark.parametrize("weights", [[0.5, 0.4], [0.5, 0.51], [math.nan, 1.0]])
def test_weights_must_add_up_to_one(weights: list[float]) -> None:
    """A distribution that is not normalised within rounding is an error of the program."""
    with pytest.raises(ArithmeticError):
        Readout.of_wires(np.array(weights), (2,), (0,))


def test_rounding_is_normalised_away() -> None:
    """A sum that is off by rounding only is put right."""
    assert sum(Readout.of_wires(np.array([0.5, 0.5 + 1e-9]), (2,), (0,)).weights) == pytest.approx(1, abs=1e-15)
