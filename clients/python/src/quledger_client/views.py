"""What the server says of jobs, events and backends, as typed values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, TypeGuard

from quledger_client.errors import QuledgerError
from quledger_client.wire import NOT_OURS

View: TypeAlias = Mapping[str, Any]
"""A job as the API shows it."""

Place: TypeAlias = tuple[int, ...]

STATES = ("QUEUED", "CLAIMED", "VALIDATED", "COMPILED", "EXECUTED", "UPLOADED", "DONE")
"""In the order in which a job comes through them."""

FINAL = frozenset({"DONE", "ERROR", "CANCELLED", "WITHDRAWN"})


def moment(text: str | None) -> datetime | None:
    """Return a time as the API writes it, with its zone; None where there is none."""
    return datetime.fromisoformat(text) if text else None


def told(value: Any, *names: str) -> dict[str, Any]:
    """Return what the server says of something.

    Args:
        names: of texts that it always says.

    Raises:
        QuledgerError: they are not there.
    """
    if isinstance(value, Mapping) and all(isinstance(value.get(name), str) for name in names):
        return dict(value)
    raise QuledgerError(NOT_OURS)


@dataclass(frozen=True)
class Event:
    """One event of a job; `data` holds what its kind says."""

    seq: int
    kind: str
    attempt: int
    at: datetime | None
    data: Mapping[str, Any]

    @classmethod
    def of(cls, value: View) -> "Event":
        """Return an event as the API shows it."""
        return cls(value["seq"], value["kind"], value["attempt"], moment(value["recorded_at"]), value["data"])


@dataclass(frozen=True)
class Why:
    """Why a job stands where it does, and when it goes on.

    Attributes:
        lines: all of it in sentences.
        place: in the queue, 1 is next; None where it does not wait in line.
        starts: when it is expected to start; None where that is not known.
        ends: when it is expected to end; the same.
        data: all that the server says.
    """

    lines: tuple[str, ...]
    place: int | None
    starts: datetime | None
    ends: datetime | None
    data: Mapping[str, Any]

    def __str__(self) -> str:
        return "\n".join(self.lines)

    @classmethod
    def of(cls, value: View) -> "Why":
        """Return it from what the API says."""
        start, end, queue = (value.get(name) or {} for name in ("start", "end", "queue"))
        expected = moment(start.get("expected")), moment(end.get("expected"))
        return cls(tuple(value["lines"]), queue.get("place"), *expected, value)


@dataclass(frozen=True)
class Checked:
    """A job that would be taken.

    Attributes:
        is_checked: whether its document was checked as its run will check it.
        shots: of all its experiments; None where it was not checked.
    """

    backend: str
    is_checked: bool
    shots: int | None


@dataclass(frozen=True)
class Calibration:
    """What was measured of a backend, with the configuration that held then.

    Attributes:
        value: as the backend gives it, any JSON value; None where it has none.
        withdrawn: why it was withdrawn; None where it was not.
    """

    backend: str
    sha256: str
    since: datetime | None
    configuration: Mapping[str, Any]
    value: Any
    withdrawn: str | None


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
    """Return the errors that a calibration says.

    A backend may publish any JSON: what has another form says nothing.
    """
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
