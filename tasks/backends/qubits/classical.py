"""Bits, numbers and constants of OpenQASM 3: what is declared, measured, assigned and renamed.

A variable that is a number is held in bits that nobody sees. Source: OpenQASM 3 specification, types.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from openqasm3 import ast
from qiskit.circuit import Clbit, Qubit
from qiskit_qasm3_import import types
from qiskit_qasm3_import.data import Scope, Symbol
from qiskit_qasm3_import.exceptions import raise_from_node

from models.job_language.openqasm import MAX_CLBITS
from tasks.backends.cost import number
from tasks.backends.qubits.conditions import watched
from tasks.backends.qubits.expressions import MAX_BITS, Resolver, Words, word_of
from tasks.backends.qubits.gates import Known
from tasks.backends.qubits.loops import Flow
from tasks.backends.qubits.truths import Word, word

USUAL_SIZE = 32
"""Bits of an `int` or `uint` that does not say how many it has."""

_NUMBERS = ast.IntType | ast.UintType | ast.BoolType


class Classical(Flow):
    """The part of a conversion that knows classical values."""

    _clbits = 0

    def __init__(self, most_qubits: int, native: Mapping[str, Known]) -> None:
        super().__init__(most_qubits, native)
        self._pools: dict[str, list[Clbit]] = {}

    def _pool(self, name: str, count: int, context: Any) -> list[Clbit]:
        """Return bits that nobody sees, the same ones each time."""
        bits = self._pools.setdefault(name, [])
        if count > len(bits):
            bits += self._spare(context, count - len(bits))
        return bits[:count]

    def visit_ClassicalDeclaration(self, node: ast.ClassicalDeclaration, context: Any) -> Any:  # noqa: N802
        """Declare bits, no more than anybody reads, or a number."""
        self._declare(node, node.init_expression, context)
        return context

    def visit_IODeclaration(self, node: ast.IODeclaration, context: Any) -> Any:  # noqa: N802
        """Declare outputs as any other bits: all of these are returned."""
        if node.io_identifier is not ast.IOKeyword.output:
            raise_from_node(node, "'input' is not supported; write the number into the program")
        if not isinstance(node.type, ast.BitType):
            raise_from_node(node, "'output' is supported for bits")
        self._declare(node, None, context)
        return context

    def _declare(self, node: Any, first: Any, context: Any) -> None:
        name, kind = node.identifier.name, type(node.type).__name__.removesuffix("Type").lower()
        if context.scope is not Scope.GLOBAL:
            raise_from_node(node, f"'{kind}' is declared at the top, outside of branches and loops")
        if isinstance(node.type, ast.BitType):
            size = 1 if node.type.size is None else self._size(node, node.type.size, context)
            self._limit(size, node)
            self._fresh(name, node, context)
            super().visit_ClassicalDeclaration(ast.ClassicalDeclaration(node.type, node.identifier), context)
            symbol = context.symbol_table.get(name, node)
            symbol.definer = node
        elif isinstance(node.type, _NUMBERS):
            symbol = self._number(node, context)
        else:
            raise_from_node(node, f"variables of type '{kind}' are not supported; write const, or the number")
        if isinstance(first, ast.QuantumMeasurement):
            self._measure(first, symbol.data, symbol.type, node, context)
        elif first is not None:
            self._assign(symbol.data, symbol.type, first, node, context)

    def _limit(self, size: int, node: Any) -> None:
        self._clbits += size
        if self._clbits > MAX_CLBITS:
            raise_from_node(
                node, f"too many classical bits: the program has {self._clbits:,}, the limit is {MAX_CLBITS}"
            )

    def _number(self, node: Any, context: Any) -> Symbol:
        is_bool = isinstance(node.type, ast.BoolType)
        given: Any = None if is_bool else node.type.size
        size = (1 if is_bool else USUAL_SIZE) if given is None else self._size(node, given, context)
        if size > MAX_BITS:
            raise_from_node(node, f"a number has at most {MAX_BITS} bits, not {number(size)}")
        self._limit(size, node)
        self._fresh(node.identifier.name, node, context)
        bits = self._spare(context, size)
        kind: Any = types.Bool(const=False) if is_bool else None
        if kind is None:
            kind = (types.Int if isinstance(node.type, ast.IntType) else types.Uint)(const=False, size=size)
        symbol = Symbol(node.identifier.name, bits[0] if is_bool else bits, kind, context.scope, node)
        context.symbol_table.insert(symbol)
        return symbol

    def _size(self, node: ast.QASMNode, expression: ast.Expression, context: Any) -> int:
        size: int = self._resolve_constant_int(expression, context)
        if size < 1:
            raise_from_node(node, f"a register has at least one element, not {number(size)}")
        return size

    def visit_ConstantDeclaration(self, node: ast.ConstantDeclaration, context: Any) -> Any:  # noqa: N802
        """Give a number a name."""
        name = node.identifier.name
        if name in context.symbol_table[len(context.symbol_table) - 1].symbols:
            raise_from_node(node, f"the name '{name}' is taken{self._line(name, context)}")
        value, kind = self._resolve_generic(node.init_expression, context, strict=True)
        if not isinstance(kind, types.Int | types.Uint | types.Float | types.Bool) or not kind.const:
            raise_from_node(node.init_expression, "a const has a constant value")
        made = self._constant(value, kind, node, context)
        context.symbol_table.insert(Symbol(name, *made, context.scope, node))
        return context

    def _constant(self, value: Any, kind: Any, node: ast.ConstantDeclaration, context: Any) -> tuple[Any, types.Type]:
        declared = node.type
        if isinstance(declared, ast.FloatType) and not isinstance(kind, types.Bool):
            return float(value), types.Float(const=True)
        if isinstance(declared, ast.BoolType) and isinstance(kind, types.Bool):
            return value, kind
        if isinstance(declared, ast.BitType):
            size = 1 if declared.size is None else self._size(node, declared.size, context)
            return int(value), types.Uint(const=True, size=self._fitting(int(value), 0, size, node))
        if isinstance(declared, ast.IntType | ast.UintType) and isinstance(kind, types.Int | types.Uint):
            signed = isinstance(declared, ast.IntType)
            if declared.size is not None or not signed:
                size = MAX_BITS if declared.size is None else self._size(node, declared.size, context)
                self._fitting(value, int(signed), size, node)
            return value, types.Int(const=True) if signed else types.Uint(const=True)
        name = type(declared).__name__.removesuffix("Type").lower()
        return raise_from_node(node, f"this value is not supported for a const of type '{name}'")

    def _fitting(self, value: int, signed: int, size: int, node: Any) -> int:
        low, high = (-(2 ** (size - 1)) if signed else 0), 2 ** (size - signed)
        if not low <= value < high:
            raise_from_node(node, f"the number {number(value)} does not fit: it must be from {low:,} to {high - 1:,}")
        return size

    def visit_ClassicalAssignment(self, node: ast.ClassicalAssignment, context: Any) -> Any:  # noqa: N802
        """Give bits or a number a value."""
        target, kind = Resolver(context, strict=True).visit(node.lvalue)
        if not isinstance(kind, types.Bit | types.BitArray | types.Bool | types.Int | types.Uint) or getattr(
            kind, "const", False
        ):
            raise_from_node(node, "only bits, registers and variables can be assigned")
        value: Any = node.rvalue
        operation, goal = node.op.name, cast(Any, node.lvalue)
        if operation != "=":
            sign = operation.removesuffix("=")
            value = ast.BinaryExpression(ast.BinaryOperator[sign], goal, node.rvalue)
            value.span = node.span
        self._assign(target, kind, value, node, context)
        return context

    def _assign(self, target: Any, kind: Any, value: ast.Expression, node: Any, context: Any) -> None:
        bits: Sequence[Clbit] = [target] if isinstance(target, Clbit) else list(target)
        new = self._value(value, kind, len(bits), node, context)
        if _overlap(bits, new):
            # Each is read before any is written.
            held = self._pool("held", len(bits), context)
            for bit, each in zip(held, new, strict=True):
                self._store(bit, each, node, context)
            new = word_of(held, types.BitArray(len(held)))
        for bit, each in zip(bits, new, strict=True):
            self._store(bit, each, node, context)

    def _value(self, value: ast.Expression, kind: Any, size: int, node: Any, context: Any) -> Word:
        """Return what is assigned to a target of so many bits."""
        found, given = self._resolve_generic(value, context, strict=True)
        if isinstance(kind, types.Bool) or (isinstance(kind, types.Bit) and isinstance(given, types.Bool)):
            if getattr(given, "const", False) and isinstance(given, types.Int | types.Uint):
                return (bool(found),)
            return (Resolver(context, strict=True).truth_of(found, given, value),)
        if getattr(given, "const", False):
            if isinstance(given, types.Float | types.Bool):
                raise_from_node(value, "a register or number is given a whole number")
            if isinstance(value, ast.BitstringLiteral) and value.width != size:
                raise_from_node(node, "the two sides differ in size")
            if found < 0 and not isinstance(kind, types.Int):
                raise_from_node(node, f"the number {number(found)} does not fit: bits are never negative")
            self._fitting(found, int(isinstance(kind, types.Int)), size, node)
            return word(found, size)
        if not isinstance(given, types.Bit | types.BitArray | types.Bool | types.Int | types.Uint | Words):
            raise_from_node(value, "this cannot be a value here")
        bits = word_of(found, given)
        is_number = isinstance(kind, types.Int | types.Uint)
        if len(bits) > size or (len(bits) < size and not is_number):
            raise_from_node(node, f"the two sides differ in size: {size} bits and {len(bits)}")
        sign = bits[-1] if isinstance(given, types.Int) else False
        return (*bits, *[sign] * (size - len(bits)))

    def visit_QuantumMeasurementStatement(self, node: ast.QuantumMeasurementStatement, context: Any) -> Any:  # noqa: N802
        """Measure into bits, or, where there are none, into some that nobody sees."""
        if node.target is None:
            measured = self._resolve_qarg(cast(Any, node.measure.qubit), context)
            count = 1 if isinstance(measured, Qubit) else len(measured)
            context.circuit.measure(measured, self._pool("measured", count, context))
            return context
        target, kind = Resolver(context, strict=True).visit(node.target)
        self._measure(node.measure, target, kind, node, context)
        return context

    def _measure(self, measurement: ast.QuantumMeasurement, target: Any, kind: Any, node: Any, context: Any) -> None:
        measured = self._resolve_qarg(cast(Any, measurement.qubit), context)
        if not isinstance(kind, types.Bit | types.BitArray):
            raise_from_node(node, "the outcome of a measurement goes into bits")
        sizes = [1 if isinstance(each, Qubit | Clbit) else len(each) for each in (measured, target)]
        if sizes[0] != sizes[1]:
            raise_from_node(node, f"the two sides differ in size: {sizes[0]} qubits and {sizes[1]} bits")
        context.circuit.measure(measured, target)

    def visit_ExpressionStatement(self, node: ast.ExpressionStatement, context: Any) -> Any:  # noqa: N802
        """Refuse it: it is the call of a subroutine, or does nothing."""
        del context
        called = node.expression
        if isinstance(called, ast.FunctionCall):
            raise_from_node(node, f"subroutines (def) are not supported, so '{called.name.name}' cannot be called")
        raise_from_node(node, "an expression alone does nothing")

    def visit_AliasStatement(self, node: ast.AliasStatement, context: Any) -> Any:  # noqa: N802
        """Give qubits or bits another name, which is no register of the circuit."""
        name = node.target.name
        if name in context.symbol_table[len(context.symbol_table) - 1].symbols:
            raise_from_node(node, f"the name '{name}' is taken{self._line(name, context)}")
        found, kind = self._resolve_generic(cast(Any, node.value), context, strict=True)
        if not isinstance(kind, types.BitArray | types.QubitArray | types.Bit | types.Qubit):
            raise_from_node(node.value, "an alias stands for registers, or elements of one")
        if isinstance(kind, types.BitArray | types.QubitArray) and len(set(found := list(found))) < len(found):
            raise_from_node(node.value, "an alias names an element twice")
        context.symbol_table.insert(Symbol(name, found, kind, context.scope, node))
        return context


def _overlap(bits: Sequence[Clbit], new: Word) -> bool:
    """Return True if one of the bits is read after it has been written."""
    written: set[Clbit] = set()
    for bit, each in zip(bits, new, strict=True):
        if not isinstance(each, bool) and not written.isdisjoint(watched(each)):
            return True
        written.add(bit)
    return False
