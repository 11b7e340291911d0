"""From a compiled circuit to outcomes: one final state and our own sampler, or Aer shot by shot.

A circuit that ends in its measurements has one final state: it is computed once, and all shots are one multinomial
draw. Where outcomes decide what follows (measurements and resets on the way, branches, loops) or chance does (noise),
Aer runs every shot. Both use one thread and their own seeds, so that outcomes do not depend on the machine's cores.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit, transpile
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from tasks.backends.qubits.circuits import active_qubits, ends_in_measurements, sources
from tasks.backends.sampling import normalised

Real = NDArray[np.float64]

SMALLEST = 1e-12
"""Outcomes less probable than this are rounding errors of the state and never drawn."""


class Outcomes(NamedTuple):
    """What came out.

    Attributes:
        counts: bit string -> shots, in numerical order; classical bit 0 is the rightmost character.
        memory: the bit string of each shot, in their order; None if nobody wants it.
    """

    counts: dict[str, int]
    memory: list[str] | None


def probabilities(circuit: QuantumCircuit, qubits: Sequence[int]) -> Real:
    """Return the exact distribution of `qubits` in the final state, shape (2**len(qubits),); the first varies fastest.

    Args:
        circuit: gates, then measurements, which are left out.
    """
    kept = active_qubits(circuit)
    kept += [qubit for qubit in qubits if qubit not in set(kept)]
    place = {qubit: number for number, qubit in enumerate(kept)}
    compact = QuantumCircuit(len(kept), global_phase=0.0)
    for item in circuit.data:
        if item.operation.name not in {"measure", "barrier", "id", "delay"}:
            compact.append(item.operation, [place[circuit.find_bit(qubit).index] for qubit in item.qubits])
    compact.save_probabilities([place[qubit] for qubit in qubits])
    return np.asarray(_run(compact, None, 1, 0)["probabilities"], dtype=np.float64)


def sample(
    circuit: QuantumCircuit, shots: int, seed: int, noise: NoiseModel | None = None, *, memory: bool = True
) -> Outcomes:
    """Run a circuit `shots` times.

    Args:
        seed: the same one gives the same outcomes, with the memory or without.
        noise: None for a perfect device.
    """
    if noise is None and ends_in_measurements(circuit):
        return _sample_once(circuit, shots, seed, memory=memory)
    data = _run(circuit, noise, shots, seed, memory=True)
    names: dict[str, str] = {}
    for value in data["counts"]:
        names[value] = format(int(value, 16), f"0{circuit.num_clbits}b")
    counts = {names[value]: int(count) for value, count in data["counts"].items()}
    return Outcomes(dict(sorted(counts.items())), [names[value] for value in data["memory"]] if memory else None)


def _sample_once(circuit: QuantumCircuit, shots: int, seed: int, *, memory: bool) -> Outcomes:
    """Draw all shots from the final state."""
    read = sources(circuit)
    qubits = sorted({qubit for qubit in read if qubit is not None})
    weights = probabilities(circuit, qubits)
    weights[weights < SMALLEST] = 0.0
    numbers, order = np.random.SeedSequence(seed).spawn(2)
    drawn = np.random.default_rng(numbers).multinomial(shots, normalised(weights))
    outcomes = np.flatnonzero(drawn)
    names = strings(outcomes, [None if qubit is None else qubits.index(qubit) for qubit in read])
    often = drawn[outcomes]
    counts = dict(sorted(zip(names, often.tolist(), strict=True)))
    return Outcomes(counts, _shuffled(names, often, np.random.default_rng(order)) if memory else None)


def strings(outcomes: NDArray[np.intp], places: Sequence[int | None]) -> list[str]:
    """Return the bit string of each outcome.

    Args:
        places: for each classical bit, 0 first, which bit of the outcome it shows; None for one that stays 0.
    """
    table = np.full((len(outcomes), len(places)), ord("0"), dtype=np.uint8)
    for clbit, place in enumerate(places):
        if place is not None:
            table[:, len(places) - 1 - clbit] += ((outcomes >> place) & 1).astype(np.uint8)
    lines = table.tobytes().decode("ascii")
    width = len(places)
    return [lines[begin : begin + width] for begin in range(0, width * len(outcomes), width)]


def _shuffled(names: Sequence[str], often: NDArray[np.int64], random: np.random.Generator) -> list[str]:
    """Return each name as often as it occurred, in a random order."""
    small = np.uint8 if len(names) <= 2**8 else np.uint16 if len(names) <= 2**16 else np.intp
    order = random.permutation(np.repeat(np.arange(len(names), dtype=small), often))
    shots: list[str] = np.array(names, dtype=object)[order].tolist()
    return shots


def _run(
    circuit: QuantumCircuit, noise: NoiseModel | None, shots: int, seed: int, *, memory: bool = False
) -> Mapping[str, Any]:
    """Run Aer on one circuit and return its data."""
    simulator = AerSimulator(
        method="statevector",
        noise_model=noise,
        max_parallel_threads=1,
        max_parallel_experiments=1,
        max_parallel_shots=1,
    )
    known = set(simulator.operation_names)
    if not all(item.operation.name in known for item in circuit.data):
        # gates of the program's own, which were not transpiled
        circuit = transpile(circuit, simulator, optimization_level=0)
    aer_seed = int(np.random.SeedSequence(seed).generate_state(1)[0]) >> 1
    result = simulator.run(circuit, shots=shots, seed_simulator=aer_seed, memory=memory).result()
    if not result.success:
        raise RuntimeError(f"Aer failed: {result.status}")
    data: Mapping[str, Any] = result.data(0)
    return data
