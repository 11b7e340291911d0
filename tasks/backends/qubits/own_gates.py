"""The definition of a gate in a program, and the names that its body sees: its own and gates, none of the caller's."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from openqasm3 import ast
from qiskit.circuit import Qubit
from qiskit_qasm3_import import types
from qiskit_qasm3_import.data import Scope, Symbol
from qiskit_qasm3_import.exceptions import raise_from_node
from qiskit_qasm3_import.state import State, SymbolTable, SymbolTables


class OwnGate:
    """A gate that a program defines.

    Attributes:
        node: its definition.
        places: the number of each of its qubits.

    Raises:
        ConversionError: a name stands for two of its parameters and qubits.
    """

    def __init__(self, node: ast.QuantumGateDefinition, context: State) -> None:
        self.node = node
        self.places = {qubit.name: place for place, qubit in enumerate(node.qubits)}
        names = [each.name for each in (*node.arguments, *node.qubits)]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise_from_node(node, f"the gate names '{name}' twice among its parameters and qubits")
        self.body: list[Any] = [(each, self._acted(each)) for each in node.body]
        self._qubits = {name: Symbol(name, Qubit(), types.Qubit(), Scope.GATE, node) for name in self.places}
        self._context = context
        # What a name means here is settled here: the program may give a library's name to a gate of its own later.
        called = [each.name.name for each in node.body if isinstance(each, ast.QuantumGate)]
        known = {name: context.symbol_table.get(name) for name in called}
        self._callees = {name: symbol for name, symbol in known.items() if symbol is not None}

    def _acted(self, statement: Any) -> list[int]:
        """Return the numbers of the qubits that a statement of the body acts on.

        Raises:
            ConversionError: it does not name them, or names one twice.
        """
        found = []
        for qubit in statement.qubits:
            place = self.places.get(getattr(qubit, "name", ""))
            if place is None or not isinstance(qubit, ast.Identifier):
                raise_from_node(qubit, "in a gate there are only its own qubits, without an index")
            if place in found:
                raise_from_node(statement, "a qubit is named twice")
            found.append(place)
        return found

    @contextmanager
    def scope(self, parameters: Sequence[Any]) -> Iterator[State]:
        """Lend the names of the body, with these values of the parameters."""
        tables = SymbolTables()  # type: ignore[no-untyped-call]
        tables.pop()  # type: ignore[no-untyped-call]
        tables.push(self._context.symbol_table[0])
        number = types.Float(const=True)
        values = {
            each.name: Symbol(each.name, value, number, Scope.GATE, self.node)
            for each, value in zip(self.node.arguments, parameters, strict=True)
        }
        tables.push(SymbolTable(Scope.GATE, self._callees | values | self._qubits))  # type: ignore[no-untyped-call]
        inner = State.__new__(State)
        inner.scope, inner.symbol_table = Scope.GATE, tables
        inner.addressing_mode = self._context.addressing_mode
        inner.all_parameters = set()
        yield inner
