"""Circuits without what only names or numbers tell: gates of a program's own, and branches that are never taken."""

from collections.abc import Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp
from qiskit.circuit.library.standard_gates import CU3Gate, PhaseGate

from tasks.backends.qubits.circuits import everything
from tasks.backends.qubits.conditions import is_never
from tasks.backends.qubits.gates import Placed

_Known = dict[tuple[str, tuple[Any, ...]], list[Placed]]


def written_out(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return the circuit with each gate that OpenQASM 2 defines replaced by what it does.

    A branch or loop whose condition no register can fulfil is left out; of such a branch the `else` remains.
    """
    if not any(
        _is_own(item.operation) or is_never(getattr(item.operation, "condition", None)) for item in everything(circuit)
    ):
        return circuit
    written: QuantumCircuit = circuit.copy_empty_like()
    _copy(circuit, written, written.qubits, written.clbits, {})
    return written


def _is_own(operation: Any) -> bool:
    return operation.base_class is CU3Gate or str(operation.base_class.__module__) == "qiskit.qasm2.parse"


def _parts(operation: Any, known: _Known) -> list[Placed]:
    """Return the library gates that an operation of OpenQASM 2 consists of."""
    if not _is_own(operation):
        return [(operation, tuple(range(operation.num_qubits)))]
    if operation.base_class is CU3Gate:
        # In the paper it is a controlled U of determinant 1; Qiskit's has another phase.
        angle = -(operation.params[1] + operation.params[2]) / 2
        return [(PhaseGate(angle), (0,)), (operation, (0, 1))] if angle else [(operation, (0, 1))]
    key = operation.name, tuple(operation.params)
    if key not in known:
        definition = operation.definition
        known[key] = [
            (part, tuple(definition.find_bit(item.qubits[place]).index for place in places))
            for item in definition.data
            for part, places in _parts(item.operation, known)
        ]
    return known[key]


def _copy(
    source: QuantumCircuit, target: QuantumCircuit, qubits: Sequence[Any], clbits: Sequence[Any], known: _Known
) -> None:
    for item in source.data:
        operation = item.operation
        places = [qubits[source.find_bit(qubit).index] for qubit in item.qubits]
        bits = [clbits[source.find_bit(bit).index] for bit in item.clbits]
        if isinstance(operation, ControlFlowOp):
            if not is_never(getattr(operation, "condition", None)):
                blocks = [written_out(block) for block in operation.blocks]
                target.append(operation.replace_blocks(blocks), places, bits)
            elif operation.name == "if_else" and len(operation.blocks) > 1:
                _copy(operation.blocks[1], target, places, bits, known)
        elif _is_own(operation):
            for part, inner in _parts(operation, known):
                target.append(part, [places[place] for place in inner], copy=False)
        else:
            target.append(operation, places, bits, copy=False)
