"""Truth values that are known, or depend on bits: the logic, comparisons and shifts that they are put together with.

A truth is True, False or an expression of bits. A word is a sequence of truths, the first of which counts least.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any, TypeAlias

from qiskit.circuit import Clbit
from qiskit.circuit.classical import expr

Truth: TypeAlias = Any  # bool | expr.Expr, which has no types of its own
Word: TypeAlias = tuple[Truth, ...]


def truth(bit: Clbit) -> Truth:
    """Return that a bit is 1."""
    return expr.lift(bit)


def negated(one: Truth) -> Truth:
    """Return that it is not so."""
    if isinstance(one, bool):
        return not one
    if isinstance(one, expr.Unary) and one.op is expr.Unary.Op.LOGIC_NOT:
        return one.operand
    return expr.logic_not(one)


def both(one: Truth, other: Truth) -> Truth:
    """Return that both are so."""
    if isinstance(one, bool):
        return other if one else False
    if isinstance(other, bool):
        return one if other else False
    return expr.logic_and(one, other)


def either(one: Truth, other: Truth) -> Truth:
    """Return that at least one is so."""
    if isinstance(one, bool):
        return True if one else other
    if isinstance(other, bool):
        return True if other else one
    return expr.logic_or(one, other)


def differ(one: Truth, other: Truth) -> Truth:
    """Return that one is so, and the other is not."""
    if isinstance(one, bool):
        return negated(other) if one else other
    if isinstance(other, bool):
        return negated(one) if other else one
    return expr.bit_xor(one, other)


def word(value: int, size: int) -> Word:
    """Return a number, modulo 2**size."""
    return tuple(bool(value >> place & 1) for place in range(size))


def equal(one: Word, other: Word) -> Truth:
    """Return that two words of one size are the same."""
    return reduce(both, [negated(differ(a, b)) for a, b in zip(one, other, strict=True)], True)


def less(one: Word, other: Word) -> Truth:
    """Return that one word is below another of its size; both are taken in halves, so that nothing is nested deeply."""
    if not one:
        return False
    if len(one) == 1:
        return both(negated(one[0]), other[0])
    half = len(one) // 2
    above = less(one[half:], other[half:])
    return either(above, both(equal(one[half:], other[half:]), less(one[:half], other[:half])))


def any_of(truths: Sequence[Truth]) -> Truth:
    """Return that at least one is so."""
    return reduce(either, truths, False)
