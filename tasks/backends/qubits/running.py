"""From a compiled circuit to outcomes: one final state and our own sampler, or Aer shot by shot.

A circuit that ends in its measurements has one final state: it is computed once, and all shots are one multinomial
draw. Where outcomes decide what follows (measurements and resets on the way, branches, loops) or chance does (noise),
Aer runs every shot. Both use one thread and their own seeds, so that outcomes do not depend on the machine's cores.
"""

import json
import os
import resource
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Clbit, ControlFlowOp, WhileLoopOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from models.errors import Fault, JobRejected
from tasks.backends.coldatoms.sampling import normalised
from tasks.backends.qubits.circuits import active_qubits, ends_in_measurements, sources

Real = NDArray[np.float64]

SMALLEST = 1e-12
"""Outcomes less probable than this are rounding errors of the state and never drawn."""


WHILE_SECONDS = 6
"""CPU time of a circuit with a `while`: whether that ever ends, nobody can say beforehand."""


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


def sample(  # noqa: PLR0913 - what decides the outcomes, by name
    circuit: QuantumCircuit,
    shots: int,
    seed: int,
    noise: NoiseModel | None = None,
    *,
    memory: bool = True,
    hidden: int = 0,
) -> Outcomes:
    """Run a circuit `shots` times.

    Args:
        seed: the same one gives the same outcomes, with the memory or without.
        noise: None for a perfect device.
        hidden: how many of the last classical bits are no part of an outcome.
    """
    size = circuit.num_clbits - hidden
    if noise is None and ends_in_measurements(circuit):
        return _sample_once(circuit, shots, seed, size, memory=memory)
    if any(isinstance(item.operation, ControlFlowOp) for item in circuit.data):
        seen = _seen_to_the_end(circuit)
        if _has_while(circuit):
            data = within(WHILE_SECONDS, lambda: _run(seen, noise, shots, seed, memory=True))
        else:
            data = _run(seen, noise, shots, seed, memory=True)
    else:
        data = _run(circuit, noise, shots, seed, memory=True)
    mask = (1 << size) - 1
    names = {value: format(int(value, 16) & mask, f"0{size}b") for value in data["counts"]}
    counts: dict[str, int] = {}
    for value, count in data["counts"].items():
        counts[names[value]] = counts.get(names[value], 0) + int(count)
    return Outcomes(dict(sorted(counts.items())), [names[value] for value in data["memory"]] if memory else None)


def _has_while(circuit: QuantumCircuit) -> bool:
    """Say whether there is a `while` anywhere in a circuit."""
    flow = [item.operation for item in circuit.data if isinstance(item.operation, ControlFlowOp)]
    return any(isinstance(each, WhileLoopOp) or any(map(_has_while, each.blocks)) for each in flow)


def _seen_to_the_end(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return the circuit with one more bit, the last, into which every qubit of a branch or loop is read at the end.

    Aer leaves out what comes after the last measurement, and loses the end of a loop with it.
    """
    longer: QuantumCircuit = circuit.copy()
    longer.add_bits([Clbit()])
    flow = [item for item in circuit.data if isinstance(item.operation, ControlFlowOp)]
    for qubit in dict.fromkeys(qubit for item in flow for qubit in item.qubits):
        longer.measure(qubit, longer.clbits[-1])
    return longer


def _sample_once(circuit: QuantumCircuit, shots: int, seed: int, size: int, *, memory: bool) -> Outcomes:
    """Draw all shots from the final state; `size` bits of each are shown."""
    read = sources(circuit)[:size]
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


def within(seconds: int, run: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return what `run` returns (a value that `json` can write), computed in a forked process with a limit of CPU time.

    Raises:
        JobRejected: the time was not enough.
    """
    receiver, sender = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(receiver)
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            with os.fdopen(sender, "w") as pipe:
                json.dump(run(), pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(sender)
    with os.fdopen(receiver) as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in {signal.SIGXCPU, signal.SIGKILL}:
        message = f"it did not end within {seconds} s: see to it that the condition of each while loop becomes false"
        raise JobRejected(Fault(field="program", message=message, code="runtime"))
    if status:
        raise RuntimeError("the process of a circuit with a while ended without an answer")
    found: Mapping[str, Any] = json.loads(text)
    return found
