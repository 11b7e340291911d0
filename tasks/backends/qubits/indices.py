"""Elements of registers: indices, index sets and ranges as the OpenQASM 3 specification counts them.

A range `a:c:b` has both its ends, a negative index counts from the end of its register, and nothing is cut off: an
index set is not empty, and each of its members is there. Source: OpenQASM 3 specification, types ("Register
concatenation and slicing").
"""

from collections.abc import Sequence
from typing import Any

from openqasm3 import ast
from qiskit_qasm3_import import types
from qiskit_qasm3_import.exceptions import raise_from_node
from qiskit_qasm3_import.expression import ValueResolver

from tasks.backends.cost import number

MAX_ROUNDS = 2**61
"""Whatever has more members than this is no range that anything loops over."""


class IndexResolver(ValueResolver):
    """What an index, an index set or a range chooses, with its type."""

    def _index_collection(
        self, collection: Any, collection_type: types.Type, indexer: ast.IndexElement, base: ast.QASMNode
    ) -> tuple[Any, types.Type]:
        if isinstance(collection_type, types.Int | types.Uint):
            if collection_type.const:
                raise_from_node(base, "the bits of a constant are not supported; write their value")
            collection_type = types.BitArray(len(collection))  # a number's bits, the least one first
        if not isinstance(collection_type, types.BitArray | types.QubitArray):
            raise_from_node(base, "only registers and whole numbers have elements")
        size = len(collection)
        if isinstance(indexer, ast.DiscreteSet):
            chosen, _ = self.visit(indexer)
        elif len(indexer) != 1:
            raise_from_node(base, "a register has one dimension")
        elif isinstance(indexer[0], ast.RangeDefinition):
            chosen = self.within(indexer[0], size)
        else:
            index, kind = self.visit(indexer[0])
            if not isinstance(kind, types.Int | types.Uint) or not kind.const:
                raise_from_node(base, "an index is a constant whole number")
            element = collection[self.place(index, size, indexer[0])]
            is_bit = isinstance(collection_type, types.BitArray)
            return element, types.Bit() if is_bit else types.Qubit()
        if not chosen:
            raise_from_node(base, f"an index set of nothing; it must name some of the {size} elements")
        places = [self.place(index, size, base) for index in chosen]
        if len(set(places)) < len(places):
            raise_from_node(base, "an index set names an element twice")
        return [collection[place] for place in places], type(collection_type)(len(places))

    def visit_Concatenation(self, node: ast.Concatenation) -> tuple[Any, types.Type]:  # noqa: N802
        """Return two registers as one."""
        (left, kind), (right, other) = self.visit(node.lhs), self.visit(node.rhs)
        if not isinstance(kind, types.BitArray | types.QubitArray) or type(kind) is not type(other):
            raise_from_node(node, "only registers of one kind can be joined")
        return [*left, *right], type(kind)(len(left) + len(right))

    def place(self, index: int, size: int, node: ast.QASMNode) -> int:
        """Return where an index is, counted from 0; a negative one counts from the end.

        Raises:
            ConversionError: there is no such element.
        """
        if not -size <= index < size:
            there = "element 0" if size == 1 else f"elements 0 to {size - 1}"
            raise_from_node(node, f"the index {number(index)} is beyond the register, which has the {there}")
        return index % size

    def within(self, node: ast.RangeDefinition, size: int) -> Sequence[int]:
        """Return the places that a range in brackets chooses from a register; those beyond its end are not left out."""
        start, step, end = self.bounds(node)
        first, last = (0, size - 1) if step > 0 else (size - 1, 0)
        start, end = first if start is None else start, last if end is None else end
        for bound in (start, end):
            if bound < -size:
                self.place(bound, size, node)
        return range(start + size * (start < 0), end + size * (end < 0) + (1 if step > 0 else -1), step)

    def bounds(self, node: ast.RangeDefinition) -> tuple[int | None, int, int | None]:
        """Return begin, step and end as they are written.

        Raises:
            ConversionError: one of them is no constant whole number that any register could have, or the step is 0.
        """
        found: list[int | None] = []
        for part in (node.start, node.step, node.end):
            if part is None:
                found.append(None)
                continue
            value, kind = self.visit(part)
            if not isinstance(kind, types.Int | types.Uint) or not kind.const or not isinstance(value, int):
                raise_from_node(part, "a range is made of constant whole numbers")
            if abs(value) > MAX_ROUNDS:
                raise_from_node(part, f"a range of {number(value)}")
            found.append(value)
        start, step, end = found
        if step == 0:
            raise_from_node(node, "the step of a range cannot be 0")
        return start, 1 if step is None else step, end

    def visit_RangeDefinition(self, node: ast.RangeDefinition) -> tuple[Any, types.Type]:  # noqa: N802 - its name there
        """Return a range that is no index: of a loop."""
        start, step, end = self.bounds(node)
        if start is None or end is None:
            raise_from_node(node, "the range of a loop needs a begin and an end")
        return range(start, end + (1 if step > 0 else -1), step), types.Range(types.Int(const=True))
