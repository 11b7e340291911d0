"""Circuits of Qiskit as OpenQASM 3, and where their classical bits are in what comes back."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from qiskit import QuantumCircuit, transpile
from qiskit.circuit import ClassicalRegister, QuantumRegister
from qiskit.transpiler import Target, TranspilerError

from quledger_client.errors import Refused
from quledger_client.qiskit.openqasm import shares_bits, text_of, told_apart
from quledger_client.qiskit.target import FLOW, STANDARD, written

NAMES = frozenset({*STANDARD, *FLOW, "store"})


@dataclass(frozen=True)
class Program:
    """A circuit that may still have parameters.

    Attributes:
        circuit: with plain registers, in gates that the laboratory knows by name.
        bits: of each bit that comes back, the first one first, its place in the circuit; None for one of our own.
        is_placed: each gate stands on physical qubits that have it, so that nothing is compiled any more.
    """

    circuit: QuantumCircuit
    bits: tuple[int | None, ...]
    is_placed: bool

    def text(self, circuit: QuantumCircuit | None = None) -> str:
        """Return OpenQASM 3 of the circuit, or of what came of it when its parameters were bound.

        Raises:
            Refused: Qiskit cannot write it so.
        """
        return text_of(self.circuit if circuit is None else circuit)

    def options(self) -> dict[str, Any]:
        """Return the options of an experiment that leave the qubits where they are."""
        return {"transpiler_info": {"skip_transpilation": True}} if self.is_placed else {}


def program_of(circuit: QuantumCircuit, target: Target, *, measures: bool = True) -> Program:
    """Return the program of a circuit.

    Args:
        measures: it has to measure something; a bit of our own is added where it does not.

    Raises:
        Refused: it is too large, or has inputs, numbers that are not finite, or what the laboratory has no gates for.
    """
    if not 0 < circuit.num_qubits <= target.num_qubits:
        message = f"the circuit {circuit.name} has {circuit.num_qubits} qubits; the device has 1 to {target.num_qubits}"
        raise Refused(message)
    if inputs := [each.name for each in circuit.iter_input_vars()]:
        raise Refused(f"the circuit {circuit.name} has inputs, which nothing gives a value: {', '.join(inputs)}")
    if wrong := sorted(set(_not_finite(circuit))):
        raise Refused(f"the circuit {circuit.name} has {', '.join(wrong)}; parameters must be finite numbers")
    circuit = told_apart(circuit)
    placed = _is_placed(circuit, target, range(circuit.num_qubits))
    plain, bits = _plain(circuit)
    if not placed and any(each.operation.name not in {*STANDARD, "barrier"} for each in plain.data):
        plain = _in_known_gates(plain)
    if measures and not _measures(plain):
        unused = ClassicalRegister(1, "quledger_nothing")
        plain.add_register(unused)
        plain.measure(0, unused[0])
        bits = (*bits, None)
    return Program(plain, bits, placed)


def _in_known_gates(circuit: QuantumCircuit) -> QuantumCircuit:
    try:
        return transpile(circuit, target=written(circuit.num_qubits), optimization_level=0)
    except TranspilerError:
        unknown = ", ".join(sorted(_without_meaning(circuit))) or "an operation or a parameter"
    raise Refused(f"the circuit {circuit.name} has {unknown}, which the laboratory has no gates for")


def _without_meaning(circuit: QuantumCircuit) -> set[str]:
    """Return the names of all that is neither known nor defined by what is."""
    found: set[str] = set()
    for each in circuit.data:
        operation = each.operation
        blocks = _blocks(operation)
        if blocks or operation.name in {*NAMES, "barrier"}:
            parts = blocks
        elif operation.definition is None:
            found.add(operation.name)
            continue
        else:
            parts = (operation.definition,)
        for part in parts:
            found |= _without_meaning(part)
    return found


def _not_finite(circuit: QuantumCircuit) -> Iterator[str]:
    for each in circuit.data:
        for value in each.params:
            if isinstance(value, QuantumCircuit):
                yield from _not_finite(value)
            elif isinstance(value, float) and not math.isfinite(value):
                yield f"{each.name}({value})"


def _measures(circuit: QuantumCircuit) -> bool:
    return any(
        each.operation.name == "measure" or any(map(_measures, _blocks(each.operation))) for each in circuit.data
    )


def _is_placed(circuit: QuantumCircuit, target: Target, places: Sequence[int]) -> bool:
    """Return whether the device has all gates where they stand.

    Args:
        places: the physical qubit of each qubit; of a branch or loop, those that are handed to it.
    """
    place = dict(zip(circuit.qubits, places, strict=True))
    for each in circuit.data:
        name, on = each.operation.name, tuple(place[qubit] for qubit in each.qubits)
        if name == "barrier":
            continue
        if name not in NAMES or not (name == "store" or target.instruction_supported(name, on)):
            return False
        if not all(_is_placed(block, target, on) for block in _blocks(each.operation)):
            return False
    return True


def _blocks(operation: Any) -> Sequence[QuantumCircuit]:
    return getattr(operation, "blocks", ())


def _plain(circuit: QuantumCircuit) -> tuple[QuantumCircuit, tuple[int | None, ...]]:
    """Return a circuit with one register of qubits, and what its classical bits are there.

    Conditions and variables name bits and registers, so where there are any these stay.
    """
    qubits = QuantumRegister(circuit.num_qubits, "q")
    has_flow = any(name in {*FLOW, "store"} for name in circuit.count_ops()) or circuit.num_vars > 0
    if not has_flow:
        registers = [ClassicalRegister(circuit.num_clbits, "c")] if circuit.num_clbits else []
        plain = QuantumCircuit(qubits, *registers, name=circuit.name)
        plain.compose(circuit, inplace=True)
        return plain, tuple(range(circuit.num_clbits))
    bare = circuit.copy_empty_like(vars_mode="alike")
    plain = QuantumCircuit(qubits, circuit.clbits, *filter(len, circuit.cregs), name=circuit.name)
    for variable in bare.iter_declared_vars():
        plain.add_uninitialized_var(variable)
    for each in circuit.data:
        plain.append(each.operation, [circuit.find_bit(qubit).index for qubit in each.qubits], each.clbits)
    if shares_bits(circuit):
        return plain, tuple(range(circuit.num_clbits))
    within = [bit for register in circuit.cregs for bit in register]
    loose = [bit for bit in circuit.clbits if bit not in set(within)]
    return plain, tuple(circuit.find_bit(bit).index for bit in [*loose, *within])
