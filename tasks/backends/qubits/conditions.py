"""What a branch or loop depends on: a bit, or a register that is compared with a number of any width.

The numbers are compared, not their last bits: a value that the register cannot hold is never reached. Source: OpenQASM 2.0
(arXiv:1707.03429, section 3: the register is "interpreted as an integer") and the OpenQASM 3 specification, classical
instructions.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any

from openqasm3 import ast
from qiskit import ClassicalRegister
from qiskit.circuit import Clbit
from qiskit.circuit.classical import expr
from qiskit_qasm3_import import types
from qiskit_qasm3_import.exceptions import raise_from_node

from tasks.backends.cost import number
from tasks.backends.qubits.expressions import Resolver

MOST_BITS = 64
"""Of an alias, or of a register that is compared for more than equality."""

_EQUALITIES = {ast.BinaryOperator["=="], ast.BinaryOperator["!="]}
_NEGATIONS = {ast.UnaryOperator["~"], ast.UnaryOperator["!"]}
_LOGIC = {ast.BinaryOperator["&&"]: expr.logic_and, ast.BinaryOperator["||"]: expr.logic_or}


def condition(node: ast.Expression, resolver: Resolver) -> Any:
    """Return (bit, bool), (register, number) for equality, or an expression of bits for anything else.

    Raises:
        ConversionError: the condition is none of those.
    """
    if isinstance(node, ast.BinaryExpression):
        if node.op in _LOGIC:
            sides = [_expression(condition(side, resolver), side) for side in (node.lhs, node.rhs)]
            return _LOGIC[node.op](*sides)
        return _compared(node, resolver)
    if isinstance(node, ast.UnaryExpression):
        if node.op not in _NEGATIONS:
            raise_from_node(node, f"the operator '{node.op.name}' is not supported here")
        found = condition(node.expression, resolver)
        if isinstance(found, tuple) and isinstance(found[0], Clbit):
            return found[0], not found[1]
        return expr.logic_not(_expression(found, node))
    target, kind = resolver.visit(node)
    if not isinstance(kind, types.Bit):
        raise_from_node(node, "a condition is a bit, or compares a bit or a register with a constant")
    return target, True


def is_never(condition: Any) -> bool:
    """Return True for a comparison of a register with a number that its bits cannot hold."""
    if not isinstance(condition, tuple):
        return False
    target, value = condition
    return isinstance(target, ClassicalRegister) and not 0 <= int(value) < 2 ** len(target)


def watched(condition: Any) -> set[Clbit]:
    """Return the bits that a condition depends on."""
    found = [condition[0]] if isinstance(condition, tuple) else [each.var for each in expr.iter_vars(condition)]
    return {bit for each in found for bit in ([each] if isinstance(each, Clbit) else each)}


def _expression(found: Any, node: ast.Expression) -> expr.Expr:
    if not isinstance(found, tuple):
        whole: expr.Expr = found
        return whole
    target, value = found
    if isinstance(target, Clbit):
        return expr.lift(target) if value else expr.logic_not(target)
    return _equal(list(target), value, node)


def _equal(bits: Sequence[Clbit], value: int, node: ast.Expression) -> expr.Expr:
    """Return that the bits, the first of which counts least, are those of a number."""
    if len(bits) > MOST_BITS:
        raise_from_node(node, f"at most {MOST_BITS} bits are compared in this way, not {len(bits)}")
    if value >= 2 ** len(bits):
        return expr.logic_and(bits[0], expr.logic_not(bits[0]))  # never
    parts = [expr.lift(bit) if value >> place & 1 else expr.logic_not(bit) for place, bit in enumerate(bits)]
    return reduce(expr.logic_and, parts)


def _compared(node: ast.BinaryExpression, resolver: Resolver) -> Any:
    if node.op not in _EQUALITIES:
        raise_from_node(node, f"the operator '{node.op.name}' is not supported here")
    (target, kind), (value, other) = resolver.visit(node.lhs), resolver.visit(node.rhs)
    if isinstance(other, types.Bit | types.BitArray):
        target, kind, value, other = value, other, target, kind
    if not isinstance(other, types.Bool | types.Int | types.Uint) or not other.const:
        raise_from_node(node, "a condition compares a bit or a register with a constant")
    if value < 0:
        raise_from_node(node, f"bits are never negative; they cannot be compared with {number(value)}")
    differs = node.op is ast.BinaryOperator["!="]
    if isinstance(kind, types.Bit):
        if value not in {0, 1}:
            raise_from_node(node, f"a bit is 0 or 1, never {number(value)}")
        return target, bool(value) != differs
    if not isinstance(kind, types.BitArray):
        raise_from_node(node, "a condition compares a bit or a register with a constant")
    if isinstance(value, bool):
        raise_from_node(node, "a register is compared with a whole number, not with true or false")
    if isinstance(target, ClassicalRegister) and not differs:
        return target, value
    same = _equal(list(target), value, node)
    return expr.logic_not(same) if differs else same
