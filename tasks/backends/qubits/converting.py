"""Qiskit's converter of OpenQASM 3, which goes on after a fault and refuses what would take for ever to build."""

import math
import re
from collections.abc import Mapping
from typing import Any

from openqasm3 import ast
from qiskit import QuantumCircuit
from qiskit_qasm3_import import ConversionError, types
from qiskit_qasm3_import.data import Scope, Symbol
from qiskit_qasm3_import.exceptions import raise_from_node

from models.errors import printable
from models.job_language.openqasm import MAX_PROGRAM_FAULTS, Mark
from tasks.backends.qubits.calling import TooDear
from tasks.backends.qubits.circuits import HIDDEN, reordered
from tasks.backends.qubits.classical import Classical
from tasks.backends.qubits.gates import BUILT_IN, STANDARD, Known
from tasks.backends.qubits.loops import Ended
from tasks.backends.qubits.messages import PLACE, UNDEFINED, Names, place_of, plain, worded
from tasks.backends.qubits.sizes import endless

Statement = ast.Statement | ast.Pragma


class Converter(Classical):
    """One conversion.

    Args:
        text: what the program was read from.
        most_qubits: what the device has.
        native: gates that keep their names where the text, one that we wrote, defines them.

    Attributes:
        marks: all faults.
        too_costly: the first gate that is right but expands to more operations than can be run.
    """

    def __init__(self, text: str, most_qubits: int, native: Mapping[str, Known]) -> None:
        super().__init__(most_qubits, native)
        self._text = text
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self.marks: list[Mark] = []
        self.too_costly: list[Mark] = []
        self._qubits = 0
        self._lost: set[str] = set()

    def circuit(self, program: ast.Program) -> QuantumCircuit:
        """Return the circuit, hidden bits last; it is whole only if there are no marks and nothing is too dear."""
        circuit = self.convert(program).circuit
        if self.hidden:
            hidden = set(self.hidden)
            bits = [bit for bit in circuit.clbits if bit not in hidden] + self.hidden
            place = {bit: number for number, bit in enumerate(bits)}
            layout = circuit.layout
            circuit = reordered(circuit, [place[bit] for bit in circuit.clbits])
            circuit._layout = layout  # noqa: SLF001 - the converter sets it for physical qubits, and there is no other way
        circuit.metadata = {HIDDEN: len(self.hidden)}
        return circuit

    def visit_Program(self, node: ast.Program, context: Any) -> Any:  # noqa: N802 - the visitor's name for it
        """Convert every statement, and note what is wrong with each."""
        done = 0
        kind = types.Gate(BUILT_IN.parameters, BUILT_IN.qubits)
        context.symbol_table[0].symbols["U"] = Symbol("U", BUILT_IN.block, kind, Scope.BUILTIN)
        for statement in node.statements:
            try:
                self.visit(statement, context)
                self._look(statement, list(context.circuit.data[done:]))
            except Ended:
                break
            except TooDear as error:
                self.too_costly = self.too_costly or [place_of(statement)._replace(message=str(error))]
                self._lose(statement)
            except ConversionError as error:
                self._note(str(error.message), statement)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 - the converter takes every program to be right
                self._note(plain(error), statement)
            done = len(context.circuit.data)
            if len(self.marks) >= MAX_PROGRAM_FAULTS:
                break
        return context

    def _look(self, statement: Statement, items: list[Any]) -> None:
        """Find what shows only when a statement has been built."""
        for item in items:
            operation = item.operation
            if any(isinstance(each, float) and not math.isfinite(each) for each in operation.params):
                raise_from_node(statement, "an angle is not finite")
            if endless(operation):
                raise_from_node(statement, "a while loop never ends: nothing in it changes the bits of its condition")

    def _note(self, message: str, statement: Statement) -> None:
        mark = place_of(statement)
        found = PLACE.match(message)
        if found is not None:
            line, column, message = int(found[1]), int(found[2]), message[found.end() :]
            mark = Mark(line, self._column(statement, line, column), "")
        missing = UNDEFINED.search(message)
        if missing is None or missing[1] not in self._lost:
            self.marks.append(mark._replace(message=printable(worded(message.rstrip(".")))))
        self._lose(statement)

    def _column(self, statement: Statement, line: int, column: int) -> int:
        """Return the column, from 1, that the parser gives; for some names it counts from the text's start."""
        start = self._starts[line - 1]
        names = Names()
        names.visit(statement)
        for name in names.places.get((line, column), ()):
            if self._text.startswith(name, column) and not self._text.startswith(name, start + column):
                column -= start
                break
        return column + 1

    def _lose(self, statement: Statement) -> None:
        """Keep in mind what a faulty statement would have declared: it is not missed again."""
        if isinstance(statement, ast.QuantumGate):
            if statement.duration is not None:
                names = [getattr(qubit, "name", None) for qubit in statement.qubits]
                self._lost.update(name for name in names if isinstance(name, str))
            return
        for holder in ("qubit", "identifier", "name", "target"):
            name = getattr(getattr(statement, holder, None), "name", None)
            if isinstance(name, str):
                self._lost.add(name)

    def visit_QubitDeclaration(self, node: ast.QubitDeclaration, context: Any) -> Any:  # noqa: N802
        """Declare qubits, no more than there are."""
        self._qubits += 1 if node.size is None else self._size(node, node.size, context)
        if self._qubits > self._most_qubits:
            raise_from_node(
                node, f"too many qubits: the program has {self._qubits:,}, the device has {self._most_qubits}"
            )
        self._fresh(node.qubit.name, node, context)
        return super().visit_QubitDeclaration(node, context)

    def visit_Include(self, node: ast.Include, context: Any) -> Any:  # noqa: N802
        """Make the standard gates known, but for those whose names the program has given to gates of its own."""
        for name, standard in STANDARD.items():
            known = self._native.get(name, standard)
            old = context.symbol_table.get(name, node)
            if old is None:
                kind = types.Gate(known.parameters, known.qubits)
                context.symbol_table.insert(Symbol(name, known.block, kind, Scope.GLOBAL, node))
            elif not isinstance(old.definer, ast.QuantumGateDefinition):
                self._note(
                    f"{node.filename} defines the gate '{name}', a name that is taken{self._line(name, context)}", node
                )
        return context
