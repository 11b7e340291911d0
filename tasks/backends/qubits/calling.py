"""Gates of OpenQASM 3: what a program's own are written out to, and what a call with its modifiers comes to."""

from collections.abc import Callable, Mapping, Sequence, Sized
from functools import cache
from typing import Any

from openqasm3 import ast
from qiskit.circuit import Parameter, ParameterExpression
from qiskit_qasm3_import import types
from qiskit_qasm3_import.converter import ConvertVisitor
from qiskit_qasm3_import.data import Scope, Symbol
from qiskit_qasm3_import.exceptions import raise_from_node

from tasks.backends.cost import number
from tasks.backends.qubits.controls import controlled
from tasks.backends.qubits.expressions import Resolver
from tasks.backends.qubits.gates import Block, Known, barrier, inverted, joined, power, turned
from tasks.backends.qubits.own_gates import OwnGate
from tasks.backends.qubits.sizes import MAX_OPERATIONS

MAX_BUILT = 30_000
"""Operations in the definitions that gates are built from; the converter copies them at about 70 microseconds each."""

MAX_POWER_QUBITS = 5
"""`pow @` makes a gate a matrix of 4**qubits numbers."""

CONTROLLED = 30
"""What one control makes of one operation of a gate that is not elementary, about."""

_CONTROLS = {ast.GateModifierName.ctrl, ast.GateModifierName.negctrl}


class TooDear(Exception):
    """The program is right, but nobody can run it."""


class GateCalls(ConvertVisitor):
    """The part of a conversion that knows gates.

    Args:
        most_qubits: what the device has.
        native: gates that keep their names where the text, one that we wrote, defines them.
    """

    def __init__(self, most_qubits: int, native: Mapping[str, Known]) -> None:
        super().__init__()
        self._native = native
        self._most_qubits = most_qubits
        self._built = 0
        self._sizes: dict[str, int] = {}

    def _resolve_generic(self, node: ast.Expression, context: Any, strict: bool) -> tuple[Any, types.Type]:  # noqa: FBT001
        return Resolver(context, strict).resolve(node)

    def _resolve_angle(self, node: ast.Expression, context: Any) -> Any:
        value, kind = self._resolve_generic(node, context, strict=False)
        is_number = isinstance(value, int | float | ParameterExpression) and not isinstance(value, bool)
        if not is_number or not isinstance(kind, types.Int | types.Uint | types.Float):
            raise_from_node(node, "an angle is a constant number")
        return value

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
        if size > MAX_OPERATIONS:
            raise TooDear(f"the gate expands to {number(size)} operations; at most {MAX_OPERATIONS:,} are run")
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

    def _fresh(self, name: str, node: ast.QASMNode, context: Any) -> None:
        old = context.symbol_table.get(name, node)
        if old is not None:
            before = (
                "" if old.definer is None or old.definer.span is None else f", on line {old.definer.span.start_line}"
            )
            raise_from_node(node, f"the name '{name}' is taken{before}")

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
        if self._built > MAX_BUILT:
            raise TooDear(f"definitions and loops expand to more than {MAX_BUILT:,} operations; fewer can be built")
        self._apply(node, arguments, context)
        return context

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
            elif modifier.modifier is ast.GateModifierName.pow and len(node.qubits) > MAX_POWER_QUBITS:
                raise_from_node(node, f"pow works on gates of at most {MAX_POWER_QUBITS} qubits")
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
                effort += 100 + 20 * 4 ** min(len(node.qubits), MAX_POWER_QUBITS)
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
