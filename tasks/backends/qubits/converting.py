"""Qiskit's converter of OpenQASM 3, which goes on after a fault and refuses what would take for ever to build."""

import math
import re
from collections.abc import Callable, Mapping, Sequence, Sized
from functools import cache
from typing import Any

from openqasm3 import ast
from openqasm3.visitor import QASMVisitor
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.exceptions import QiskitError
from qiskit_qasm3_import import ConversionError, types
from qiskit_qasm3_import.converter import ConvertVisitor
from qiskit_qasm3_import.data import Scope, Symbol
from qiskit_qasm3_import.exceptions import raise_from_node
from qiskit_qasm3_import.state import LocalScope

from models.errors import printable
from models.job_language.openqasm import MOST_CLBITS, MOST_FAULTS, Mark
from tasks.backends.cost import number
from tasks.backends.qubits.conditions import condition
from tasks.backends.qubits.controls import controlled
from tasks.backends.qubits.expressions import Resolver
from tasks.backends.qubits.gates import (
    BUILT_IN,
    STANDARD,
    Block,
    Known,
    barrier,
    inverted,
    joined,
    power,
    turned,
)
from tasks.backends.qubits.own_gates import OwnGate
from tasks.backends.qubits.sizes import MOST_OPERATIONS, endless

MOST_BUILT = 30_000
"""Operations in the definitions that gates are built from; the converter copies them at about 70 microseconds each."""

MOST_POWER_QUBITS = 5
"""`pow @` makes a gate a matrix of 4**qubits numbers."""

CONTROLLED = 30
"""What one control makes of one operation of a gate that is not elementary, about."""

Statement = ast.Statement | ast.Pragma
_CONTROLS = {ast.GateModifierName.ctrl, ast.GateModifierName.negctrl}
_PLACE = re.compile(r"^(\d+),(\d+): ")
_UNDEFINED = re.compile(r"(?:Undefined symbol|gate) '([^']*)'(?: is not defined)?\.?$")
_WORDS = {
    "register size error": "the two sides differ in size",
    "duplicate qubit arguments": "a qubit is named twice",
    "index must be int, slice or list": "an index is no whole number that fits",
    "duplicate bit arguments": "a qubit or bit is named twice",
    "measurements must save their result in Qiskit": "the outcome of a measurement must go into a bit",
}
_OPERATOR = re.compile(r"(?:unhandled|unsupported) (?:binary|unary) (?:operator|operation) '(.{1,3})'")
_VALUE = re.compile(r"'(\w+)' cannot be resolved into a Qiskit value")
_NODE = re.compile(r"node of type (\w+?)(?:Statement|Declaration)? is not supported")


