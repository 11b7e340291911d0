"""The description of a qubit device: its qubits, who neighbours whom, the gates it knows, and how often it errs.

The description is one JSON object:

- `device_id`: letters, digits, `_`, `-` and `.`; `n_qubits`: the qubits are numbered from 0.
- `couplings`: pairs `[[0, 1], ...]`, or the text `"line 0-1-2-3"` (`...` stands for the numbers left out). A pair has
  no direction: a two-qubit gate runs either way round, and `[1, 0]` beside `[0, 1]` says nothing new. Left out,
  there are none.
- `basis_gates`: gates of one or two qubits by their OpenQASM names; `instructions`: what else it does.
- `readout`: for each qubit that errs `{"qubit", "prob_meas1_prep0", "prob_meas0_prep1"}`; the others read perfectly.
- `gate_errors`: `{"gate", "error", "qubits"}`; `error` is the average gate infidelity, as randomized benchmarking
  measures it. Without `qubits` it is that of all qubits (or coupled pairs) that have no entry of their own.
- `max_shots`, `note`. Other keys are ignored, unless they look like one of these.
"""

import difflib
import itertools
import json
import re
from collections.abc import Sequence
from typing import Any

from models.errors import Fault
from models.job_language.coercion import as_float, as_int, kind, preview
from models.json_text import read_json

MAX_QUBITS = 1024
MAX_SHOTS = 10_000_000
MAX_FAULTS = 1000
_MAX_TEXT = 4_000_000

_ONE_QUBIT = "h id p r rx ry rz s sdg sx sxdg t tdg u u1 u2 u3 x y z"
_TWO_QUBITS = (
    "ch cp crx cry crz cs csdg csx cu cu1 cu3 cx cy cz dcx ecr iswap rxx ryy rzx rzz swap xx_minus_yy xx_plus_yy"
)
GATES = {1: frozenset(_ONE_QUBIT.split()), 2: frozenset(_TWO_QUBITS.split())}
"""The gates that a device may have, by their number of qubits."""

