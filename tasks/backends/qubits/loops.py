"""Branches, loops and choices of OpenQASM 3: written out where they are settled, else depending on bits.

`break` and `continue` become bits of our own that say what is left out, for a router brings the qubits back to where
they were at the end of a block, not where it is left. Source: OpenQASM 3 specification, classical instructions.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from openqasm3 import ast
from qiskit.circuit import Clbit
from qiskit.circuit.classical import expr
from qiskit_qasm3_import import ConversionError, types
from qiskit_qasm3_import.data import Scope, Symbol
from qiskit_qasm3_import.exceptions import raise_from_node
from qiskit_qasm3_import.state import LocalScope

from tasks.backends.cost import number
from tasks.backends.qubits.calling import MAX_BUILT, GateCalls, TooDear
from tasks.backends.qubits.conditions import as_truth, condition, simplified
from tasks.backends.qubits.expressions import Resolver
from tasks.backends.qubits.gates import Known
from tasks.backends.qubits.messages import UNDEFINED
from tasks.backends.qubits.truths import Truth, any_of, both, negated, truth

MAX_CASES = 64
"""Of one `switch`: each stands in the `else` of the one before."""

MAX_DEPENDING = 70
"""Blocks within one another that may be left out: branches, loops, and what comes after a `break`."""

MAX_LOOPED = 5 * MAX_BUILT
"""Statements of all rounds of all loops together, also of those that build nothing, each round counted as one more."""

BREAK, CONTINUE = "break", "continue"
Body = Callable[[], None]


class _Left(Exception):
    """The rest of a body is left out, whatever the bits are."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class Ended(Exception):
    """The program ends here."""


class _Loop:
    """One loop while its body is written.

    Attributes:
        flags: the bits that say how a body was left, for those ways that depend on other bits.
        raised: how often such a bit was set so far.
    """

    def __init__(self) -> None:
        self.flags: dict[str, Clbit] = {}
        self.raised = 0


