"""What a qubit backend says of itself, as a Target of Qiskit."""

from collections.abc import Iterable, Mapping
from typing import Any

from qiskit.circuit import (
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

KNOWN = get_standard_gate_name_mapping()
CONTROL_FLOW = {
    "if_else": ((IfElseOp, "if_else"), (SwitchCaseOp, "switch_case")),  # a switch is branches to the laboratory
    "for_loop": ((ForLoopOp, "for_loop"), (BreakLoopOp, "break_loop"), (ContinueLoopOp, "continue_loop")),
    "while_loop": ((WhileLoopOp, "while_loop"), (BreakLoopOp, "break_loop"), (ContinueLoopOp, "continue_loop")),
}


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
    measured = calibration if isinstance(calibration, Mapping) else {}
    size, supported = configuration["num_wires"], configuration["supported_instructions"]
    target = Target(description=configuration["display_name"], num_qubits=size)
    for gate in configuration["gates"]:
        errors = _gate_errors(gate["name"], measured)
        target.add_instruction(
            KNOWN[gate["name"]],
            {
                place: InstructionProperties(error=errors.get(tuple(sorted(place)), errors.get(())))
                for place in _both_ways(gate["coupling_map"])
            },
        )
    misread = {each["qubit"]: each for each in measured.get("readout", ())}
    target.add_instruction(Measure(), {(qubit,): _readout(misread.get(qubit)) for qubit in range(size)})
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


def _gate_errors(name: str, measured: Mapping[str, Any]) -> dict[tuple[int, ...], float]:
    """Return the errors of a gate by its qubits, the lower one first; that of all other places stands under ()."""
    return {
        tuple(sorted(each.get("qubits") or ())): each["error"]
        for each in measured.get("gate_errors", ())
        if each["gate"] == name
    }


def _readout(misread: Mapping[str, Any] | None) -> InstructionProperties | None:
    if misread is None:
        return None
    return InstructionProperties(error=(misread["prob_meas1_prep0"] + misread["prob_meas0_prep1"]) / 2)
