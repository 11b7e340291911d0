"""What a branch or loop depends on: a bit, or a register that is compared with a number of any width.

The numbers are compared, not their last bits: a value that the register cannot hold is never reached. Sources: OpenQASM
2.0 (arXiv:1707.03429, section 3: the register is "interpreted as an integer") and the OpenQASM 3 specification,
classical instructions.
"""

from typing import Any

from openqasm3 import ast
from qiskit import ClassicalRegister
from qiskit.circuit import Clbit
from qiskit.circuit.classical import expr
from qiskit_qasm3_import import types

from tasks.backends.qubits.expressions import Resolver, refuse_negative
from tasks.backends.qubits.truths import Truth, equal, negated, truth, word


def condition(node: ast.Expression, resolver: Resolver) -> Any:
    """Return (bit, bool), (register, number) for equality, an expression of bits for anything else, or what is settled.

    Raises:
        ConversionError: the condition is none of those.
    """
    if isinstance(node, ast.BinaryExpression) and node.op is ast.BinaryOperator["=="]:
        sides = [resolver.visit(side) for side in (node.lhs, node.rhs)]
        for (target, _), (value, kind) in (sides, sides[::-1]):
            if isinstance(target, ClassicalRegister) and isinstance(kind, types.Int | types.Uint) and kind.const:
                if value < 0:
                    refuse_negative(value, node)
                return target, value
    return simplified(resolver.truth(node))


def simplified(found: Truth) -> Any:
    """Return (bit, bool) for an expression that is one bit or its opposite, and else the expression."""
    wanted = True
    inner = found
    if isinstance(inner, expr.Unary) and inner.op is expr.Unary.Op.LOGIC_NOT:
        inner, wanted = inner.operand, False
    if isinstance(inner, expr.Var) and isinstance(inner.var, Clbit):
        return inner.var, wanted
    return found


def as_truth(tested: Any) -> Truth:
    """Return a condition as an expression of its bits."""
    if not isinstance(tested, tuple):
        whole: Truth = tested
        return whole
    target, value = tested
    if isinstance(target, Clbit):
        return truth(target) if value else negated(truth(target))
    bits = tuple(truth(bit) for bit in target)
    return equal(bits, word(value, len(bits))) if value < 2 ** len(bits) else False


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
