"""Random circuits of spins and fermions on PennyLane's devices, beside their Hamiltonians as matrices.

Prints as JSON how far the distributions are from each other, and what else a physicist asks for.
"""

import functools
import itertools
import json
import math
from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.exceptions import WireError
from quledger_client import Client, Refused
from quledger_client.pennylane import (
    FermionDevice,
    Hop,
    Interact,
    Level,
    Load,
    LoadFermion,
    Lz,
    Phase,
    RLx,
    RLxLy,
    RLz,
    RLz2,
    RLzLz,
    SpinDevice,
)

Matrix = NDArray[np.complex128]
SHOTS, SITES = 20_000, 4
client = Client.local()
spins, fermions = SpinDevice(wires=2, client=client, seed=3), FermionDevice(client=client, seed=3)


def evolved(hamiltonian: Matrix, state: Matrix) -> Matrix:
    """Return exp(-i H) of a state."""
    energies, vectors = np.linalg.eigh(hamiltonian)
    return np.asarray(vectors @ (np.exp(-1j * energies) * (vectors.conj().T @ state)))


def sampled(device: Any, operations: list[Any]) -> dict[str, float]:
    """Return how often each outcome of all wires comes."""

    @qml.set_shots(SHOTS)
    @qml.qnode(device)
    def circuit() -> Any:
        for each in operations:
            qml.apply(each)
        return qml.counts()

    return {str(outcome): int(count) / SHOTS for outcome, count in circuit().items()}


def distance(found: dict[str, float], state: Matrix, sizes: list[int]) -> float:
    """Return how far a distribution is from that of a state, from 0 to 1."""
    levels = itertools.product(*map(range, sizes))
    right = {" ".join(map(str, each)): abs(value) ** 2 for each, value in zip(levels, state, strict=True)}
    return sum(abs(found.get(each, 0.0) - right.get(each, 0.0)) for each in {*found, *right}) / 2


def of_spins(chance: np.random.Generator) -> float:
    """Try a circuit of two spins of different lengths; a coupling has its own factors: J (L+L- + h.c.), J LzLz."""
    atoms = [2, 3]
    m = [np.arange(each / 2, -each / 2 - 1, -1) for each in atoms]
    up = [
        np.diag(np.sqrt(each / 2 * (each / 2 + 1) - at[1:] * (at[1:] + 1)), 1)
        for each, at in zip(atoms, m, strict=True)
    ]
    x = [(each + each.T) / 2 for each in up]
    one = [np.eye(each + 1) for each in atoms]
    state = np.eye(1, math.prod(each + 1 for each in atoms), dtype=complex)[0]
    operations: list[Any] = [Load(each, wires=wire) for wire, each in enumerate(atoms)]
    for _ in range(8):
        angle, wire = float(chance.uniform(0, 6)), int(chance.integers(2))

        def on(which: list[Any], wire: int = wire) -> Any:
            return np.kron(*(which[0], one[1]) if wire == 0 else (one[0], which[1]))

        z = [np.diag(each) for each in m]
        exchange = np.kron(up[0], up[1].T)
        gates = [
            (RLx, on(x), wire),
            (RLz, on(z), wire),
            (RLz2, on([each @ each for each in z]), wire),
            (RLxLy, exchange + exchange.T, [0, 1]),
            (RLzLz, np.kron(*z), [1, 0]),
        ]
        kind, hamiltonian, wires = gates[int(chance.integers(len(gates)))]
        operations.append(kind(angle, wires=wires))
        state = evolved(angle * hamiltonian, state)
    return distance(sampled(spins, operations), state, [each + 1 for each in atoms])


