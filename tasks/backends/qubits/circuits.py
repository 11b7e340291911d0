"""What a circuit is like: where its bits come from, whether it ends in its measurements, what it will cost."""

from collections.abc import Iterator, Sequence
from typing import Any

from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Clbit, ControlFlowOp, Gate
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import UnrollForLoops

from tasks.backends.qubits.conditions import watched

HIDDEN = "hidden"
"""In the metadata of a circuit: how many of its last classical bits are our own, and no part of an outcome."""

STORE = "store"

IDLE = frozenset({"barrier", "id", "delay"})
"""What touches a qubit without changing it, but for noise."""


def side_by_side(circuits: Sequence[QuantumCircuit]) -> QuantumCircuit:
    """Return all circuits as one, on qubits and bits of their own: those of the first come first.

    Several circuits must not be `nested`, for Qiskit's `compose` gives new bits to the outer conditions alone.
    """
    if len(circuits) == 1:
        return _all_held(circuits[0])
    joint = QuantumCircuit(QuantumRegister(sum(circuit.num_qubits for circuit in circuits), "q"))
    first = 0
    for number, circuit in enumerate(map(_all_held, circuits)):
        bits = [Clbit() for _ in circuit.clbits]
        joint.add_bits(bits)
        for register in circuit.cregs:
            mine = [bits[circuit.find_bit(bit).index] for bit in register]
            joint.add_register(ClassicalRegister(name=f"p{number}_{register.name}", bits=mine))
        joint.compose(circuit, joint.qubits[first : first + circuit.num_qubits], bits, inplace=True)
        first += circuit.num_qubits
    return joint


