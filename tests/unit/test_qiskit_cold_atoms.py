"""Circuits in the conventions of qiskit-cold-atom give the distributions that its Hamiltonians have.

Those are built here as matrices, in its order of wires, from its documentation: spins by Lx, Ly, Lz; fermions by the
Jordan-Wigner strings of all spins up, then all spins down.
"""

import functools
import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Instruction, Parameter
from quledger_client import Refused
from quledger_client.qiskit import cold_atom_circuit
from scipy.linalg import expm

from tasks.backends import registry

Matrix = NDArray[np.complex128]
SHOTS = 20_000
FAR = 0.03


def distribution(circuit: QuantumCircuit, backend: str) -> dict[str, float]:
    """Return how often each outcome comes from the laboratory's backend."""
    document = cold_atom_circuit(circuit, backend, seed=11).document(SHOTS)
    machine = registry.load(backend)
    (result,) = machine.execute(machine.compile(machine.validate(document), 0))
    return {outcome: count / SHOTS for outcome, count in Counter(result["data"]["memory"]).items()}


def distance(one: dict[str, float], other: dict[str, float]) -> float:
    """Return the distance of two distributions, from 0 to 1."""
    return sum(abs(one.get(each, 0.0) - other.get(each, 0.0)) for each in {*one, *other}) / 2


def circuit_of(size: int, *rows: tuple[str, list[int], list[float]]) -> QuantumCircuit:
    """Return a circuit that measures all wires at its end."""
    circuit = QuantumCircuit(size, size)
    for name, wires, values in rows:
        kind = Instruction(name, len(wires), 0, values) if name == "load" else Gate(name, len(wires), values)
        circuit.append(kind, wires)
    circuit.measure(range(size), range(size))
    return circuit


def spin(atoms: int) -> tuple[Matrix, Matrix, Matrix]:
    """Return Lx, Ly and Lz of a spin of `atoms` halves, the largest m first."""
    m = np.arange(atoms / 2, -atoms / 2 - 1, -1)
    up = np.diag(np.sqrt((atoms / 2) * (atoms / 2 + 1) - m[1:] * (m[1:] + 1)), 1).astype(complex)
    return (up + up.T) / 2, (up - up.T) / 2j, np.diag(m).astype(complex)


def spins_distribution(atoms: list[int], *rows: tuple[str, list[int], list[float]]) -> dict[str, float]:
    """Return the distribution of a circuit of spins by its Hamiltonians."""
    sizes = [each + 1 for each in atoms]

    def on(wire: int, which: int) -> Matrix:
        parts = [spin(each)[which] if place == wire else np.eye(each + 1) for place, each in enumerate(atoms)]
        return functools.reduce(np.kron, parts)

    state = np.eye(1, math.prod(sizes), dtype=complex)[0]
    for name, wires, values in rows:
        a, b = wires[0], wires[-1]
        hamiltonian = {
            "rlx": lambda a, _b: on(a, 0),
            "rly": lambda a, _b: on(a, 1),
            "rlz": lambda a, _b: on(a, 2),
            "rlz2": lambda a, _b: on(a, 2) @ on(a, 2),
            "rlzlz": lambda a, b: on(a, 2) @ on(b, 2),
            "rlxly": lambda a, b: on(a, 0) @ on(b, 0) + on(a, 1) @ on(b, 1),
        }[name](a, b)
        state = expm(-1j * values[0] * hamiltonian) @ state
    levels = itertools.product(*(range(size) for size in sizes))
    return {" ".join(map(str, each)): abs(value) ** 2 for each, value in zip(levels, state, strict=True)}


def test_an_exchange_of_spins_has_its_own_factor():
    """G = pi swaps two spins of one atom; twice as much brings them back."""
    rows: list[tuple[str, list[int], list[float]]] = [("rlx", [0], [math.pi])]
    assert distribution(circuit_of(2, *rows, ("rlxly", [0, 1], [math.pi])), "multiqudit") == {"0 1": 1.0}
    assert distribution(circuit_of(2, *rows, ("rlxly", [1, 0], [2 * math.pi])), "multiqudit") == {"1 0": 1.0}


def test_a_turn_about_y_is_made_of_others():
    """From z to x, which a turn about x leaves, and one about z takes to where it does not."""
    quarter = math.pi / 2
    still = circuit_of(1, ("rly", [0], [quarter]), ("rlx", [0], [1.0]), ("rly", [0], [-quarter]))
    assert distribution(still, "singlequdit") == {"0": 1.0}
    turned = circuit_of(1, ("rly", [0], [quarter]), ("rlz", [0], [quarter]), ("rlx", [0], [quarter]))
    assert distribution(turned, "singlequdit") == {"0": 1.0}
    turned = circuit_of(1, ("rly", [0], [quarter]), ("rlz", [0], [-quarter]), ("rlx", [0], [quarter]))
    assert distribution(turned, "singlequdit") == {"1": 1.0}


@pytest.mark.parametrize("seed", range(4))
def test_circuits_of_spins(seed: int):
    """Random ones, of spins of different lengths, with negative angles of all of them."""
    chance = np.random.default_rng(seed)
    atoms = [int(each) for each in chance.integers(1, 4, 2)]
    rows: list[tuple[str, list[int], list[float]]] = []
    for _ in range(10):
        name = str(chance.choice(["rlx", "rly", "rlz", "rlz2", "rlzlz", "rlxly"]))
        wires = [0, 1] if name in ("rlzlz", "rlxly") else [int(chance.integers(2))]
        rows.append((name, wires, [float(chance.uniform(-14.0, 14.0))]))
    loaded = [("load", [wire], [float(each)]) for wire, each in enumerate(atoms)]
    found = distribution(circuit_of(2, *loaded, *rows), "multiqudit")
    assert distance(found, spins_distribution(atoms, *rows)) < FAR


