"""Random circuits of cold atoms against one matrix exponential for each gate, on the whole space."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
import scipy.linalg

from tasks.backends.coldatoms import chain, hamiltonian, sectors, spin
from tasks.backends.coldatoms.fermions import Fermions
from tasks.backends.coldatoms.multiqudit import MultiQudit
from tasks.backends.coldatoms.rydberg import Rydberg
from tasks.backends.cost import Limits
from tests.unit.coldatoms_jobs import HALF, hop, load, run, same


def spin_operators(atoms: int) -> tuple[Any, Any, Any]:
    """Return Lx, Lz and L+ of N atoms."""
    k = np.arange(1, atoms + 1)
    raising = np.diag(np.sqrt(k * (atoms - k + 1.0)), 1)
    return (raising + raising.T) / 2, np.diag(atoms / 2 - np.arange(atoms + 1.0)), raising


def placed(matrix: Any, wire: int, dims: Sequence[int]) -> Any:
    """Return the matrix of one wire on the whole space."""
    return reduce(np.kron, [matrix if place == wire else np.eye(levels) for place, levels in enumerate(dims)])


def distribution(state: Any, dims: Sequence[int], measured: Sequence[int]) -> dict[str, float]:
    """Return the distribution of memory strings of a state."""
    weights: dict[str, float] = {}
    for index, amplitude in zip(product(*map(range, dims)), state, strict=True):
        key = " ".join(str(index[wire]) for wire in measured)
        weights[key] = weights.get(key, 0.0) + abs(amplitude) ** 2
    return weights


def evolved(hamiltonians: Sequence[Any], size: int) -> Any:
    """Return level 0 after one exponential for each Hamiltonian."""
    state = np.zeros(size, dtype=complex)
    state[0] = 1
    return reduce(lambda psi, h: scipy.linalg.expm(-1j * h) @ psi, hamiltonians, state)


def spin_circuit(dims: Sequence[int], random: np.random.Generator) -> tuple[list[Any], list[Any]]:
    """Return random gates on a chain, and the Hamiltonian of each."""
    wires, rows, hamiltonians = len(dims), [], []
    operators = [
        [placed(matrix, wire, dims) for matrix in spin_operators(levels - 1)] for wire, levels in enumerate(dims)
    ]
    xy = [operators[i][2] @ operators[i + 1][2].T for i in range(wires - 1)]
    xy = [pair + pair.T for pair in xy]
    zz = [operators[i][1] @ operators[i + 1][1] for i in range(wires - 1)]
    for _ in range(12):
        wire, angle = int(random.integers(wires)), float(random.uniform(0, 3))
        x, z, _ = operators[wire]
        bond = min(wire, wires - 2)
        full = [float(value) for value in random.uniform(0, 1, 5)]
        whole = sum(full[0] * x + full[1] * z + full[2] * z @ z for x, z, _ in operators)
        whole = whole + sum((full[3] * a + full[4] * b for a, b in zip(xy, zz, strict=True)), np.zeros_like(x))
        everything, pair = list(range(wires)), [bond, bond + 1]
        choices = [
            ("rlx", [wire], [angle], angle * x),
            ("rlz", [wire], [angle], angle * z),
            ("rlz2", [wire], [angle], angle * z @ z),
        ]
        if wires > 1:
            choices += [
                ("rlxly", pair, [angle], angle * xy[bond]),
                ("rlzlz", pair, [angle], angle * zz[bond]),
                ("rlxly", everything, [angle], angle * sum(xy)),
                ("rlzlz", everything, [angle], angle * sum(zz)),
                ("multiqudit_full", everything, full, whole),
            ]
        name, on, params, matrix = choices[int(random.integers(len(choices)))]
        rows.append([name, on, params])
        hamiltonians.append(matrix)
    return rows, hamiltonians


@pytest.fixture(params=["matrices", "polynomials and shifts"])
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a test with the ways of small systems, and with those of large ones forced on small ones."""
    if request.param != "matrices":
        monkeypatch.setattr(hamiltonian, "MIN_DENSE", 1)
        monkeypatch.setattr(hamiltonian, "MAX_DENSE", 1)
        monkeypatch.setattr(hamiltonian, "WINDOW", 5)
        monkeypatch.setattr(chain, "SMALL", 1)
        monkeypatch.setattr(chain, "BLOCK", 1)
        monkeypatch.setattr(chain, "KEEP_BLOCKS", 0)
        monkeypatch.setattr(sectors, "SMALL", 0)
        monkeypatch.setattr(sectors, "CHUNK_BYTES", 200)
    yield request.param
    chain.exchange_matrix.cache_clear()


