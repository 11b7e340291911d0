"""Tapes of PennyLane as the laboratory has them: OpenQASM 3; without shots estimations, each of one sum of products."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.measurements import ExpectationMP, ProbabilityMP, VarianceMP

from quledger_client.errors import Fault, Refused

Terms = list[dict[str, Any]]
"""A sum of Pauli products as a job has it."""

Values = Sequence[float]

MAX_WIRES = 8
"""Probabilities of k wires take 2**k - 1 values."""

GATES = {
    "PauliX": "x",
    "PauliY": "y",
    "PauliZ": "z",
    "Hadamard": "h",
    "S": "s",
    "T": "t",
    "SX": "sx",
    "Adjoint(S)": "sdg",
    "Adjoint(T)": "tdg",
    "RX": "rx",
    "RY": "ry",
    "RZ": "rz",
    "PhaseShift": "p",
    "CNOT": "cx",
    "CY": "cy",
    "CZ": "cz",
    "CH": "ch",
    "SWAP": "swap",
    "ControlledPhaseShift": "cp",
    "CRX": "crx",
    "CRY": "cry",
    "CRZ": "crz",
    "Toffoli": "ccx",
    "CSWAP": "cswap",
}
"""PennyLane's name of a gate -> that of stdgates.inc, which means the same up to a phase of the whole."""

NOTHING = frozenset({"Identity", "GlobalPhase", "Barrier"})
"""What no measurement shows."""


def is_known(operation: Any) -> bool:
    """Say whether an operation can be written as it stands."""
    return operation.name in GATES or operation.name in NOTHING


def program_of(tape: Any, wires: Any) -> str:
    """Return the program of a tape, which reads all wires at its end, wire k into bit k.

    Args:
        wires: of the device, in the order of its qubits.

    Raises:
        Refused: it has no wires, or an angle is none.
    """
    if not len(wires):
        raise Refused("the circuit has no wires")
    faults = [
        Fault(each.name, f"got {value}; an angle is real and finite")
        for each in tape.operations
        for value in each.parameters
        if each.name not in NOTHING and (np.iscomplexobj(value) or not np.isfinite(value))
    ]
    if faults:
        raise Refused("the circuit has faults", faults)
    size = len(wires)
    lines = [f'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[{size}] q;\nbit[{size}] c;']
    for each in tape.operations:
        if each.name in NOTHING:
            continue
        angles = ", ".join(repr(float(value)) for value in each.parameters)
        on = ", ".join(f"q[{wires.index(wire)}]" for wire in each.wires)
        lines.append(f"{GATES[each.name]}{f'({angles})' if angles else ''} {on};")
    return "\n".join([*lines, "c = measure q;", ""])


def is_exact(measurement: Any) -> bool:
    """Say whether a measurement has an exact value here."""
    if isinstance(measurement, ProbabilityMP):
        return len(measurement.wires) <= MAX_WIRES and (measurement.obs is None or _word(measurement.obs) is not None)
    return isinstance(measurement, ExpectationMP | VarianceMP)


def experiments_of(tape: Any, wires: Any) -> tuple[list[dict[str, Any]], Callable[[Values], Any]]:
    """Return the experiments of a tape, and what their values make of its measurements.

    Args:
        wires: of the device, in the order of its qubits.
    """
    asked = [_asked(each, wires) for each in tape.measurements]
    common = {"program": program_of(tape, wires), "shots": 1, "job_type": "estimation"}
    exactly = {"simulator_info": {"method": "state_vector"}}
    experiments = [{**common, **exactly, "operator": terms} for each, _ in asked for terms in each]

    def made(values: Values) -> Any:
        results, start = [], 0
        for terms, result in asked:
            results.append(result(values[start : start + len(terms)]))
            start += len(terms)
        return results[0] if len(results) == 1 else tuple(results)

    return experiments, made


def _asked(measurement: Any, wires: Any) -> tuple[list[Terms], Callable[[Values], Any]]:
    """Return the operators whose values a measurement needs, and what it makes of these."""
    if isinstance(measurement, ProbabilityMP):
        word = {} if measurement.obs is None else _word(measurement.obs)
        on = [(word.get(wire, "Z"), wires.index(wire)) for wire in measurement.wires or wires]
        subsets = [_places(subset, len(on)) for subset in range(1, 2 ** len(on))]
        asked = [[_product([on[place] for place in subset])] for subset in subsets]
        return asked, lambda values: np.maximum(0.0, _transformed(np.array([1.0, *values])) / 2 ** len(on))
    pauli = _sentence(measurement)
    if isinstance(measurement, VarianceMP):
        asked = [_terms(pauli, wires), _terms(pauli @ pauli, wires)]
        return asked, lambda values: np.array(max(0.0, values[1] - values[0] ** 2))
    return [_terms(pauli, wires)], lambda values: np.array(values[0])


def _word(observable: Any) -> Any:
    """Return the Paulis of an observable by their wires; None where it is no product of Paulis."""
    words = list(observable.pauli_rep or ())
    return words[0] if len(words) == 1 else None


def _sentence(measurement: Any) -> Any:
    """Return what is measured as a sum of Pauli products."""
    if measurement.obs is None:  # outcomes of measurements on the way: their values, by outcome
        weights = _transformed(np.asarray(measurement.eigvals(), dtype=float)) / 2 ** len(measurement.wires)
        words = [
            qml.pauli.PauliWord({measurement.wires[place]: "Z" for place in _places(subset, len(measurement.wires))})
            for subset in range(len(weights))
        ]
        return qml.pauli.PauliSentence(dict(zip(words, weights, strict=True)))
    if measurement.obs.pauli_rep is not None:
        return measurement.obs.pauli_rep
    matrix = qml.matrix(measurement.obs, wire_order=measurement.obs.wires)
    return qml.pauli_decompose(matrix, wire_order=measurement.obs.wires, pauli=True)


def _terms(sentence: Any, wires: Any) -> Terms:
    found = [
        _product([(pauli, wires.index(wire)) for wire, pauli in word.items()], float(np.real(coefficient)))
        for word, coefficient in sentence.items()
    ]
    return found or [_product([], 0.0)]


def _product(factors: list[tuple[str, int]], coefficient: float = 1.0) -> dict[str, Any]:
    return {"pauli": " ".join(f"{pauli} {qubit}" for pauli, qubit in factors) or "I", "coeff": coefficient}


def _places(subset: int, size: int) -> list[int]:
    """Return the wires of a subset: the first one is its highest bit, as in PennyLane's outcomes."""
    return [place for place in range(size) if subset >> (size - 1 - place) & 1]


def _transformed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sums over all subsets with the signs of their parities (Walsh and Hadamard)."""
    found = values.copy()
    step = 1
    while step < len(found):
        pairs = found.reshape(-1, 2, step)
        found = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).reshape(-1)
        step *= 2
    return found