class Flow(GateCalls):
    """The part of a conversion that knows what is done when, and how often.

    Attributes:
        hidden: bits of our own, which no user sees.
    """

    def __init__(self, most_qubits: int, native: Mapping[str, Known]) -> None:
        super().__init__(most_qubits, native)
        self._loops: list[_Loop] = []
        self._flags: dict[tuple[int, str], Clbit] = {}
        self._looped = 0
        self._depending = 0  # how many blocks stand around this place that may be left out
        self.hidden: list[Clbit] = []

    def _spare(self, context: Any, count: int) -> list[Clbit]:
        """Return new bits that nobody sees."""
        bits = [Clbit() for _ in range(count)]
        context.circuit.add_bits(bits)
        self.hidden += bits
        return bits

    def _store(self, bit: Clbit, value: Truth, node: Any, context: Any) -> None:
        """Give a bit a value."""
        self._spend(1)
        context.circuit.store(bit, expr.lift(value))
        if self._depending:
            # The simulator takes a block for one that is always run unless it acts on a qubit.
            if not context.circuit.qubits:
                raise_from_node(node, "no qubit is declared before this; declare one above")
            context.circuit.barrier(context.circuit.qubits[0])

    def _spend(self, operations: int) -> None:
        self._built += operations
        if self._built > MAX_BUILT:
            raise TooDear(f"branches and loops expand to more than {MAX_BUILT:,} operations; fewer can be built")

    def _deeper(self, node: Any) -> None:
        """Count one more block around what comes; each is copied into the one around it."""
        self._depending += 1
        if self._depending > MAX_DEPENDING:
            raise_from_node(node, f"what depends on bits is nested more than {MAX_DEPENDING} deep")
        self._spend(1 + self._depending**2 // 2)

    def _flag(self, how: str, context: Any) -> Clbit:
        key = len(self._loops), how
        if key not in self._flags:
            self._flags[key] = self._spare(context, 1)[0]
        self._loops[-1].flags[how] = self._flags[key]
        return self._flags[key]

    def _leave(self, how: str, node: Any, context: Any) -> None:
        self._store(self._flag(how, context), True, node, context)
        self._loops[-1].raised += 1

    @contextmanager
    def _perhaps(self, node: Any, context: Any) -> Iterator[None]:
        """Write what may be left out; if a loop's body is left in there, a flag says so."""
        try:
            self._deeper(node)
            yield
        except _Left as left:
            self._leave(left.how, node, context)
        finally:
            self._depending -= 1

    def _sequence(self, statements: Sequence[Any], context: Any) -> None:
        """Convert statements one after another; what comes after one that may have left the loop depends on that."""
        for place, statement in enumerate(statements):
            before = self._raised()
            self.visit(statement, context)
            rest = statements[place + 1 :]
            if rest and self._raised() > before:
                flags = [truth(bit) for bit in self._loops[-1].flags.values()]
                with context.circuit.if_test(simplified(negated(any_of(flags)))), self._perhaps(statement, context):
                    self._sequence(rest, context)
                return

    def _raised(self) -> int:
        return self._loops[-1].raised if self._loops else 0

    def _scoped(self, statements: Sequence[Any], context: Any) -> None:
        with LocalScope(context) as inner:
            self._sequence(statements, inner)

    def _branch(self, tested: Any, node: Any, context: Any, then: Body, otherwise: Body | None) -> None:
        """Do one thing or the other, as the condition says."""
        if isinstance(tested, bool):
            chosen = then if tested else otherwise
            if chosen is not None:
                chosen()
            return
        with context.circuit.if_test(tested) as otherwise_, self._perhaps(node, context):
            then()
        if otherwise is not None:
            with otherwise_, self._perhaps(node, context):
                otherwise()

    def visit_BranchingStatement(self, node: ast.BranchingStatement, context: Any) -> Any:  # noqa: N802
        """Convert `if` and `else`."""
        tested = condition(node.condition, Resolver(context, strict=True))
        otherwise = (lambda: self._scoped(node.else_block, context)) if node.else_block else None
        self._branch(tested, node, context, lambda: self._scoped(node.if_block, context), otherwise)
        return context

    def visit_SwitchStatement(self, node: ast.SwitchStatement, context: Any) -> Any:  # noqa: N802
        """Convert `switch` to branches within one another: one case is run, and the target is looked at before it."""
        if len(node.cases) > MAX_CASES:
            raise_from_node(node, f"a switch of {len(node.cases)} cases; there can be {MAX_CASES}")
        seen: set[int] = set()
        values = []
        for labels, _ in node.cases:
            found = [self._resolve_constant_int(label, context) for label in labels]
            for value, label in zip(found, labels, strict=True):
                if value in seen:
                    raise_from_node(label, f"the case {number(value)} stands twice")
                seen.add(value)
            values.append(found)
        resolver = Resolver(context, strict=True)

        def choose(place: int) -> None:
            if place < len(node.cases):
                tested = any_of([resolver.matches(node.target, value) for value in values[place]])
                block = node.cases[place][1].statements
                is_last = place + 1 == len(node.cases) and node.default is None
                otherwise = None if is_last else (lambda: choose(place + 1))
                self._branch(simplified(tested), node, context, lambda: self._scoped(block, context), otherwise)
            elif node.default is not None:
                self._scoped(node.default.statements, context)

        choose(0)
        return context

    def visit_BreakStatement(self, node: ast.BreakStatement, context: Any) -> Any:  # noqa: N802
        """Leave the loop."""
        self._left(BREAK, node)
        return context

    def visit_ContinueStatement(self, node: ast.ContinueStatement, context: Any) -> Any:  # noqa: N802
        """Leave this round of the loop."""
        self._left(CONTINUE, node)
        return context

    def _left(self, how: str, node: Any) -> None:
        if not self._loops:
            raise_from_node(node, f"'{how}' stands in no loop")
        raise _Left(how)

    def visit_EndStatement(self, node: ast.EndStatement, _context: Any) -> Any:  # noqa: N802
        """End the program, where that depends on nothing."""
        if self._depending:
            raise_from_node(node, "'end' is supported only where it does not depend on a bit")
        raise Ended

    def visit_CompoundStatement(self, node: ast.CompoundStatement, context: Any) -> Any:  # noqa: N802
        """Convert a block, which has its own names."""
        self._scoped(node.statements, context)
        return context

    def _body(self, block: Sequence[Any], node: Any, context: Any) -> str | None:
        """Convert one round of the innermost loop; return how it is left where that depends on nothing."""
        left = None
        try:
            self._sequence(block, context)
        except _Left as found:
            left = found.how
        skip = self._loops[-1].flags.get(CONTINUE)
        if skip is not None:
            self._store(skip, False, node, context)
        return left

    @contextmanager
    def _loop(self, node: Any, context: Any) -> Iterator[_Loop]:
        loop = _Loop()
        self._loops.append(loop)
        try:
            yield loop
        finally:
            self._loops.pop()
        if BREAK in loop.flags:
            self._store(loop.flags[BREAK], False, node, context)

    def visit_WhileLoop(self, node: ast.WhileLoop, context: Any) -> Any:  # noqa: N802
        """Convert a loop whose end depends on bits."""
        tested = condition(node.while_condition, Resolver(context, strict=True))
        if tested is False:
            return context
        with self._loop(node, context):
            if _leaves(node.block):
                flag = self._flag(BREAK, context)
                tested = simplified(both(as_truth(tested), negated(truth(flag))))
            if tested is True:
                raise_from_node(node, "a while loop never ends: its condition is always true")
            with context.circuit.while_loop(tested):
                try:
                    self._deeper(node)
                    with LocalScope(context) as inner:
                        if self._body(node.block, node, inner) == BREAK:
                            self._leave(BREAK, node, inner)
                finally:
                    self._depending -= 1
        return context

    def visit_ForInLoop(self, node: ast.ForInLoop, context: Any) -> Any:  # noqa: N802
        """Write the loop out, so that its variable may be an index."""
        size = self._rounds(node, context)
        if size > MAX_BUILT:
            raise_from_node(node, f"the loop runs {number(size)} operations; at most {MAX_BUILT:,} are written out")
        with self._loop(node, context) as loop:
            for value in self._values(node, context):
                broke = loop.flags.get(BREAK)
                if broke is None:
                    if self._round(node, value, context) == BREAK:
                        break
                else:
                    with context.circuit.if_test((broke, False)), self._perhaps(node, context):
                        if self._round(node, value, context) == BREAK:
                            self._leave(BREAK, node, context)
        return context

    def _round(self, node: ast.ForInLoop, value: int, context: Any) -> str | None:
        self._looped += sum(map(_statements, node.block), start=1)
        if self._looped > MAX_LOOPED:
            raise TooDear(f"loops run more than {MAX_LOOPED:,} statements; fewer can be written out")
        with LocalScope(context) as inner:
            symbol = Symbol(node.identifier.name, value, types.Int(const=True), Scope.LOCAL, node)
            inner.symbol_table.insert(symbol)  # type: ignore[no-untyped-call]
            return self._body(node.block, node, inner)

    def _values(self, node: ast.ForInLoop, context: Any) -> Sequence[int]:
        if not isinstance(node.type, ast.IntType | ast.UintType):
            raise_from_node(node, "a loop variable must be int or uint")
        declared: Any = node.set_declaration
        found, kind = self._resolve_generic(declared, context, strict=True)
        if not isinstance(kind, types.Range | types.Sequence):
            raise_from_node(node.set_declaration, "a loop runs over a range or a set of whole numbers")
        values: Sequence[int] = found
        return values

    def _rounds(self, node: Any, context: Any) -> int:
        """Return how many statements a loop runs, those of loops within it included."""
        if not isinstance(node, ast.ForInLoop):
            return 1 + sum(self._rounds(each, context) for block in _blocks(node) for each in block)
        try:
            rounds = len(self._values(node, context))
        except ConversionError as error:
            if UNDEFINED.search(str(error.message)) is None:
                raise
            rounds = 1  # it depends on the variable of the loop around it, and is counted when that has a value
        return max(rounds, 0) * max(1, sum(self._rounds(each, context) for each in node.block))


def _blocks(node: Any) -> list[Sequence[Any]]:
    """Return the blocks of statements within a statement."""
    if isinstance(node, ast.SwitchStatement):
        return [block.statements for block in (*(block for _, block in node.cases), node.default) if block is not None]
    return [getattr(node, name, None) or [] for name in ("if_block", "else_block", "block", "statements")]


def _statements(node: Any) -> int:
    """Return how many statements one is, with those within it; the rounds of a loop count theirs."""
    blocks = [] if isinstance(node, ast.ForInLoop) else _blocks(node)
    return 1 + sum(_statements(each) for block in blocks for each in block)


def _leaves(block: Sequence[Any]) -> bool:
    """Return True if a loop's body has a `break` of this loop."""
    return any(
        isinstance(each, ast.BreakStatement)
        or (not isinstance(each, ast.ForInLoop | ast.WhileLoop) and any(_leaves(inner) for inner in _blocks(each)))
        for each in block
    )