def fermions_distribution(modes: int, *rows: tuple[str, list[int], list[float]]) -> dict[str, float]:
    """Return the distribution of a circuit of fermions by its Hamiltonians."""
    down, still, sign = np.array([[0, 1], [0, 0]]), np.eye(2), np.diag([1, -1])
    c = [
        functools.reduce(np.kron, [sign] * mode + [down] + [still] * (modes - mode - 1)).astype(complex)
        for mode in range(modes)
    ]
    state = np.eye(1, 2**modes, dtype=complex)[0]
    for name, wires, values in rows:
        sites = wires[: len(wires) // 2]
        if name == "load":
            state = c[wires[0]].conj().T @ state
            continue
        hamiltonian = np.zeros((2**modes, 2**modes), dtype=complex)
        for spin_first in (0, modes // 2):
            at = [site + spin_first for site in sites]
            if name == "fhop":
                for (one, other), j in zip(itertools.pairwise(at), values, strict=True):
                    hop = c[one].conj().T @ c[other]
                    hamiltonian -= j * (hop + hop.conj().T)
            elif name == "fphase":
                for mode, mu in zip(at, values, strict=True):
                    hamiltonian += mu * c[mode].conj().T @ c[mode]
        if name == "fint":
            for up in sites:
                n = [c[mode].conj().T @ c[mode] for mode in (up, up + modes // 2)]
                hamiltonian += values[0] * n[0] @ n[1]
        state = expm(-1j * hamiltonian) @ state
    outcomes = itertools.product("01", repeat=modes)
    return {" ".join(each): abs(value) ** 2 for each, value in zip(outcomes, state, strict=True)}


@pytest.mark.parametrize("seed", range(3))
def test_circuits_of_fermions(seed: int):
    """Two particles on three sites: wires are all spins up, then all spins down."""
    chance = np.random.default_rng(seed)
    rows: list[tuple[str, list[int], list[float]]] = [("load", [0], []), ("load", [4], [])]
    for turn in range(9):
        angle = float(chance.uniform(-4, 4))
        first = int(chance.integers(2))
        if turn % 3 == 0:
            rows.append(("fhop", [first, first + 1, first + 3, first + 4], [angle]))
        elif turn % 3 == 1:
            rows.append(("fint", list(range(6)), [angle]))
        else:
            rows.append(("fphase", [first, first + 3], [angle]))
    assert distance(distribution(circuit_of(6, *rows), "fermions"), fermions_distribution(6, *rows)) < FAR


@pytest.mark.parametrize("j", [-0.7, 0.7])
def test_hops_over_the_whole_chain(j: float):
    """With either sign, between two that show it; each spin alone."""
    rows: list[tuple[str, list[int], list[float]]] = [
        ("load", [0], []),
        ("load", [7], []),
        ("fhop", [0, 1, 4, 5], [0.4]),
        ("fhop", list(range(8)), [j, j, j]),
        ("fhop", [2, 3, 6, 7], [0.9]),
    ]
    assert distance(distribution(circuit_of(8, *rows), "fermions"), fermions_distribution(8, *rows)) < FAR


def test_two_atoms_that_block_each_other():
    """Pi of the blockade turns the sign of both being excited."""
    quarter = math.pi / 2
    rows: list[tuple[str, list[int], list[float]]] = [("rlx", [wire], [quarter]) for wire in range(2)]
    circuit = circuit_of(2, *rows, ("rydberg_blockade", [0, 1], [math.pi]), *rows)
    found = distribution(circuit, "rydberg")
    assert distance(found, dict.fromkeys(("0 0", "0 1", "1 0", "1 1"), 0.25)) < FAR
    driven = distribution(circuit_of(2, ("rydberg_full", [0, 1], [math.pi, 0.0, 0.0])), "rydberg")
    assert driven == {"1 1": 1.0}


def test_all_that_cannot_be_run_is_named():
    """By its place in the circuit."""
    bad: Any = circuit_of(
        6,
        ("fhop", [0, 1, 2], [1.0]),
        ("fhop", [0, 2, 3, 5], [1.0]),
        ("fhop", [0, 1, 2, 3, 4, 5], [1.0, 1.0]),
        ("frx", [0, 1], [1.0]),
        ("fint", [0, 3], [1.0]),
        ("fphase", [0, 3], [1.0, 2.0]),
    )
    bad.append(Gate("fphase", 2, [Parameter("mu")]), [0, 3])
    with pytest.raises(Refused) as caught:
        cold_atom_circuit(bad, "fermions")
    names = ["fhop", "fhop", "fhop", "frx", "fint", "fphase"]
    expected = [f"instruction {place} ({name})" for place, name in enumerate(names)]
    assert [each.field for each in caught.value.faults] == [*expected, "instruction 12 (fphase)"]
    with pytest.raises(Refused, match="fermions take two spins on each of at most 4 sites"):
        cold_atom_circuit(QuantumCircuit(3), "fermions")
    with pytest.raises(Refused, match="qubits is no cold-atom backend"):
        cold_atom_circuit(QuantumCircuit(3), "qubits")
