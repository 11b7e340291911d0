"""What a user is told, and where: the converter's and Qiskit's faults in words of OpenQASM."""

import re
from typing import Any

from openqasm3 import ast
from openqasm3.visitor import QASMVisitor
from qiskit.exceptions import QiskitError

from models.job_language.openqasm import Mark
from tasks.backends.qubits.gates import STANDARD

UNDEFINED = re.compile(r"(?:Undefined symbol|gate) '([^']*)'(?: is not defined)?\.?$")
PLACE = re.compile(r"^(\d+),(\d+): ")
_MIXED = "a program declares its qubits ('qubit') or names those of the device ('$0'); both are not supported"
_WORDS = {
    "register size error": "the two sides differ in size",
    "duplicate qubit arguments": "a qubit is named twice",
    "index must be int, slice or list": "an index is no whole number that fits",
    "required a constant integer": "this must be a constant whole number; a variable is not supported here",
    "required a constant floating-point number": "this must be a constant number; a variable is not supported here",
    "Physical qubit referenced in virtual addressing mode. Mixing modes not currently supported": _MIXED,
    "Virtual qubit declared in physical addressing mode. Mixing modes not currently supported": _MIXED,
    "duplicate bit arguments": "a qubit or bit is named twice",
}
_OPERATOR = re.compile(r"(?:unhandled|unsupported) (?:binary|unary) (?:operator|operation) '(.{1,3})'")
_VALUE = re.compile(r"'(\w+)' cannot be resolved into a Qiskit value")
_NODE = re.compile(r"node of type (\w+?)(?:Statement|Declaration)? is not supported")
_PLAIN: dict[type[Exception], str] = {
    ZeroDivisionError: "a division by zero",
    OverflowError: "a number is too large",
    IndexError: "an index is beyond the end of its register",
    RecursionError: "the statement is nested too deeply",
    ValueError: "a number is outside of what can be computed",
}


class Names(QASMVisitor[None]):
    """Where the parser says that the names of a statement stand: it counts their columns from the text's beginning."""

    def __init__(self) -> None:
        self.places: dict[tuple[int, int], list[str]] = {}

    def visit_Identifier(self, node: ast.Identifier) -> None:  # noqa: N802
        """Note a name."""
        if node.span is not None:
            self.places.setdefault((node.span.start_line, node.span.start_column), []).append(node.name)


def place_of(statement: Any) -> Mark:
    """Return where a statement begins, with nothing said of it."""
    span = statement.span
    return Mark(span.start_line, span.start_column + 1, "") if span else Mark(1, 1, "")


def worded(message: str) -> str:
    """Return a message of the converter in words of the language."""
    found = _NODE.fullmatch(message)
    if found is not None:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", found[1]).lower() + " is not supported"
    found = _OPERATOR.fullmatch(message)
    if found is not None:
        return f"the operator '{found[1]}' is not supported here"
    found = _VALUE.fullmatch(message)
    if found is not None:
        return "this cannot be a value here"
    found = UNDEFINED.fullmatch(message)
    if found is not None and found[1] in STANDARD:
        return f"gate '{found[1]}' is not defined; include \"stdgates.inc\" defines it"
    if found is not None and message.startswith("Undefined"):
        return f"'{found[1]}' is not declared"
    return _WORDS.get(message, message)


def plain(error: Exception) -> str:
    """Return what a library's exception says to a user; only Qiskit's own were written for one."""
    if isinstance(error, QiskitError):
        return str(error.message)
    said = [words for kind, words in _PLAIN.items() if isinstance(error, kind)]
    return said[0] if said else "the statement cannot be read"
