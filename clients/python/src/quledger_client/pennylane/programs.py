"""Tapes of PennyLane as OpenQASM 3."""

from typing import Any

import numpy as np

from quledger_client.errors import Fault, Refused

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
