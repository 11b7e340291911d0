"""What a branch or loop depends on: a bit, or a register that is compared with a number of any width.

The numbers are compared, not their last bits: a value that the register cannot hold is never reached. Source: OpenQASM 2.0
(arXiv:1707.03429, section 3: the register is "interpreted as an integer") and the OpenQASM 3 specification, classical
instructions.
"""

from typing import Any

from openqasm3 import ast
from qiskit import ClassicalRegister
from qiskit_qasm3_import import types
from qiskit_qasm3_import.exceptions import raise_from_node

from tasks.backends.cost import number
from tasks.backends.qubits.expressions import Resolver

_EQUALITIES = {ast.BinaryOperator["=="], ast.BinaryOperator["!="]}
_NEGATIONS = {ast.UnaryOperator["~"], ast.UnaryOperator["!"]}


def condition(node: ast.Expression, resolver: Resolver) -> tuple[Any, Any]:
    """Return (bit, bool) or (register, number) of a comparison for equality.

    A register that differs from a number gives the same as one that equals it: see `is_differing`.

    Raises:
        ConversionError: the condition is none of those.
    """
    if isinstance(node, ast.BinaryExpression):
        return _compared(node, resolver)
    wanted = True
    if isinstance(node, ast.UnaryExpression):
        if node.op not in _NEGATIONS:
            raise_from_node(node, f"the operator '{node.op.name}' is not supported here")
        node, wanted = node.expression, False
    target, kind = resolver.visit(node)
    if not isinstance(kind, types.Bit):
        raise_from_node(node, "a condition is a bit, or compares a bit or a register with a constant")
    return target, wanted


def is_differing(node: ast.Expression) -> bool:
    """Return True for a comparison with `!=`."""
    return isinstance(node, ast.BinaryExpression) and node.op is ast.BinaryOperator["!="]


def is_never(condition: Any) -> bool:
    """Return True for a comparison of a register with a number that its bits cannot hold."""
    if not isinstance(condition, tuple):
        return False
    target, value = condition
    return isinstance(target, ClassicalRegister) and not 0 <= int(value) < 2 ** len(target)


def _compared(node: ast.BinaryExpression, resolver: Resolver) -> tuple[Any, Any]:
    if node.op not in _EQUALITIES:
        raise_from_node(node, f"the operator '{node.op.name}' is not supported here")
    (target, kind), (value, other) = resolver.visit(node.lhs), resolver.visit(node.rhs)
    if isinstance(other, types.Bit | types.BitArray):
        target, kind, value, other = value, other, target, kind
    if not isinstance(other, types.Bool | types.Int | types.Uint) or not other.const:
        raise_from_node(node, "a condition compares a bit or a register with a constant")
    if value < 0:
        raise_from_node(node, f"bits are never negative; they cannot be compared with {number(value)}")
    if isinstance(kind, types.Bit):
        if value not in {0, 1}:
            raise_from_node(node, f"a bit is 0 or 1, never {number(value)}")
        return target, bool(value) != is_differing(node)
    if not isinstance(kind, types.BitArray):
        raise_from_node(node, "a condition compares a bit or a register with a constant")
    if not isinstance(target, ClassicalRegister):
        raise_from_node(node, "a condition on an alias or a part of a register is not supported")
    if isinstance(value, bool):
        raise_from_node(node, "a register is compared with a whole number, not with true or false")
    return target, value
