"""The values of expressions, of constants or of bits: operations, comparisons and casts."""

import operator
from collections.abc import Callable
from typing import Any

from openqasm3 import ast
from qiskit.circuit import Clbit
from qiskit_qasm3_import import types
from qiskit_qasm3_import.exceptions import raise_from_node

from tasks.backends.cost import number
from tasks.backends.qubits.indices import IndexResolver
from tasks.backends.qubits.truths import Truth, Word, any_of, both, differ, either, equal, less, negated, truth, word

MAX_BITS = 64
"""Of a number, an alias, or a register that is compared for more than equality."""

MAX_EXPRESSION_TERMS = 2_000
"""Bits that one expression looks at."""

Typed = tuple[Any, types.Type]
_LOGIC = {"&&": both, "||": either}
_BITWISE = {"&": both, "|": either, "^": differ}
_SHIFTS = frozenset({"<<", ">>"})
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_CONSTANTS = frozenset({"**", "%", *_BITWISE, *_SHIFTS})
_CASTS = ast.BoolType | ast.BitType | ast.IntType | ast.UintType


class Words(types.Type):
    """Bits that were computed, none of which has a place."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size

    def pretty(self) -> str:
        """Return the name of the type."""
        return f"bit[{self.size}]"


_BITS = types.Bit | types.BitArray | types.Bool | types.Int | types.Uint | Words


def _is_constant(kind: types.Type) -> bool:
    return bool(getattr(kind, "const", False))


def word_of(value: Any, kind: types.Type) -> Word:
    """Return the bits of a value that is no constant, least first."""
    if isinstance(kind, types.Bool):
        return (value if not isinstance(value, Clbit) else truth(value),)
    items = [value] if isinstance(value, Clbit) else value
    return tuple(truth(each) if isinstance(each, Clbit) else each for each in items)


def raise_unless_bits(kind: types.Type, node: ast.QASMNode) -> None:
    """Raise unless there are bits behind a value."""
    if not isinstance(kind, _BITS):
        raise_from_node(node, "this is an operation on bits and registers")


def refuse_negative(value: int, node: ast.QASMNode) -> None:
    """Raise because bits are compared with a negative number."""
    raise_from_node(node, f"bits are never negative; they cannot be compared with {number(value)}")


def _quotient(above: Any, below: Any) -> Any:
    if isinstance(above, int) and isinstance(below, int):
        return abs(above) // abs(below) * (1 if (above < 0) == (below < 0) else -1)
    return above / below


class Resolver(IndexResolver):
    """The value of one expression, with its type.

    Attributes:
        terms: how many bits it has looked at.
    """

    def __init__(self, context: Any, strict: bool = True) -> None:  # noqa: FBT001, FBT002 - as the converter has it
        super().__init__(context, strict)
        self.terms = 0

    def visit_BinaryExpression(self, node: ast.BinaryExpression) -> tuple[Any, types.Type]:  # noqa: N802
        """Return the value of an operation: of constants, or of bits."""
        name = node.op.name
        if name in _LOGIC:
            found = _LOGIC[name](self.truth(node.lhs), self.truth(node.rhs))
            return found, types.Bool(const=isinstance(found, bool))
        left, right = self.visit(node.lhs), self.visit(node.rhs)
        constant = all(_is_constant(kind) for _, kind in (left, right))
        if name in _COMPARISONS:
            found = self._constants(node, left[0], right[0]) if constant else self._compared(node, left, right)
            return found, types.Bool(const=isinstance(found, bool))
        if not constant and name in _BITWISE:
            return self._bitwise(node, left, right)
        if not constant and name in _SHIFTS:
            return self._shifted(node, left, right)
        if not constant:
            raise_from_node(node, f"the operator '{name}' is supported for constants only")
        if name in _CONSTANTS:
            return self._constants(node, left[0], right[0]), self._kind(node, left, right)
        found, kind = super().visit_BinaryExpression(node)
        if name == "/" and isinstance(kind, types.Int | types.Uint):
            # The division of whole numbers leaves its fraction out, as in C99.
            found = _quotient(left[0], right[0])
        return found, kind

    def visit_UnaryExpression(self, node: ast.UnaryExpression) -> tuple[Any, types.Type]:  # noqa: N802
        """Return the opposite of a number, a bit or each bit of a register."""
        if node.op is ast.UnaryOperator["!"]:
            found = negated(self.truth(node.expression))
            return found, types.Bool(const=isinstance(found, bool))
        value, kind = self.visit(node.expression)
        if node.op is ast.UnaryOperator["~"]:
            if _is_constant(kind) or not isinstance(kind, _BITS):
                raise_from_node(node, "the operator '~' is supported for bits and registers")
            bits = tuple(negated(bit) for bit in word_of(value, kind))
            return bits, Words(len(bits))
        if not _is_constant(kind):
            raise_from_node(node, "the operator '-' is supported for constants only")
        found, kind = super().visit_UnaryExpression(node)
        return found, kind

    def visit_Cast(self, node: ast.Cast) -> tuple[Any, types.Type]:  # noqa: N802
        """Return bits as a number, or a number of bits as one that is true or false."""
        name = type(node.type).__name__.removesuffix("Type").lower()
        value, kind = self.visit(node.argument)
        if _is_constant(kind) or not isinstance(kind, _BITS) or not isinstance(node.type, _CASTS):
            raise_from_node(node, f"a cast to '{name}' is not supported here")
        if isinstance(node.type, ast.BoolType):
            return self.truth_of(value, kind, node), types.Bool(const=False)
        bits = word_of(value, kind)
        size = len(bits)
        if node.type.size is not None:
            size, declared = self.visit(node.type.size)
            if not isinstance(declared, types.Int | types.Uint) or not declared.const or not 1 <= size <= MAX_BITS:
                raise_from_node(node, f"a size is a constant whole number from 1 to {MAX_BITS}")
        if size != len(bits):
            raise_from_node(node, f"a cast of {len(bits)} bits to '{name}[{size}]'; the sizes must be the same")
        if isinstance(node.type, ast.BitType):
            return bits, Words(size)
        of = types.Int if isinstance(node.type, ast.IntType) else types.Uint
        return bits, of(const=False, size=size)

    def visit_FunctionCall(self, node: ast.FunctionCall) -> tuple[Any, types.Type]:  # noqa: N802
        """Refuse a function by its name."""
        raise_from_node(node, f"the function '{node.name.name}' is not supported; write its value")

    def visit_SizeOf(self, node: ast.SizeOf) -> tuple[Any, types.Type]:  # noqa: N802
        """Refuse it by its name."""
        raise_from_node(node, "'sizeof' is not supported; write the number")

    def visit_DurationOf(self, node: ast.DurationOf) -> tuple[Any, types.Type]:  # noqa: N802
        """Refuse it by its name."""
        raise_from_node(node, "'durationof' is not supported")

    def visit_DurationLiteral(self, node: ast.DurationLiteral) -> tuple[Any, types.Type]:  # noqa: N802
        """Refuse it by its name."""
        raise_from_node(node, "durations ('duration', 'ns', 'dt') are not supported")

    def visit_ImaginaryLiteral(self, node: ast.ImaginaryLiteral) -> tuple[Any, types.Type]:  # noqa: N802
        """Refuse it by its name."""
        raise_from_node(node, "imaginary numbers ('im') are not supported")

    def truth(self, node: ast.Expression) -> Truth:
        """Return an expression as one that is true or false.

        Raises:
            ConversionError: it is no such one.
        """
        value, kind = self.visit(node)
        return self.truth_of(value, kind, node)

    def truth_of(self, value: Any, kind: types.Type, node: ast.QASMNode) -> Truth:
        """Return a value as one that is true or false."""
        if isinstance(kind, types.Bool):
            return word_of(value, kind)[0]
        is_number = isinstance(kind, types.Int | types.Uint) and not kind.const
        if not (isinstance(kind, types.Bit) or is_number or (isinstance(kind, Words) and kind.size == 1)):
            raise_from_node(node, "a condition is a bit, or compares bits or a register with a number")
        return any_of(word_of(value, kind))

    def matches(self, node: ast.Expression, value: int) -> Truth:
        """Return that an expression has this value."""
        target, kind = self.visit(node)
        return self.equals((target, kind), (value, types.Int(const=True)), node)

    def equals(self, one: Typed, other: Typed, node: ast.QASMNode) -> Truth:
        """Return that two values are the same number."""
        if all(_is_constant(kind) for _, kind in (one, other)):
            return bool(one[0] == other[0])
        return equal(*self._widened(one, other, node)[:2])

    def _compared(self, node: ast.BinaryExpression, left: Typed, right: Typed) -> Truth:
        """Return what a comparison says that is not of two constants."""
        name = node.op.name
        for (_, kind), (value, other) in ((left, right), (right, left)):
            is_one = isinstance(kind, types.Bit) or (isinstance(kind, Words) and kind.size == 1)
            if isinstance(other, types.Bool) and not isinstance(kind, types.Bool) and not is_one:
                raise_from_node(node, "a register is compared with a whole number, not with true or false")
            is_number = isinstance(other, types.Int | types.Uint) and other.const
            if is_one and is_number and name in {"==", "!="} and value > 1:
                raise_from_node(node, f"a bit is 0 or 1, never {number(value)}")
        if name in {"==", "!="}:
            same = self.equals(left, right, node)
            return same if name == "==" else negated(same)
        below, above, signed = self._widened(left, right, node)
        if signed:
            below, above = ((*each[:-1], negated(each[-1])) for each in (below, above))
        if name in {">", "<="}:
            below, above = above, below
        found = less(below, above)
        return found if name in {"<", ">"} else negated(found)

    def _widened(self, left: Typed, right: Typed, node: ast.QASMNode) -> tuple[Word, Word, bool]:
        """Return two values as words of one size, and whether the last bit of each is a sign."""
        signed = any(isinstance(kind, types.Int) and not kind.const for _, kind in (left, right))
        sizes = []
        for value, kind in (left, right):
            if _is_constant(kind):
                if isinstance(kind, types.Float):
                    raise_from_node(node, "bits are compared with a whole number")
                if value < 0 and not signed:
                    refuse_negative(value, node)
                sizes.append(int(value).bit_length())
            elif isinstance(kind, _BITS):
                sizes.append(len(word_of(value, kind)))
            else:
                raise_from_node(node, "a condition is a bit, or compares bits or a register with a number")
        size = max(sizes) + signed
        if size > MAX_BITS + 1:
            raise_from_node(node, f"at most {MAX_BITS} bits are compared in this way, not {size}")
        self._count(size, node)
        found = []
        for value, kind in (left, right):
            bits = word(int(value), size) if _is_constant(kind) else word_of(value, kind)
            sign = bits[-1] if isinstance(kind, types.Int) and not kind.const else False
            found.append((*bits, *[sign] * (size - len(bits))))
        return found[0], found[1], signed

    def _count(self, size: int, node: ast.QASMNode) -> None:
        self.terms += size
        if self.terms > MAX_EXPRESSION_TERMS:
            raise_from_node(node, f"the expression looks at more than {MAX_EXPRESSION_TERMS:,} bits")

    def _bitwise(self, node: ast.BinaryExpression, left: Typed, right: Typed) -> tuple[Any, types.Type]:
        sides = []
        for _, kind in (left, right):
            raise_unless_bits(kind, node)
        size = max(len(word_of(value, kind)) for value, kind in (left, right) if not _is_constant(kind))
        for value, kind in (left, right):
            bits = word_of(value, kind) if not _is_constant(kind) else None
            if bits is None and (isinstance(kind, types.Float) or not 0 <= int(value) < 2**size):
                raise_from_node(node, f"the number does not fit into {size} bits")
            sides.append(word(int(value), size) if bits is None else bits)
        if len(sides[0]) != len(sides[1]):
            raise_from_node(node, "the two sides differ in size")
        self._count(size, node)
        return tuple(_BITWISE[node.op.name](a, b) for a, b in zip(*sides, strict=True)), Words(size)

    def _shifted(self, node: ast.BinaryExpression, left: Typed, right: Typed) -> tuple[Any, types.Type]:
        (value, kind), (by, other) = left, right
        if not isinstance(other, types.Int | types.Uint) or not other.const or by < 0:
            raise_from_node(node, "a shift is by a constant whole number")
        raise_unless_bits(kind, node)
        bits = word_of(value, kind)
        by = min(by, len(bits))
        empty: Word = (False,) * by
        shifted = (*empty, *bits[: len(bits) - by]) if node.op.name == "<<" else (*bits[by:], *empty)
        return shifted, Words(len(bits))

    def _kind(self, node: ast.BinaryExpression, left: Typed, right: Typed) -> types.Type:
        kinds = [kind for _, kind in (left, right)]
        if any(isinstance(kind, types.Float) for kind in kinds) and node.op.name == "**":
            return types.Float(const=True)
        if not all(isinstance(kind, types.Int | types.Uint) for kind in kinds):
            raise_from_node(node, f"the operator '{node.op.name}' is supported for whole numbers")
        return types.Int(const=True)

    def _constants(self, node: ast.BinaryExpression, one: Any, other: Any) -> Any:
        """Return the value of an operation on constants."""
        name = node.op.name
        if name in _COMPARISONS:
            return _COMPARISONS[name](one, other)
        if name == "**":
            if isinstance(one, int) and isinstance(other, int):
                if other < 0:
                    raise_from_node(node, "a whole number to a negative power; write it with a point")
                if one.bit_length() * other > MAX_BITS:
                    raise_from_node(node, "a number is too large")
            raised = one**other
            if isinstance(raised, complex):
                raise_from_node(node, "a number is outside of what can be computed")
            return raised
        return self._wholes(node, one, other)

    def _wholes(self, node: ast.BinaryExpression, one: Any, other: Any) -> int:
        """Return the value of an operation on whole numbers."""
        name = node.op.name
        if not (isinstance(one, int) and isinstance(other, int)):
            raise_from_node(node, f"the operator '{name}' is supported for whole numbers")
        if name == "%":
            return int(one - other * _quotient(one, other))
        if name in _SHIFTS:
            if not 0 <= other <= MAX_BITS or one.bit_length() + other > MAX_BITS:
                raise_from_node(node, "a number is too large")
            return one << other if name == "<<" else one >> other
        return int({"&": operator.and_, "|": operator.or_, "^": operator.xor}[name](one, other))
