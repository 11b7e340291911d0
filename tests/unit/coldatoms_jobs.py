"""How the tests of the cold atoms run jobs and compare distributions."""

import math
from collections.abc import Sequence
from typing import Any

from tasks.backends.coldatoms.backend import ColdAtomBackend

TOLERANCE = 1e-10
HALF = math.pi / 2


def run(
    backend: ColdAtomBackend, rows: Sequence[Any], measured: Sequence[int] = (0,), num_wires: int = 1
) -> dict[str, float]:
    """Return the distribution of a job that goes through validation."""
    rows = [*rows, *(["measure", [wire], []] for wire in measured)]
    job = {"experiment_0": {"instructions": rows, "num_wires": num_wires, "shots": 1}}
    return backend.probabilities(backend.validate(job)[0])


def same(found: dict[str, float], expected: dict[str, float]) -> bool:
    """Return whether two distributions agree."""
    return all(abs(found.get(key, 0.0) - expected.get(key, 0.0)) < TOLERANCE for key in found.keys() | expected.keys())


def hop(site: int, angle: float) -> list[Any]:
    """Return a hop between a site and the next."""
    return ["fhop", [2 * site, 2 * site + 1, 2 * site + 2, 2 * site + 3], [angle]]


def load(*modes: int) -> list[Any]:
    """Return loads of these modes."""
    return [["load", [mode], []] for mode in modes]
