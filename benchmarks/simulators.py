"""How fast the simulators are: jobs of the published sizes, and how far they reach.

Each published-size job is also computed by a straightforward dense program (scipy.linalg.expm of the whole
Hamiltonian, numpy's choice for the shots) in the same run, so that the ratio holds on any machine.
Run it with `python benchmarks/simulators.py`; `--quick` leaves the long baselines out.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
import time
from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from models.documents import Experiment, Instruction
from tasks.backends.coldatoms.backend import ColdAtomBackend
from tasks.backends.coldatoms.fermions import Fermions
from tasks.backends.coldatoms.multiqudit import MultiQudit
from tasks.backends.coldatoms.rydberg import Rydberg
from tasks.backends.coldatoms.singlequdit import SingleQudit
from tasks.backends.cost import Limits

Matrix = NDArray[np.float64]
Row = tuple[str, Sequence[int], Sequence[float]]
WIDE = Limits(max_cost=1e12, max_dimension=2**24)


def experiment(rows: Sequence[Row], wires: int, shots: int = 1000, measured: Sequence[int] | None = None) -> Experiment:
    """Return an experiment with these gates and a measure of each wire."""
    ends: list[Row] = [("measure", [wire], []) for wire in (range(wires) if measured is None else measured)]
    instructions = tuple(Instruction(name=n, wires=tuple(w), params=tuple(p)) for n, w, p in [*rows, *ends])
    return Experiment(name="experiment_0", instructions=instructions, num_wires=wires, shots=shots, seed=1)


def seconds(run: Callable[[], object], repeat: int = 1) -> float:
    """Return the shortest time of some runs."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def job(backend: ColdAtomBackend, item: Experiment) -> Callable[[], object]:
    """Return what runs the compiled job, shots and strings included."""
    program = backend.compile([item], 1)
    return lambda: list(backend.execute(program))


def spin_matrices(atoms: int) -> tuple[Matrix, Matrix, Matrix]:
    """Return Lx, Lz and L+ of N atoms, dense."""
    k = np.arange(1, atoms + 1)
    raising = np.diag(np.sqrt(k * (atoms - k + 1.0)), 1)
    return (raising + raising.T) / 2, np.diag(atoms / 2 - np.arange(atoms + 1.0)), raising


def kron(one: Matrix, other: Matrix) -> Matrix:
    """Return the Kronecker product."""
    product: Matrix = np.multiply.outer(one, other).swapaxes(1, 2).reshape(len(one) * len(other), -1)
    return product


def on_wire(matrix: Matrix, wire: int, dims: Sequence[int]) -> Matrix:
    """Return the matrix on the whole space."""
    parts = [matrix if place == wire else np.eye(levels) for place, levels in enumerate(dims)]
    return reduce(kron, parts)


def dense(hamiltonians: Sequence[Matrix], shots: int = 1000) -> Callable[[], object]:
    """Return the straightforward program: one expm for each gate, one choice for all shots."""

    def run() -> list[str]:
        state = np.zeros(len(hamiltonians[0]), dtype=complex)
        state[0] = 1
        for hamiltonian in hamiltonians:
            state = scipy.linalg.expm(-1j * hamiltonian) @ state
        weights = np.abs(state) ** 2
        drawn = np.random.default_rng(1).choice(len(weights), size=shots, p=weights / weights.sum())
        return [str(outcome) for outcome in drawn]

    return run


def jordan_wigner(modes: int) -> list[Matrix]:
    """Return the annihilation operators, dense."""
    sign, lower = np.diag([1.0, -1.0]), np.array([[0.0, 1.0], [0.0, 0.0]])
    return [
        reduce(
            kron,
            [sign if k < mode else lower if k == mode else np.eye(2) for k in range(modes)],
        )
        for mode in range(modes)
    ]


def published(*, quick: bool) -> None:
    """Print the jobs of the published sizes, first run (caches empty) and later runs, and the ratios."""
    print(f"{'published sizes':34} {'first':>9} {'later':>9} {'dense':>9} {'ratio':>8}")
    lx, lz, _ = spin_matrices(500)
    gates: list[Row] = [("load", [0], [500]), ("rlx", [0], [1.5]), ("rlz2", [0], [0.1]), ("rlx", [0], [1.1])]
    compare(
        "singlequdit N=500, 3 gates",
        SingleQudit(),
        experiment(gates, 1),
        [1.5 * lx, 0.1 * lz**2, 1.1 * lx],
        quick=quick,
    )
    full: list[Row] = [("load", [0], [500]), ("sq_full", [0], [1.0, 0.5, 0.01])]
    whole = lx + 0.5 * lz + 0.01 * lz**2
    compare("singlequdit N=500, sq_full", SingleQudit(), experiment(full, 1), [whole], quick=quick)
    dims = [2] * 5
    sx, sz, raising = spin_matrices(1)
    xs, zs, ups = ([on_wire(matrix, wire, dims) for wire in range(5)] for matrix in (sx, sz, raising))
    layer: list[Row] = [("rlx", [wire], [0.7]) for wire in range(5)]
    bonds: list[Row] = [("rlxly", [wire, wire + 1], [0.4]) for wire in range(4)]
    exchange = [ups[wire] @ ups[wire + 1].T for wire in range(4)]
    by_hand = [0.7 * x for x in xs] + [0.4 * (pair + pair.T) for pair in exchange]
    compare("multiqudit 5 qubits, 9 gates", MultiQudit(), experiment(layer + bonds, 5), by_hand, quick=False)
    big: list[Row] = [("load", [0], [63]), ("load", [1], [63]), ("rlx", [0], [0.9]), ("rlxly", [0, 1], [0.02])]
    compare("multiqudit [63,63], 2 gates", MultiQudit(), experiment(big, 2), None, quick=True)
    compare("rydberg 5 atoms, 6 gates", Rydberg(), *rydberg_case(layer, xs, zs), quick=False)
    fermion_rows, fermion_hamiltonians = fermion_case()
    compare("fermions 8 gates", Fermions(), experiment(fermion_rows, 8), fermion_hamiltonians, quick=quick)
    shots = experiment(layer, 5, shots=1_000_000)
    compare("10^6 shots x 5 wires", MultiQudit(), shots, None, quick=True)


