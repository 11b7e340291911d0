"""What a qubit backend says of itself, as a Target of Qiskit."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from qiskit.circuit import (
    BoxOp,
    BreakLoopOp,
    ContinueLoopOp,
    ForLoopOp,
    IfElseOp,
    Measure,
    Reset,
    SwitchCaseOp,
    WhileLoopOp,
)
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.transpiler import InstructionProperties, Target

from quledger_client.views import errors_of

KNOWN = get_standard_gate_name_mapping()
CONTROL_FLOW = {
    "if_else": ((IfElseOp, "if_else"), (SwitchCaseOp, "switch_case")),  # a switch is branches to the laboratory
    "for_loop": ((ForLoopOp, "for_loop"), (BreakLoopOp, "break_loop"), (ContinueLoopOp, "continue_loop")),
    "while_loop": ((WhileLoopOp, "while_loop"), (BreakLoopOp, "break_loop"), (ContinueLoopOp, "continue_loop")),
}


_STANDARD = "x y z h s sdg t tdg sx p rx ry rz u u1 u2 u3 id cx cy cz ch cp crx cry crz cu swap ccx cswap"
STANDARD = (*_STANDARD.split(), "measure", "reset")
"""What stdgates.inc means up to a phase as Qiskit does; anything else is written out in these."""

FLOW = {name: kind for kinds in CONTROL_FLOW.values() for kind, name in kinds} | {"box": BoxOp}


@cache
def written(size: int) -> Target:
    """Return what a circuit of so many qubits may have that is handed in: gates that OpenQASM has a name for."""
    target = Target(num_qubits=size)
    for name in STANDARD:
        target.add_instruction(KNOWN[name])
    for name, kind in FLOW.items():
        target.add_instruction(kind, name=name)
    return target


def is_of_qubits(configuration: Mapping[str, Any]) -> bool:
    """Say whether a backend has gates of qubits, all of which Qiskit knows."""
    names = [gate["name"] for gate in configuration["gates"]]
    return bool(names) and all(name in KNOWN for name in names)


def target_of(configuration: Mapping[str, Any], calibration: Any = None) -> Target:
    """Return the target of a backend.

    Args:
        configuration: as it is published.
        calibration: the value that was measured of it; errors that it does not say are left open.
    """
    errors = errors_of(calibration)
    size, supported = configuration["num_wires"], configuration["supported_instructions"]
    target = Target(description=configuration["display_name"], num_qubits=size)
    for gate in configuration["gates"]:
        target.add_instruction(
            KNOWN[gate["name"]],
            {
                place: InstructionProperties(error=errors.of(gate["name"], place))
                for place in _both_ways(gate["coupling_map"])
            },
        )
    readout = {qubit: InstructionProperties(error=error) for qubit, error in errors.readout.items()}
    target.add_instruction(Measure(), {(qubit,): readout.get(qubit) for qubit in range(size)})
    if "reset" in supported:
        target.add_instruction(Reset(), {(qubit,): None for qubit in range(size)})
    flow = {name: kind for word, kinds in CONTROL_FLOW.items() if word in supported for kind, name in kinds}
    for name, kind in flow.items():
        target.add_instruction(kind, name=name)
    return target


def _both_ways(couplings: Iterable[Iterable[int]]) -> list[tuple[int, ...]]:
    """Return the places of a gate: a coupling has no direction."""
    places = [tuple(each) for each in couplings]
    return list(dict.fromkeys([*places, *(place[::-1] for place in places)]))
