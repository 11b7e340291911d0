"""Circuits of Qiskit as text: OpenQASM 3 as its specification has it, with gates that mean what they are there."""

import re
from typing import Any

from qiskit import QuantumCircuit, qasm3
from qiskit.circuit import AnnotatedOperation, ControlledGate, ForLoopOp, Gate, Instruction, Parameter

from quledger_client.errors import Refused

_ALL = "quledger_bits"
_GENERAL = (Gate, Instruction, ControlledGate)
_BIT, _REGISTER = re.compile(r"bit (\S+);"), re.compile(r"let (\S+) = \{.*\};")


def shares_bits(circuit: QuantumCircuit) -> bool:
    """Return whether a classical bit is in more than one register."""
    return any(len(circuit.find_bit(bit).registers) > 1 for bit in circuit.clbits)


def text_of(circuit: QuantumCircuit) -> str:
    """Return the text of a circuit.

    Raises:
        Refused: Qiskit cannot write it so.
    """
    try:
        text: str = qasm3.dumps(circuit, allow_aliasing=True)
    except (qasm3.QASM3ExporterError, ValueError, OverflowError) as error:  # of NaN
        message = f"the circuit {circuit.name} cannot be written as OpenQASM 3: {error}"
    else:
        return _shared(text, circuit) if shares_bits(circuit) else text
    raise Refused(message)


def _shared(text: str, circuit: QuantumCircuit) -> str:
    """Return a text whose bits and registers are parts of one register.

    Qiskit declares each bit and makes registers sets of them, which OpenQASM does not know: it joins registers alone.
    """
    registers = iter(circuit.cregs)
    lines, bits = [], 0
    for line in text.splitlines():
        if bit := _BIT.fullmatch(line):
            lines += [f"bit[{circuit.num_clbits}] {_ALL};"] if not bits else []
            lines.append(f"let {bit[1]} = {_ALL}[{bits}];")
            bits += 1
        elif register := _REGISTER.fullmatch(line):
            places = ", ".join(str(circuit.find_bit(each).index) for each in next(registers))
            lines.append(f"let {register[1]} = {_ALL}[{{{places}}}];")
        else:
            lines.append(line)
    return "\n".join([*lines, ""])


def told_apart(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return a circuit in which no own gate has a name of Qiskit's, and no loop's number that of a register.

    Qiskit would write them by their names alone.
    """
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
        if isinstance(operation, ForLoopOp) and operation.params[1] is not None:
            indexes, old, _ = operation.params
            new = Parameter(f"own_{old.name}")
            return ForLoopOp(indexes, new, blocks[0].assign_parameters({old: new}, strict=False))
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