def rydberg_case(layer: list[Row], xs: list[Matrix], zs: list[Matrix]) -> tuple[Experiment, list[Matrix]]:
    """Return five rotations and one evolution of the whole chain, as a job and as Hamiltonians."""
    excited = [np.eye(32) / 2 - z for z in zs]
    blockade = sum(
        (excited[i] @ excited[j] / (j - i) ** 6 for i in range(5) for j in range(i + 1, 5)), np.zeros((32, 32))
    )
    whole = sum((1.2 * x + 0.5 * z for x, z in zip(xs, zs, strict=True)), 3.0 * blockade)
    rows: list[Row] = [*layer, ("rydberg_full", [0, 1, 2, 3, 4], [1.2, 0.5, 3.0])]
    return experiment(rows, 5), [*(0.7 * x for x in xs), whole]


def fermion_case() -> tuple[list[Row], list[Matrix]]:
    """Return two loads and eight gates on four sites, as a job and as Hamiltonians (the gates only)."""
    lower = jordan_wigner(8)
    number = [operator.T @ operator for operator in lower]
    hops = [lower[s].T @ lower[s + 2] + lower[s + 1].T @ lower[s + 3] for s in (0, 2, 4)]
    rows: list[Row] = [("load", [0], []), ("load", [3], [])]
    hamiltonians = []
    for turn in range(2):
        rows += [("fhop", [s, s + 1, s + 2, s + 3], [0.6 + turn]) for s in (0, 2, 4)]
        hamiltonians += [(0.6 + turn) * (hop + hop.T) for hop in hops]
        rows.append(("fint", list(range(8)), [1.3]))
        hamiltonians.append(1.3 * sum((number[2 * s] @ number[2 * s + 1] for s in range(4)), np.zeros((256, 256))))
    return rows, hamiltonians


def compare(
    name: str, backend: ColdAtomBackend, item: Experiment, by_hand: list[Matrix] | None, *, quick: bool
) -> None:
    """Print one line; without Hamiltonians (or when quick) there is no baseline."""
    run = job(backend, item)
    first, later = seconds(run), seconds(run, repeat=5)
    line = f"{name:34} {first * 1e3:7.2f}ms {later * 1e3:7.2f}ms"
    if by_hand is not None and not quick:
        baseline = seconds(dense(by_hand, item.shots))
        line += f" {baseline * 1e3:7.1f}ms {baseline / later:7.0f}x"
    print(line)


def reach() -> None:
    """Print how long the largest systems take that are meant to run in about a second."""
    print(f"\n{'reach':34} {'time':>9}")
    big = SingleQudit(max_atoms=8000, limits=WIDE)
    largest: list[Row] = [("load", [0], [8000]), ("rlx", [0], [1.5])]
    report("singlequdit N=8000, rlx", big, experiment(largest, 1))
    worst: list[Row] = [("load", [0], [500]), ("sq_full", [0], [15e6, 15e6, 15e6]), ("rlz2", [0], [62.8])]
    report("singlequdit N=500, largest angles", SingleQudit(), experiment(worst, 1))
    wires = 20
    circuit: list[Row] = []
    for turn in range(2):
        circuit += [("rlx", [wire], [0.3 + turn]) for wire in range(wires)]
        circuit += [("rlzlz", [wire, wire + 1], [0.4]) for wire in range(wires - 1)]
        circuit += [("rlxly", [wire, wire + 1], [0.2]) for wire in range(0, wires - 1, 2)]
    report(f"multiqudit 20 qubits, {len(circuit)} gates", MultiQudit(wires, limits=WIDE), experiment(circuit, wires))
    whole: list[Row] = [("multiqudit_full", list(range(18)), [1.0, 0.5, 0.2, 0.3, 0.4])]
    report("multiqudit_full 18 qubits", MultiQudit(18, limits=WIDE), experiment(whole, 18))
    atoms: list[Row] = [("rlx", [wire], [1.0]) for wire in range(22)]
    block: Row = ("rydberg_block", list(range(22)), [2.0])
    report("rydberg 22 atoms, 45 gates", Rydberg(22, limits=WIDE), experiment([*atoms, block, *atoms], 22))
    drive: list[Row] = [("rydberg_full", list(range(18)), [1.0, 0.5, 2.0])]
    report("rydberg_full 18 atoms", Rydberg(18, limits=WIDE), experiment(drive, 18))
    sites = 13
    loads: list[Row] = [("load", [mode], []) for mode in range(sites)]
    hops: list[Row] = [("fhop", [2 * s, 2 * s + 1, 2 * s + 2, 2 * s + 3], [0.7]) for s in range(2)]
    interaction: Row = ("fint", list(range(2 * sites)), [1.0])
    half_filled = experiment([*loads, *hops, interaction], 2 * sites)
    report("fermions 13 sites half filled", Fermions(sites, limits=WIDE), half_filled)


def report(name: str, backend: ColdAtomBackend, item: Experiment) -> None:
    """Print one line."""
    predicted = backend.predicted_cost([item])
    taken = seconds(job(backend, item))
    print(f"{name:34} {taken:8.3f}s   predicted {predicted:.1e} updates, {predicted / taken:.1e} per second")


if __name__ == "__main__":
    published(quick="--quick" in sys.argv)
    reach()