def _all_held(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return the circuit with a register for each bit that has none."""
    held: QuantumCircuit = circuit.copy()
    for place, bit in enumerate(circuit.clbits):
        if not circuit.find_bit(bit).registers:
            held.add_register(ClassicalRegister(name=f"bit_{place}", bits=[bit]))
    return held


def register_order(circuit: QuantumCircuit) -> list[int]:
    """Return the places of the classical bits in the order of the registers, which is that of the circuit's text."""
    return list(dict.fromkeys(circuit.find_bit(bit).index for register in circuit.cregs for bit in register))


def reordered(circuit: QuantumCircuit, order: Sequence[int]) -> QuantumCircuit:
    """Return a circuit that was read from a text with its bits where they were: bit k belongs at place `order[k]`."""
    clbits = [bit for _, bit in sorted(zip(order, circuit.clbits, strict=True), key=lambda pair: pair[0])]
    right = QuantumCircuit(circuit.qubits, clbits, global_phase=circuit.global_phase)
    for register in (*circuit.qregs, *circuit.cregs):
        right.add_register(register)
    for item in circuit.data:
        right.append(item)
    return right


def hidden_bits(circuit: QuantumCircuit) -> int:
    """Return how many of the last classical bits are no part of an outcome."""
    return int((circuit.metadata or {}).get(HIDDEN, 0))


def assigns(circuit: QuantumCircuit) -> bool:
    """Return True if a bit is given a value that was not measured."""
    return any(item.operation.name == STORE for item in everything(circuit))


def nested(circuit: QuantumCircuit) -> bool:
    """Return True if there is a branch or loop within another one."""
    return any(
        isinstance(inner.operation, ControlFlowOp)
        for item in circuit.data
        if isinstance(item.operation, ControlFlowOp)
        for block in item.operation.blocks
        for inner in block.data
    )


def without_loops(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return the circuit with its `for` loops written out, unless one is left by `break` or `continue`."""
    if not any(item.operation.name == "for_loop" for item in everything(circuit)):
        return circuit
    written: QuantumCircuit = PassManager([UnrollForLoops()]).run(circuit)
    return written


def straightened(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return the gates of a circuit, those of all branches and loops one after another."""
    straight = QuantumCircuit(circuit.num_qubits)
    _straighten(circuit, range(circuit.num_qubits), straight)
    return straight


def _straighten(circuit: QuantumCircuit, qubits: Sequence[int], straight: QuantumCircuit) -> None:
    for item in circuit.data:
        places = [qubits[circuit.find_bit(qubit).index] for qubit in item.qubits]
        if isinstance(item.operation, ControlFlowOp):
            for block in item.operation.blocks:
                _straighten(block, places, straight)
        elif isinstance(item.operation, Gate):
            straight.append(item.operation, places)


def has_branches(circuit: QuantumCircuit) -> bool:
    """Return True if something depends on outcomes."""
    return any(isinstance(item.operation, ControlFlowOp) for item in circuit.data)


def everything(circuit: QuantumCircuit) -> Iterator[Any]:
    """Yield every operation, also those within branches and loops."""
    for item in circuit.data:
        yield item
        if isinstance(item.operation, ControlFlowOp):
            for block in item.operation.blocks:
                yield from everything(block)


def sources(circuit: QuantumCircuit) -> list[int | None]:
    """Return for each classical bit the qubit that was read into it last, or None."""
    found: list[int | None] = [None] * circuit.num_clbits
    _follow(circuit, list(range(circuit.num_qubits)), list(range(circuit.num_clbits)), found)
    return found


def _follow(circuit: QuantumCircuit, qubits: list[int], clbits: list[int], found: list[int | None]) -> None:
    where = {bit: qubits[place] for place, bit in enumerate(circuit.qubits)}
    into = {bit: clbits[place] for place, bit in enumerate(circuit.clbits)}
    for item in circuit.data:
        if item.operation.name == "measure":
            found[into[item.clbits[0]]] = where[item.qubits[0]]
        elif isinstance(item.operation, ControlFlowOp):
            for block in item.operation.blocks:
                _follow(block, [where[q] for q in item.qubits], [into[c] for c in item.clbits], found)


def ends_in_measurements(circuit: QuantumCircuit) -> bool:
    """Return True if there are gates, then measurements, and nothing else: no reset, no branch, nothing in between."""
    read: set[Any] = set()
    for item in circuit.data:
        operation = item.operation
        if operation.name == "measure":
            if item.qubits[0] in read:
                return False
            read.add(item.qubits[0])
        elif operation.name in IDLE:
            continue
        elif (
            operation.name in {"reset", STORE}
            or isinstance(operation, ControlFlowOp)
            or item.clbits
            or (read and not read.isdisjoint(item.qubits))
        ):
            return False
    return True


def without_measurements(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return the circuit without its last measurements, and with all its bits."""
    later: set[Any] = set()
    kept = []
    for item in reversed(circuit.data):
        if item.operation.name == "measure" and item.qubits[0] not in later and item.clbits[0] not in later:
            continue
        if item.operation.name == STORE:
            later.update(watched(item.operation.lvalue) | watched(item.operation.rvalue))
        if item.operation.name != "barrier":
            later.update(item.qubits)
            later.update(item.clbits)
        kept.append(item)
    bare: QuantumCircuit = circuit.copy_empty_like()
    for item in reversed(kept):
        bare.append(item)
    return bare


def without_first_resets(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return the circuit without the resets of qubits that nothing has touched: each begins in state 0."""
    touched: set[Any] = set()
    kept = []
    for item in circuit.data:
        if item.operation.name == "reset" and touched.isdisjoint(item.qubits):
            continue
        if item.operation.name != "barrier":
            touched.update(item.qubits)
        kept.append(item)
    bare: QuantumCircuit = circuit.copy_empty_like()
    for item in kept:
        bare.append(item)
    return bare


def active_qubits(circuit: QuantumCircuit) -> list[int]:
    """Return the qubits that are touched, in rising order."""
    touched = {qubit for item in circuit.data if item.operation.name not in IDLE for qubit in item.qubits}
    return sorted(circuit.find_bit(qubit).index for qubit in touched)


def two_qubit_gates(circuit: QuantumCircuit) -> int:
    """Return the number of gates on two or more qubits, those in branches included."""
    return sum(
        1
        for item in everything(circuit)
        if len(item.qubits) > 1 and item.operation.name != "barrier" and not isinstance(item.operation, ControlFlowOp)
    )