@pytest.mark.parametrize("dims", [(2,), (30,), (2, 2), (3, 12), (7, 2, 3), (2, 3, 2, 3), (2, 2, 2, 2, 2)])
def test_spin_chains_agree_with_matrix_exponentials(dims: tuple[int, ...], method: str) -> None:
    """Random circuits on chains of spins give what a matrix exponential for each gate gives."""
    random = np.random.default_rng(len(dims) * 100 + dims[0])
    rows, hamiltonians = spin_circuit(dims, random)
    loads = [["load", [wire], [levels - 1]] for wire, levels in enumerate(dims)]
    measured = [int(wire) for wire in random.permutation(len(dims))]
    expected = distribution(evolved(hamiltonians, math.prod(dims)), dims, measured)
    found = run(
        MultiQudit(num_wires=max(2, len(dims)), limits=Limits(max_cost=1e12)), [*loads, *rows], measured, len(dims)
    )
    assert same(found, expected)


@pytest.mark.parametrize("atoms", [1, 3, 5])
def test_rydberg_chains_agree_with_matrix_exponentials(atoms: int, method: str) -> None:
    """Random circuits on Rydberg atoms give what a matrix exponential for each gate gives."""
    random = np.random.default_rng(atoms)
    dims = (2,) * atoms
    operators = [[placed(matrix, wire, dims) for matrix in spin_operators(1)] for wire in range(atoms)]
    excited = [np.eye(2**atoms) / 2 - z for _, z, _ in operators]
    pairs = combinations(range(atoms), 2)
    potential = sum((excited[i] @ excited[j] / (j - i) ** 6 for i, j in pairs), np.zeros((2**atoms, 2**atoms)))
    rows, hamiltonians = [], []
    for _ in range(4):
        for wire, (x, z, _) in enumerate(operators):
            a, b = (float(value) for value in random.uniform(0, 6, 2))
            rows += [["rlx", [wire], [a]], ["rlz", [wire], [b]]]
            hamiltonians += [a * x, b * z]
        omega, delta, phi = (float(value) for value in random.uniform(0, 4, 3))
        rows += [["rydberg_block", [0, 1, 2, 3, 4], [phi]], ["rydberg_full", [0, 1, 2, 3, 4], [omega, delta, phi]]]
        drive = sum(omega * x + delta * z for x, z, _ in operators)
        hamiltonians += [phi * potential, drive + phi * potential]
    measured = list(range(atoms))
    assert same(run(Rydberg(), rows, measured, atoms), distribution(evolved(hamiltonians, 2**atoms), dims, measured))


def annihilators(modes: int) -> list[Any]:
    """Return the annihilation operators of all modes, with their Jordan-Wigner strings."""
    sign, lower = np.diag([1.0, -1.0]), np.array([[0.0, 1.0], [0.0, 0.0]])
    return [
        reduce(np.kron, [sign if k < m else lower if k == m else np.eye(2) for k in range(modes)]) for m in range(modes)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("sites", "seed"), [(2, 0), (3, 1), (3, 2), (3, 3)])