def of_fermions(chance: np.random.Generator) -> float:
    """Try a circuit of three fermions; strings of signs go by all spins up, then all spins down."""
    modes = 2 * SITES
    down, still, sign = np.array([[0, 1], [0, 0]]), np.eye(2), np.diag([1, -1])
    ordered = [
        functools.reduce(np.kron, [sign] * mode + [down] + [still] * (modes - mode - 1)) for mode in range(modes)
    ]
    c = [ordered[wire // 2 + SITES * (wire % 2)] for wire in range(modes)]
    n = [each.T @ each for each in c]
    state = np.eye(1, 2**modes, dtype=complex)[0]
    operations: list[Any] = []
    for wire in (0, 1, 4):
        operations.append(LoadFermion(wires=wire))
        state = c[wire].T @ state
    for turn in range(9):
        angle, site = float(chance.uniform(0, 6)), int(chance.integers(SITES - 1))
        first = 2 * site
        if turn % 3 == 0:
            hamiltonian = c[first].T @ c[first + 2] + c[first + 1].T @ c[first + 3]
            hamiltonian = hamiltonian + hamiltonian.T
            operations.append(Hop(angle, wires=range(first, first + 4)))
        elif turn % 3 == 1:
            hamiltonian = sum(n[2 * each] @ n[2 * each + 1] for each in range(SITES))
            operations.append(Interact(angle, wires=range(modes)))
        else:
            hamiltonian = n[first] + n[first + 1]
            operations.append(Phase(angle, wires=[first, first + 1]))
        state = evolved(angle * hamiltonian, state)
    order = [wire // 2 + SITES * (wire % 2) for wire in range(modes)]
    state = state.reshape([2] * modes).transpose(order).reshape(-1)
    return distance(sampled(fermions, operations), state, [2] * modes)


@qml.set_shots(20)
@qml.qnode(SpinDevice(wires=2, client=client, seed=5, labels={"of": "sweep"}))
def swept(angles: Any) -> Any:
    """Measure sums, products and powers of a sweep, all of whose circuits are handed in at once."""
    Load(4, wires=0)
    RLx(angles, wires=0)
    return qml.expval(2 * Lz(0) + Lz(1)), qml.expval(Level(0) ** 2), qml.var(0.5 - Level(1)), qml.sample(Level(0))


def refused(device: Any, *operations: Any, measurement: Any) -> list[str]:
    """Return what is said of a circuit that is none."""

    @qml.set_shots(10)
    @qml.qnode(device)
    def circuit() -> Any:
        for each in operations:
            qml.apply(each)
        return measurement()

    try:
        circuit()
    except Refused as error:
        return sorted(each.field for each in error.faults)
    except WireError as error:
        return [type(error).__name__]
    return []


def gradient() -> str:
    """Return what a gradient of these gates says: there is none, which is no zero."""

    @qml.set_shots(10)
    @qml.qnode(spins)
    def turned(angle: Any) -> Any:
        RLx(angle, wires=0)
        return qml.expval(Lz(0))

    try:
        return str(qml.grad(turned)(qml.numpy.array(1.0, requires_grad=True)))
    except Exception as error:  # noqa: BLE001 - whatever PennyLane raises
        return type(error).__name__


found: dict[str, Any] = {
    "spins": [of_spins(np.random.default_rng(seed)) for seed in range(4)],
    "fermions": [of_fermions(np.random.default_rng(seed)) for seed in range(3)],
}
most = client.backend("multiqudit").limits.experiments
many = swept(np.linspace(0, math.pi, most + 2))
(first, squares, variances, levels) = many
documents = [job.document() for job in client.jobs(label="of=sweep")]
found["sweep"] = {
    "jobs": sorted((len(each), each["experiment_0"]["quledger_run"]["kind"]) for each in documents),
    "ends": [float(first[0]), float(first[-1]), float(squares[0]), float(squares[-1]), float(max(variances))],
    "levels": list(levels.shape),
    "seeds": len({each["seed"] for document in documents for each in document.values()}),
}
found["refused"] = {
    "fermions": refused(
        fermions, Hop(1.0, wires=[0, 2, 4, 6]), RLx(1.0, wires=0), measurement=lambda: qml.expval(Lz(0))
    ),
    "spins": refused(spins, measurement=lambda: qml.counts(Lz(0), all_outcomes=True)),
    "far": refused(fermions, LoadFermion(wires=8), measurement=qml.counts),
    "probs": refused(spins, measurement=lambda: qml.probs(wires=[0])),
}
found["gradient"] = gradient()
found["shots"] = [
    float(each) for each in qml.set_shots(qml.QNode(lambda: qml.expval(Level(wires=1)), spins), shots=(10, 20))()
]
client.close()
print(json.dumps(found))
