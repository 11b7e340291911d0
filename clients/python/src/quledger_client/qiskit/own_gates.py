"""Gates of a circuit's own, told apart from those of Qiskit that have the same names."""

from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import AnnotatedOperation, ControlledGate, Gate, Instruction

_GENERAL = (Gate, Instruction, ControlledGate)


def told_apart(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return a circuit in which no own gate has a name of Qiskit's: Qiskit would translate it by its name alone."""
    operations = [_told_apart(each.operation) for each in circuit.data]
    if all(each.operation is other for each, other in zip(circuit.data, operations, strict=True)):
        return circuit
    found = circuit.copy_empty_like()
    for each, operation in zip(circuit.data, operations, strict=True):
        found.append(each.replace(operation=operation))
    return found


def _told_apart(operation: Any) -> Any:
    if isinstance(operation, AnnotatedOperation):
        base = _told_apart(operation.base_op)
        return operation if base is operation.base_op else AnnotatedOperation(base, operation.modifiers)
    if getattr(operation, "blocks", ()):
        blocks = [told_apart(each) for each in operation.blocks]
        same = all(one is other for one, other in zip(blocks, operation.blocks, strict=True))
        return operation if same else operation.replace_blocks(blocks)
    if not _is_own(operation):
        return operation
    name, params = f"own_{operation.name}", list(operation.params)
    own = (
        Gate(name, operation.num_qubits, params)
        if isinstance(operation, Gate)
        else Instruction(name, operation.num_qubits, operation.num_clbits, params)
    )
    own.definition = told_apart(operation.definition)
    return own


def _is_own(operation: Any) -> bool:
    """Return whether a gate is what its definition says, and no kind that Qiskit has."""
    kind = getattr(operation, "base_class", type(operation))
    package, _, module = kind.__module__.partition(".")
    is_of_qiskit = package == "qiskit" and kind not in _GENERAL and not module.startswith("qasm")
    return not is_of_qiskit and getattr(operation, "definition", None) is not None
