"""How many elementary operations a circuit really has: all gates, loops and branches written out, nothing built."""

from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp, ForLoopOp

from tasks.backends.qubits.conditions import is_never, watched

MAX_OPERATIONS = 30_000
"""Of one program."""


def size_of(circuit: QuantumCircuit) -> int:
    """Return the elementary operations of a circuit; each round of a loop counts, a `while` as one round."""
    return _sum(circuit, {})


def _sum(circuit: QuantumCircuit, known: dict[str, int]) -> int:
    return sum(_one(item.operation, known) for item in circuit.data)


def _one(operation: Any, known: dict[str, int]) -> int:
    if isinstance(operation, ControlFlowOp):
        inner = sum(_sum(block, known) for block in operation.blocks)
        rounds = len(operation.params[0]) if isinstance(operation, ForLoopOp) else 1
        return 1 + inner * rounds
    if str(type(operation).__module__).startswith("qiskit.circuit.library"):
        return 1
    if operation.name == "u0":
        return max(1, int(operation.params[0]))  # it waits for so many identities, which are better not built
    name = f"{operation.name}/{operation.num_qubits}"
    if name not in known:
        known[name] = 1  # gates of one name are looked into once
        definition = getattr(operation, "definition", None)
        if definition is not None:
            known[name] = max(1, _sum(definition, known))
    return known[name]


def may_end(loop: Any) -> bool:
    """Return True if something in the body of a `while` may change its condition."""
    if is_never(loop.condition):
        return True  # it is not entered
    body = loop.blocks[0]
    inside = watched(loop.condition) & set(body.clbits)
    return _changes(body, {body.find_bit(bit).index for bit in inside})


def _changes(body: QuantumCircuit, bits: set[int]) -> bool:
    for item in body.data:
        places = [body.find_bit(bit).index for bit in item.clbits]
        if item.operation.name == "measure" and bits & set(places):
            return True
        if item.operation.name == "store" and watched(item.operation.lvalue) & {body.clbits[place] for place in bits}:
            return True
        if isinstance(item.operation, ControlFlowOp):
            inner = {inner for inner, outer in enumerate(places) if outer in bits}
            if any(_changes(block, inner) for block in item.operation.blocks):
                return True
    return False


def endless(operation: Any) -> bool:
    """Return True if the operation is or holds a `while` that surely never ends once it is entered."""
    if not isinstance(operation, ControlFlowOp):
        return False
    if operation.name == "while_loop" and not may_end(operation):
        return True
    return any(endless(item.operation) for block in operation.blocks for item in block.data)