INSTRUCTIONS = ("measure", "barrier", "reset", "delay", "if_else", "for_loop", "while_loop", "switch_case")
"""What a device may do beside gates."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LINE = re.compile(r"line ([0-9]{1,6}(?:-(?:[0-9]{1,6}|\.\.\.))*)")


FIELDS = (
    "device_id",
    "n_qubits",
    "couplings",
    "basis_gates",
    "instructions",
    "max_shots",
    "note",
    "readout",
    "gate_errors",
)


def check(text: str | bytes) -> tuple[dict[str, Any], list[Fault]]:
    """Return the fields of the device that this JSON text describes, plain and checked, and all faults.

    The fields are complete only if there are no faults.
    """
    reading = _Check()
    found = _parsed(text, reading.faults)
    if reading.faults:
        return {}, reading.faults
    try:
        return reading.device(found), reading.faults
    except _TooMany:
        return {}, reading.faults


def _parsed(text: str | bytes, faults: list[Fault]) -> dict[str, Any]:
    """Return the JSON object, or an empty one and a fault."""
    if len(text) > _MAX_TEXT:
        faults.append(Fault(message=f"it is longer than {_MAX_TEXT} characters"))
        return {}
    try:
        found, repeated = read_json(text if isinstance(text, str) else text.decode("utf-8"))
    except json.JSONDecodeError as error:
        faults.append(Fault(message=f"it is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"))
    except RecursionError:
        faults.append(Fault(message="it is nested too deeply"))
    except ValueError:  # not UTF-8, or a number with thousands of digits
        faults.append(Fault(message="it is not UTF-8 JSON, or holds a number with too many digits"))
    else:
        faults += [Fault(field=each.key, message=str(each)) for each in repeated]
        if isinstance(found, dict):
            return found
        faults.append(Fault(message=f"it is {kind(found)}; it must be an object"))
    return {}


def _got(value: Any) -> str:
    """Return the begin of a fault about this value; null counts as missing."""
    return "is missing" if value is None else f"got {preview(value)}"


class _TooMany(Exception):
    """There are more faults than anybody reads."""


class _Check:
    """One reading of a description: all faults, each with its field."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def fault(self, field: str, message: str) -> None:
        self.faults.append(Fault(field=field, message=message))
        if len(self.faults) >= MAX_FAULTS:
            raise _TooMany

    def device(self, found: dict[str, Any]) -> dict[str, Any]:
        for key in found.keys() - set(FIELDS):
            near = difflib.get_close_matches(key[:64], FIELDS, n=1, cutoff=0.8)
            if near:
                self.fault(key, f"is no field of a device; is {near[0]} meant?")
        name = found.get("device_id")
        if not isinstance(name, str) or not _ID.fullmatch(name):
            self.fault("device_id", f"{_got(name)}; it must be 1 to 64 letters, digits, '_', '-' or '.'")
        note = found.get("note", "")
        if not isinstance(note, str):
            self.fault("note", f"is {kind(note)}; it must be a text")
        n_qubits = self.whole(found.get("n_qubits"), "n_qubits", 1, MAX_QUBITS)
        highest = MAX_QUBITS - 1 if n_qubits is None else n_qubits - 1
        couplings = self.couplings(found.get("couplings", []), highest)
        basis_gates = self.words(found.get("basis_gates"), "basis_gates", sorted(GATES[1] | GATES[2]))
        if not basis_gates and found.get("basis_gates") == []:
            self.fault("basis_gates", "is empty; a device needs at least one gate")
        instructions = self.words(found.get("instructions", ["measure", "barrier"]), "instructions", INSTRUCTIONS)
        max_shots = self.whole(found.get("max_shots", MAX_SHOTS), "max_shots", 1, MAX_SHOTS)
        readout_errors = self.readout(found.get("readout", []), highest)
        gate_errors = self.gate_errors(found.get("gate_errors", []), highest, basis_gates, couplings)
        return {
            "device_id": name,
            "n_qubits": n_qubits,
            "couplings": couplings,
            "basis_gates": basis_gates,
            "instructions": instructions,
            "max_shots": max_shots,
            "note": note,
            "readout": readout_errors,
            "gate_errors": gate_errors,
        }

    def whole(self, value: Any, field: str, low: int, high: int) -> int | None:
        found = None if isinstance(value, bool | str) else as_int(value)
        if found is None or not low <= found <= high:
            self.fault(field, f"{_got(value)}; it must be a whole number from {low} to {high}")
            return None
        return found

    def fraction(self, item: dict[str, Any], key: str, place: str, most: float = 1.0) -> float:
        value = item.get(key)
        found = None if isinstance(value, bool | str) else as_float(value)
        if found is None or not 0 <= found <= most:
            self.fault(f"{place}.{key}", f"{_got(value)}; it must be a number from 0 to {most:.4g}")
            return 0.0
        return found

    def items(self, value: Any, field: str, what: str) -> list[Any]:
        if isinstance(value, list):
            return value
        self.fault(field, f"is {kind(value)}; it must be a list of {what}")
        return []

    def words(self, value: Any, field: str, known: Sequence[str]) -> list[str]:
        good: list[str] = []
        for place, word in enumerate(self.items(value, field, "names")):
            if not isinstance(word, str) or word not in known:
                self.fault(f"{field}[{place}]", f"got {preview(word)}; there are {', '.join(known)}")
            elif word in good:
                self.fault(f"{field}[{place}]", f"{word} is named twice")
            else:
                good.append(word)
        return good

    def couplings(self, value: Any, highest: int) -> list[tuple[int, int]]:
        if isinstance(value, str):
            pairs = _line(value)
            if pairs is None:
                self.fault(
                    "couplings", f"got {preview(value)}; it must be pairs of qubits, or such as 'line 0-1-...-11'"
                )
                return []
        else:
            pairs = self.items(value, "couplings", "pairs of qubits")
        good: dict[tuple[int, int], None] = {}
        seen: set[tuple[int, int]] = set()
        for place, pair in enumerate(pairs):
            field = f"couplings[{place}]"
            qubits = self.qubits(pair, field, highest, 2)
            if qubits is None:
                continue
            one, other = qubits
            if (one, other) in seen:
                self.fault(field, f"the qubits {one} and {other} are coupled twice")
            seen.add((one, other))
            good[min(qubits), max(qubits)] = None  # the other way round says the same
        return list(good)

    def qubits(self, value: Any, field: str, highest: int, size: int) -> tuple[int, ...] | None:
        if not isinstance(value, list) or len(value) != size:
            self.fault(field, f"is {kind(value)}; it must be a list of {size} qubit{'s' if size > 1 else ''}")
            return None
        found = [self.whole(qubit, f"{field}[{place}]", 0, highest) for place, qubit in enumerate(value)]
        known = tuple(qubit for qubit in found if qubit is not None)
        if len(known) < len(found):
            return None
        if len(set(known)) < len(known):
            self.fault(field, f"qubit {known[0]} is coupled with itself")
            return None
        return known

    def readout(self, value: Any, highest: int) -> list[dict[str, Any]]:
        good: list[dict[str, Any]] = []
        seen: set[int] = set()
        for place, item in enumerate(self.items(value, "readout", "objects")):
            field = f"readout[{place}]"
            if not isinstance(item, dict):
                self.fault(field, f"is {kind(item)}; it must be an object")
                continue
            qubit = self.whole(item.get("qubit"), f"{field}.qubit", 0, highest)
            up = self.fraction(item, "prob_meas1_prep0", field)
            down = self.fraction(item, "prob_meas0_prep1", field)
            if qubit is None:
                continue
            if qubit in seen:
                self.fault(f"{field}.qubit", f"qubit {qubit} has two entries")
            seen.add(qubit)
            good.append({"qubit": qubit, "prob_meas1_prep0": up, "prob_meas0_prep1": down})
        return good

    def gate_errors(
        self, value: Any, highest: int, gates: list[str], couplings: list[tuple[int, int]]
    ) -> list[dict[str, Any]]:
        good: list[dict[str, Any]] = []
        seen: set[tuple[str, tuple[int, ...] | None]] = set()
        for place, item in enumerate(self.items(value, "gate_errors", "objects")):
            field = f"gate_errors[{place}]"
            if not isinstance(item, dict):
                self.fault(field, f"is {kind(item)}; it must be an object")
                continue
            gate = item.get("gate")
            if not isinstance(gate, str) or gate not in gates:
                self.fault(f"{field}.gate", f"got {preview(gate)}; the device has {', '.join(gates) or 'no gate'}")
                continue
            size = 1 if gate in GATES[1] else 2
            error = self.fraction(item, "error", field, 2**size / (2**size + 1))
            qubits = item.get("qubits")
            if qubits is not None:
                found = self.qubits(qubits, f"{field}.qubits", highest, size)
                if found is None:
                    continue
                qubits = tuple(sorted(found))
                if size > 1 and qubits not in couplings:
                    self.fault(f"{field}.qubits", f"the qubits {qubits[0]} and {qubits[1]} are not coupled")
            if (gate, qubits) in seen:
                self.fault(field, f"{gate} has two entries for the same qubits")
            seen.add((gate, qubits))
            good.append({"gate": gate, "error": error, "qubits": qubits})
        return good


def _line(text: str) -> list[list[int]] | None:
    """Return the neighbours in a text such as `line 0-1-...-11`, or None if it is none."""
    match = _LINE.fullmatch(text[: 16 * MAX_QUBITS].strip())
    if match is None:
        return None
    words = match[1].split("-")
    line: list[int] = []
    for place, word in enumerate(words):
        if word != "...":
            line.append(int(word))
            continue
        if place + 1 == len(words) or words[place + 1] == "...":
            return None
        end = int(words[place + 1])
        if not line[-1] < end <= MAX_QUBITS:
            return None
        line += range(line[-1] + 1, end)
    return [[low, high] for low, high in itertools.pairwise(line)]