class Converter(ConvertVisitor):
    """One conversion.

    Args:
        text: what the program was read from.
        most_qubits: what the device has.
        native: gates that keep their names where the text, one that we wrote, defines them.

    Attributes:
        marks: all faults.
        dear: the first gate that is right but expands to more operations than can be run.
    """

    def __init__(self, text: str, most_qubits: int, native: Mapping[str, Known]) -> None:
        super().__init__()
        self._native = native
        self._text = text
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self.marks: list[Mark] = []
        self.dear: list[Mark] = []
        self._most_qubits = most_qubits
        self._qubits = self._clbits = self._built = 0
        self._sizes: dict[str, int] = {}
        self._lost: set[str] = set()

    def circuit(self, program: ast.Program) -> QuantumCircuit:
        """Return the circuit; it is whole only if there are no marks and nothing is too dear."""
        return self.convert(program).circuit

    def visit_Program(self, node: ast.Program, context: Any) -> Any:  # noqa: N802 - the visitor's name for it
        """Convert every statement, and note what is wrong with each."""
        done = 0
        kind = types.Gate(BUILT_IN.parameters, BUILT_IN.qubits)
        context.symbol_table[0].symbols["U"] = Symbol("U", BUILT_IN.block, kind, Scope.BUILTIN)
        for statement in node.statements:
            try:
                self.visit(statement, context)
                self._look(statement, list(context.circuit.data[done:]))
            except _TooDear as error:
                self.dear = self.dear or [_place(statement)._replace(message=str(error))]
                self._lose(statement)
            except ConversionError as error:
                self._note(str(error.message), statement)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 - the converter takes every program to be right
                self._note(_plain(error), statement)
            done = len(context.circuit.data)
            if len(self.marks) >= MOST_FAULTS:
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
        mark = _place(statement)
        found = _PLACE.match(message)
        if found is not None:
            line, column, message = int(found[1]), int(found[2]), message[found.end() :]
            mark = Mark(line, self._column(statement, line, column), "")
        missing = _UNDEFINED.search(message)
        if missing is None or missing[1] not in self._lost:
            self.marks.append(mark._replace(message=printable(_worded(message.rstrip(".")))))
        self._lose(statement)

    def _column(self, statement: Statement, line: int, column: int) -> int:
        """Return the column, from 1, of a place that the parser gives: of some names it counts from the text's begin."""
        start = self._starts[line - 1]
        names = _Names()
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

    def visit_ClassicalDeclaration(self, node: ast.ClassicalDeclaration, context: Any) -> Any:  # noqa: N802
        """Declare bits, no more than anybody reads."""
        if isinstance(node.type, ast.BitType):
            self._clbits += 1 if node.type.size is None else self._size(node, node.type.size, context)
            if self._clbits > MOST_CLBITS:
                raise_from_node(
                    node, f"too many classical bits: the program has {self._clbits:,}, the limit is {MOST_CLBITS}"
                )
            self._fresh(node.identifier.name, node, context)
        return super().visit_ClassicalDeclaration(node, context)

    def _size(self, node: ast.QASMNode, expression: ast.Expression, context: Any) -> int:
        size: int = self._resolve_constant_int(expression, context)
        if size < 1:
            raise_from_node(node, f"a register has at least one element, not {number(size)}")
        return size

    def _fresh(self, name: str, node: ast.QASMNode, context: Any) -> None:
        old = context.symbol_table.get(name, node)
        if old is not None:
            before = (
                "" if old.definer is None or old.definer.span is None else f", on line {old.definer.span.start_line}"
            )
            raise_from_node(node, f"the name '{name}' is taken{before}")

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

    def visit_QuantumGateDefinition(self, node: ast.QuantumGateDefinition, context: Any) -> Any:  # noqa: N802
        """Define a gate of gates that can be run; it is written out where it is called."""
        name = node.name.name
        if context.scope is not Scope.GLOBAL:
            raise_from_node(node, "gates can only be defined at the top, outside of branches and loops")
        for statement in node.body:
            if not isinstance(statement, ast.QuantumGate | ast.QuantumPhase | ast.QuantumBarrier):
                raise_from_node(statement, "in a gate there can only be gates")
        if not isinstance(getattr(context.symbol_table.get(name, node), "definer", None), ast.Include):
            self._fresh(name, node, context)  # a gate of one's own wins over the library's
        size = sum(self._weight(each, context) for each in node.body if not isinstance(each, ast.QuantumBarrier))
        if size > MOST_OPERATIONS:
            raise _TooDear(f"the gate expands to {number(size)} operations; at most {MOST_OPERATIONS:,} are run")
        own = OwnGate(node, context)
        with own.scope([Parameter(each.name) for each in node.arguments]) as inner:
            for statement in node.body:
                self._check(statement, inner)
        native = self._native.get(name)
        block = self._written(own) if native is None else native.block
        kind = types.Gate(len(node.arguments), len(node.qubits))
        context.symbol_table[0].symbols[name] = Symbol(name, block, kind, Scope.GLOBAL, node)
        self._sizes[name] = max(size, 1)
        return context

    def _written(self, own: OwnGate) -> Callable[..., Block]:
        """Return what writes a gate out for its parameters; the same ones are written out once."""

        @cache
        def block(*parameters: Any) -> Block:
            with own.scope(parameters) as inner:
                parts = [(self._block(statement, inner), places) for statement, places in own.body]
                return joined(len(own.places), parts)

        return block

    def _check(self, node: Any, context: Any) -> None:
        """Find what is wrong with a statement in the definition of a gate, whatever its parameters will be."""
        if isinstance(node, ast.QuantumBarrier):
            return
        self._weight(node, context)
        if isinstance(node, ast.QuantumGate):
            self._callee(node, context)
        else:
            self._phased_size(node, context)
        for argument in node.arguments if isinstance(node, ast.QuantumGate) else [node.argument]:
            self._resolve_angle(argument, context)

    def _apart(self, node: Any, qubits: Sequence[Any]) -> None:
        if len(set(qubits)) < len(qubits):
            raise_from_node(node, "a qubit is named twice")

    def _callee(self, node: ast.QuantumGate, context: Any) -> Any:
        """Return the symbol of the gate that is called, whose qubits and parameters are as many as there should be."""
        name = node.name.name
        if node.duration is not None:
            raise_from_node(
                node, f"'{name}[...]' is no type of a declaration, and gates with a duration do not exist here"
            )
        symbol = context.symbol_table.get(name, node)
        if symbol is None:
            raise_from_node(node, f"gate '{name}' is not defined.")
        if not isinstance(symbol.type, types.Gate):
            raise_from_node(node, f"'{name}' is no gate{self._line(name, context)}")
        wanted = symbol.type.n_quantum + sum(self._controls(each, context) for each in node.modifiers)
        if len(node.qubits) != wanted:
            raise_from_node(node, f"'{name}' acts on {wanted} qubits, not on {len(node.qubits)}")
        if len(node.arguments) != symbol.type.n_classical:
            wanted, got = symbol.type.n_classical, len(node.arguments)
            raise_from_node(node, f"'{name}' takes {wanted} parameters, not {got}")
        return symbol

    def _line(self, name: str, context: Any) -> str:
        symbol = context.symbol_table.get(name)
        span = getattr(getattr(symbol, "definer", None), "span", None)
        return "" if span is None else f", on line {span.start_line}"

    def _block(self, node: Any, context: Any) -> Block:
        """Return a statement of a gate's definition, or a call, with its modifiers, on qubits that are numbered."""
        if isinstance(node, ast.QuantumBarrier):
            return barrier(len(node.qubits))
        if isinstance(node, ast.QuantumPhase):
            found = turned(self._resolve_angle(node.argument, context))
        else:
            symbol = self._callee(node, context)
            found = symbol.data(*[self._resolve_angle(argument, context) for argument in node.arguments])
        for modifier in reversed(node.modifiers):
            if modifier.modifier is ast.GateModifierName.inv:
                found = inverted(found)
            elif modifier.modifier is ast.GateModifierName.pow:
                found = power(found, self._resolve_constant_float(modifier.argument, context))
            else:
                negative = modifier.modifier is ast.GateModifierName.negctrl
                found = controlled(found, self._controls(modifier, context), negative=negative)
        return found

    def _operands(self, node: Any, context: Any) -> list[Any]:
        return [self._resolve_qarg(qubit, context) for qubit in node.qubits]

    def _apply(self, node: Any, arguments: Sequence[Any], context: Any) -> None:
        """Append a call, once for each qubit of the registers it is given."""
        block = self._block(node, context)
        for qubits in self._broadcast_gate(arguments, node):
            self._apart(node, qubits)
            for operation, places in block.operations:
                context.circuit.append(operation, [qubits[place] for place in places], copy=False)

    def visit_QuantumGate(self, node: ast.QuantumGate, context: Any) -> Any:  # noqa: N802
        """Apply a gate that has the right size."""
        self._callee(node, context)
        arguments = self._operands(node, context)
        calls = max((len(each) for each in arguments if isinstance(each, Sized)), default=1)
        weight = self._weight(node, context) * calls + self._effort(node, context)
        self._built += weight if weight > calls or context.scope is Scope.LOCAL else 0
        if self._built > MOST_BUILT:
            raise _TooDear(f"definitions and loops expand to more than {MOST_BUILT:,} operations; fewer can be built")
        self._apply(node, arguments, context)
        return context

    def _resolve_generic(self, node: ast.Expression, context: Any, strict: bool) -> tuple[Any, types.Type]:  # noqa: FBT001
        return Resolver(context, strict).resolve(node)

    def visit_AliasStatement(self, node: ast.AliasStatement, context: Any) -> Any:  # noqa: N802
        """Give qubits or bits another name, which is no register of the circuit."""
        name = node.target.name
        if name in context.symbol_table[len(context.symbol_table) - 1].symbols:
            raise_from_node(node, f"the name '{name}' is taken{self._line(name, context)}")
        found, kind = self._resolve_generic(node.value, context, strict=True)
        if not isinstance(kind, types.BitArray | types.QubitArray | types.Bit | types.Qubit):
            raise_from_node(node.value, "an alias stands for registers, or elements of one")
        if isinstance(kind, types.BitArray | types.QubitArray):
            self._apart_alias(node, found := list(found))
        context.symbol_table.insert(Symbol(name, found, kind, context.scope, node))
        return context

    def _apart_alias(self, node: ast.AliasStatement, elements: Sequence[Any]) -> None:
        if len(set(elements)) < len(elements):
            raise_from_node(node.value, "an alias names an element twice")

    def _resolve_condition(self, node: ast.Expression, context: Any) -> Any:
        return condition(node, Resolver(context, strict=True))

    def visit_ForInLoop(self, node: ast.ForInLoop, context: Any) -> Any:  # noqa: N802
        """Write the loop out, so that its variable may be an index; one that is left early stays a loop."""
        size = self._rounds(node, context)
        if size > MOST_BUILT:
            raise_from_node(node, f"the loop runs {number(size)} operations; at most {MOST_BUILT:,} are written out")
        if _left_early(node.block):
            return super().visit_ForInLoop(node, context)
        for value in self._values(node, context):
            with LocalScope(context) as inner:
                symbol = Symbol(node.identifier.name, value, types.Int(const=True), Scope.LOCAL, node)
                inner.symbol_table.insert(symbol)  # type: ignore[no-untyped-call]
                for statement in node.block:
                    self.visit(statement, inner)
        return context

    def _values(self, node: ast.ForInLoop, context: Any) -> Sequence[int]:
        if not isinstance(node.type, ast.IntType | ast.UintType):
            raise_from_node(node, "a loop variable must be int or uint")
        declared: Any = node.set_declaration
        found, kind = self._resolve_generic(declared, context, strict=True)
        if not isinstance(kind, types.Range | types.Sequence):
            raise_from_node(node.set_declaration, "a loop runs over a range or a set of whole numbers")
        values: Sequence[int] = found
        return values

    def _rounds(self, node: Statement, context: Any) -> int:
        """Return how many statements a loop runs, those of loops within it included."""
        if not isinstance(node, ast.ForInLoop):
            blocks = [getattr(node, name, None) or [] for name in ("if_block", "else_block", "block")]
            return 1 + sum(self._rounds(each, context) for block in blocks for each in block)
        try:
            values = self._values(node, context)
            rounds = len(values)
        except ConversionError as error:
            if _UNDEFINED.search(str(error.message)) is None:
                raise
            rounds = 1  # it depends on the variable of the loop around it, and is counted when that has a value
        return max(rounds, 0) * sum(self._rounds(each, context) for each in node.block)

    def visit_QuantumPhase(self, node: ast.QuantumPhase, context: Any) -> Any:  # noqa: N802
        """Turn the phase."""
        self._weight(node, context)
        self._phased_size(node, context)
        if node.qubits:
            self._apply(node, self._operands(node, context), context)
        else:
            context.circuit.global_phase += self._block(node, context).phase
        return context

    def _phased_size(self, node: ast.QuantumPhase, context: Any) -> None:
        wanted = sum(self._controls(each, context) for each in node.modifiers)
        if len(node.qubits) != wanted:
            raise_from_node(
                node, f"'gphase' acts on {wanted} qubits here, one for each control, not on {len(node.qubits)}"
            )

    def _weight(self, node: Any, context: Any) -> int:
        """Return about how many operations a gate with its modifiers expands to."""
        weight = 1 if isinstance(node, ast.QuantumPhase) else self._sizes.get(node.name.name, 1)
        for modifier in node.modifiers:
            controls = self._controls(modifier, context)
            if controls:
                weight *= CONTROLLED * controls if weight > 1 else controls**2
            elif modifier.modifier is ast.GateModifierName.pow and len(node.qubits) > MOST_POWER_QUBITS:
                raise_from_node(node, f"pow works on gates of at most {MOST_POWER_QUBITS} qubits")
        return weight

    def _effort(self, node: Any, context: Any) -> int:
        """Return what the modifiers cost while they are built, in operations that are copied in the same time."""
        effort = 0
        is_plain = node.name.name not in self._sizes
        for modifier in reversed(node.modifiers):
            controls = self._controls(modifier, context)
            if controls:
                effort += 3 * controls**2 if is_plain else 130 * controls
            elif modifier.modifier is ast.GateModifierName.pow:
                effort += 100 + 20 * 4 ** min(len(node.qubits), MOST_POWER_QUBITS)
            is_plain = False
        return effort

    def _controls(self, modifier: ast.QuantumGateModifier, context: Any) -> int:
        if modifier.modifier not in _CONTROLS:
            return 0
        controls: int = 1 if modifier.argument is None else self._resolve_constant_int(modifier.argument, context)
        if not 1 <= controls < self._most_qubits:
            raise_from_node(
                modifier, f"a gate with {number(controls)} controls; there can be 1 to {self._most_qubits - 1}"
            )
        return controls