def test_fermions_agree_with_jordan_wigner(sites: int, seed: int, method: str) -> None:
    """Random circuits of fermions, loads in between included, give what Jordan-Wigner matrices give."""
    random = np.random.default_rng(seed)
    modes = 2 * sites
    lower = annihilators(modes)
    number = [operator.T @ operator for operator in lower]
    hops = [lower[2 * s].T @ lower[2 * s + 2] + lower[2 * s + 1].T @ lower[2 * s + 3] for s in range(sites - 1)]
    hops = [matrix + matrix.T for matrix in hops]
    state = np.zeros(2**modes, dtype=complex)
    state[0] = 1
    rows: list[Any] = []
    every = list(range(modes))
    gates: list[Callable[[int], tuple[str, list[int], Any]]] = [
        lambda s: ("fhop", list(range(2 * s, 2 * s + 4)), hops[s]),
        lambda s: ("fhop", every, sum(hops)),
        lambda s: ("fint", every, sum(number[2 * i] @ number[2 * i + 1] for i in range(sites))),
        lambda s: ("fphase", [2 * s, 2 * s + 1], number[2 * s] + number[2 * s + 1]),
        lambda s: ("fphase", every, sum(number)),
    ]
    for _ in range(14):
        mode, angle = int(random.integers(modes)), float(random.uniform(0, 6))
        loaded = lower[mode].T @ state
        if random.random() < 0.4 and abs(np.linalg.norm(loaded) - 1) < 1e-9:
            state = loaded
            rows.append(["load", [mode], []])
            continue
        name, wires, matrix = gates[int(random.integers(len(gates)))](int(random.integers(sites - 1)))
        state = scipy.linalg.expm(-1j * angle * matrix) @ state
        rows.append([name, wires, [angle]])
    measured = [int(m) for m in random.permutation(modes)[: modes - 1]]
    assert same(run(Fermions(sites), rows, measured, modes), distribution(state, (2,) * modes, measured))


def test_a_load_between_sites_counts_the_fermions_before_it() -> None:
    """A fermion put between two sites that share another one has the sign of Jordan and Wigner."""
    lower = annihilators(6)
    steps = [(0, math.pi / 4), (1, HALF), (-1, 0.0), (0, 0.7), (1, 0.5), (0, 0.9)]
    state, rows = lower[0].T @ np.eye(64)[0], load(0)
    for site, angle in steps:
        if site < 0:
            state, rows = lower[2].T @ state, [*rows, *load(2)]
            continue
        matrix = sum(lower[2 * site + s].T @ lower[2 * site + 2 + s] for s in (0, 1))
        state, rows = scipy.linalg.expm(-1j * angle * (matrix + matrix.T)) @ state, [*rows, hop(site, angle)]
    assert same(run(Fermions(3), rows, range(6), 6), distribution(state, (2,) * 6, range(6)))


def test_a_hop_over_a_site_counts_the_fermions_between() -> None:
    """The hop between distant sites has the sign of the fermions it passes."""
    lower = annihilators(6)
    hops = [(0, 2, 0.8), (1, 2, 0.6), (0, 1, 0.7), (2, 0, 0.4)]
    state = lower[2].T @ lower[0].T @ np.eye(64)[0]
    found = sectors.SectorState(3)
    found.load(0, down=False)
    found.load(1, down=False)
    for a, b, angle in hops:
        matrix = sum(lower[2 * a + s].T @ lower[2 * b + s] for s in (0, 1))
        phase = np.exp(-0.9j * np.diag(lower[2].T @ lower[2]))
        state = phase * (scipy.linalg.expm(-1j * angle * (matrix + matrix.T)) @ state)
        found.hop(a, b, angle)
        found.phase(0.9, [1], [])
    assert same(found.readout(range(6)).distribution(), distribution(state, (2,) * 6, range(6)))


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.9, 3.0, math.pi, 4.5, 6.2])
def test_large_spins_turn_by_polynomials(angle: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of large spins gives the same state as the eigenvectors of Lx."""
    random = np.random.default_rng(1)
    state = random.normal(size=(2, 122, 3)) + 1j * random.normal(size=(2, 122, 3))
    expected = spin.rotate(state, 121, angle)
    monkeypatch.setattr(spin, "DENSE_ATOMS", 1)
    assert np.abs(spin.rotate(state, 121, angle) - expected).max() < 1e-11


def test_large_spins_evolve_by_polynomials() -> None:
    """sq_full of a large spin gives the same state by polynomials as by eigenvectors."""
    state = np.ones((1, 301, 1), dtype=complex) / math.sqrt(301)
    diagonal, off_diagonal = 0.3 * spin.lz(300) + 0.001 * spin.lz(300) ** 2, 0.4 * spin.ladder(300)
    expected = spin.evolve_tridiagonal(state, diagonal, off_diagonal)
    assert np.abs(spin.evolve_polynomials(state, diagonal, off_diagonal) - expected).max() < 1e-12
