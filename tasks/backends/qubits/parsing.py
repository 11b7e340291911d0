"""From OpenQASM text to a circuit, with all that is wrong with it, by line and column.

OpenQASM 2 is read by `qiskit.qasm2`, which has the include it knows in memory and opens no file; OpenQASM 3 by the
reference parser and Qiskit's converter, a statement at a time, so that one bad statement does not hide the next.
"""

import contextlib
import io
import math
import re
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import openqasm3
from qiskit import QuantumCircuit, qasm2

from models.errors import printable
from models.job_language.openqasm import MAX_CLBITS, MAX_PROGRAM_FAULTS, NO_OPENING, Mark, scan
from models.job_language.openqasm_names import miscalled, renamed
from models.job_language.openqasm_opening import BYTE_ORDER_MARK
from tasks.backends.cost import number
from tasks.backends.qubits.converting import Converter
from tasks.backends.qubits.gates import natives
from tasks.backends.qubits.inlining import written_out
from tasks.backends.qubits.sizes import MAX_OPERATIONS, size_of

_PLACE_2 = re.compile(r"^<input>:(\d+),(\d+): ")
_PLACE_3 = re.compile(r"^L(\d+):C(\d+): ")
_SHOWN = re.compile(r"[\w$.]{1,40}|[-+*/=;:,.()\[\]{}@]|->|==")


class Parsed(NamedTuple):
    """A text as a circuit.

    Attributes:
        circuit: None where there are faults.
        marks: all faults.
        too_costly: what is right but expands to more operations than can be run.
    """

    circuit: QuantumCircuit | None
    marks: list[Mark]
    too_costly: list[Mark]


def parse(text: str, most_qubits: int, native: Iterable[str] = ()) -> Parsed:
    """Read one program for a device of `most_qubits`.

    Args:
        native: gates that are the device's own although the text defines them: it is one that we wrote.
    """
    text = text.removeprefix(BYTE_ORDER_MARK)
    seen = scan(text, most_qubits, written=bool(native))
    if seen.marks:
        return Parsed(None, seen.marks, [])
    # What parsers print is of no use to anybody.
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings(action="ignore"):
        read = _version_2(text) if seen.version == 2 else _version_3(text, most_qubits, native)  # noqa: PLR2004 - the version
    circuit, marks, too_costly = read
    if circuit is not None and not marks and not too_costly:
        marks = list(_whole(circuit, most_qubits))
        size = 0
        if not marks:
            try:
                size = size_of(circuit)  # OpenQASM 2 looks into a gate only now
            except RecursionError:
                marks = [Mark(1, 1, "the definitions of gates are nested too deeply")]
            except (qasm2.QASM2ParseError, ArithmeticError, ValueError) as error:
                said = printable(str(getattr(error, "message", "a number cannot be computed")))
                marks = [Mark(1, 1, f"in the definition of a gate: {said}")]
        if size > MAX_OPERATIONS:
            message = f"the program expands to {number(size)} operations; at most {MAX_OPERATIONS:,} are run"
            too_costly = [Mark(1, 1, message)]
        elif not marks:
            circuit = written_out(circuit)
    if marks and not seen.declared:
        marks = [NO_OPENING, *marks]
    return Parsed(None if marks or too_costly else circuit, marks[:MAX_PROGRAM_FAULTS], too_costly)


def _version_2(text: str) -> Parsed:
    own = renamed(text)
    # The gates of qelib1.inc with those added since, swap, cswap and sx among them, unless the program defines them.
    known = [each for each in qasm2.LEGACY_CUSTOM_INSTRUCTIONS if not each.builtin or each.name not in own.registers]
    wanted = {"U": 3} | {each.name: each.num_params for each in known}
    marks = [own.before(mark) for mark in miscalled(own.text, wanted)]
    if marks:
        return Parsed(None, marks, [])
    try:
        return Parsed(qasm2.loads(own.text, include_path=(), custom_instructions=known), [], [])
    except qasm2.QASM2ParseError as error:
        message = str(error.message)
        found = _PLACE_2.match(message)
        line, column = (int(found[1]), int(found[2]) + 1) if found else (1, 1)
        mark = own.before(Mark(line, column, message[found.end() if found else 0 :]))
        return Parsed(None, [mark._replace(message=printable(mark.message))], [])


def _version_3(text: str, most_qubits: int, native: Iterable[str]) -> Parsed:
    try:
        program = openqasm3.parse(text)
    except MemoryError:
        raise
    except RecursionError:
        return Parsed(None, [Mark(1, 1, "an expression is nested too deeply")], [])
    except Exception as error:  # noqa: BLE001 - the parser raises whatever its own mistakes lead to
        return Parsed(None, [_syntax(error)], [])
    converter = Converter(text, most_qubits, natives(native))
    circuit = converter.circuit(program)
    return Parsed(circuit, converter.marks, converter.too_costly)


def _syntax(error: BaseException) -> Mark:
    """Return where the grammar stops, without repeating what nobody should have to read."""
    token: Any = None
    for cause in (error.__cause__, *getattr(error.__cause__, "args", ())):
        token = token or getattr(cause, "offendingToken", None)
    if token is not None:
        word = token.text
        if token.type == -1:
            return Mark(token.line, token.column + 1, "the text ends too early")
        at = f" at '{word}'" if _SHOWN.fullmatch(word) else ""
        return Mark(token.line, token.column + 1, f"a syntax error{at}")
    found = _PLACE_3.match(str(error))
    return Mark(*((int(found[1]), int(found[2]) + 1) if found else (1, 1)), "a syntax error")


def _whole(circuit: QuantumCircuit, most_qubits: int) -> Iterator[Mark]:
    """Find what shows only when the circuit is complete."""
    if circuit.num_qubits > most_qubits:
        yield Mark(1, 1, f"too many qubits: the program has {circuit.num_qubits:,}, the device has {most_qubits}")
    if circuit.num_qubits == 0:
        yield Mark(1, 1, "the program has no qubits")
    if circuit.num_clbits > MAX_CLBITS:
        yield Mark(1, 1, f"too many classical bits: {circuit.num_clbits:,}, the limit is {MAX_CLBITS}")
    if not math.isfinite(float(circuit.global_phase)):
        yield Mark(1, 1, "the global phase is not finite")
    for position, item in enumerate(circuit.data):
        if any(isinstance(each, float) and not math.isfinite(each) for each in item.operation.params):
            yield Mark(1, 1, f"operation {position} ({item.operation.name}) has an angle that is not finite")
