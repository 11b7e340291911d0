"""What a calibration says of errors. A backend may publish any JSON: what has another form says nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

Place = tuple[int, ...]


@dataclass(frozen=True)
class Errors:
    """Errors of a backend.

    Attributes:
        gates: (gate, its qubits, the lower one first) -> error; without qubits that of all other places.
        readout: qubit -> how often it is misread, the mean of both outcomes.
    """

    gates: Mapping[tuple[str, Place], float] = field(default_factory=dict)
    readout: Mapping[int, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything errs."""
        return any(self.gates.values()) or any(self.readout.values())

    def of(self, gate: str, place: Place) -> float | None:
        """Return the error of a gate where it stands; None where nothing is said."""
        return self.gates.get((gate, tuple(sorted(place))), self.gates.get((gate, ())))


def errors_of(calibration: Any) -> Errors:
    """Return the errors that a calibration says."""
    gates: dict[tuple[str, Place], float] = {}
    readout: dict[int, float] = {}
    for each in _entries(calibration, "gate_errors"):
        gate, qubits, error = each.get("gate"), each.get("qubits") or [], each.get("error")
        if isinstance(gate, str) and _is_place(qubits) and _is_rate(error):
            gates[gate, tuple(sorted(qubits))] = error
    for each in _entries(calibration, "readout"):
        up, down = each.get("prob_meas1_prep0"), each.get("prob_meas0_prep1")
        if isinstance(each.get("qubit"), int) and _is_rate(up) and _is_rate(down):
            readout[each["qubit"]] = (up + down) / 2
    return Errors(gates, readout)


def _entries(calibration: Any, key: str) -> Iterator[Mapping[str, Any]]:
    found = calibration.get(key) if isinstance(calibration, Mapping) else None
    return (each for each in (found if isinstance(found, list) else []) if isinstance(each, Mapping))


def _is_place(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(qubit, int) for qubit in value)


def _is_rate(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