def _left_early(block: Sequence[Any]) -> bool:
    """Return True if a loop's body has a `break` or `continue` of this loop."""
    for statement in block:
        if isinstance(statement, ast.BreakStatement | ast.ContinueStatement):
            return True
        if isinstance(statement, ast.BranchingStatement) and _left_early(
            [*statement.if_block, *(statement.else_block or [])]
        ):
            return True
    return False


class _TooDear(Exception):
    """The program is right, but nobody can run it."""


class _Names(QASMVisitor[None]):
    """Where the parser says that the names of a statement stand: it counts their columns from the text's beginning."""

    def __init__(self) -> None:
        self.places: dict[tuple[int, int], list[str]] = {}

    def visit_Identifier(self, node: ast.Identifier) -> None:  # noqa: N802
        if node.span is not None:
            self.places.setdefault((node.span.start_line, node.span.start_column), []).append(node.name)


def _place(statement: Statement) -> Mark:
    span = statement.span
    return Mark(span.start_line, span.start_column + 1, "") if span else Mark(1, 1, "")


def _worded(message: str) -> str:
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
    return _WORDS.get(message, message)


_PLAIN: dict[type[Exception], str] = {
    ZeroDivisionError: "a division by zero",
    OverflowError: "a number is too large",
    IndexError: "an index is beyond the end of its register",
    RecursionError: "the statement is nested too deeply",
    ValueError: "a number is outside of what can be computed",
}


def _plain(error: Exception) -> str:
    """Return what a library's exception says to a user; only Qiskit's own were written for one."""
    if isinstance(error, QiskitError):
        return str(error.message)
    said = [words for kind, words in _PLAIN.items() if isinstance(error, kind)]
    return said[0] if said else "the statement cannot be read"
