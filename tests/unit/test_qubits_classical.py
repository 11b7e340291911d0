"""Ranges, aliases, comparisons and branches: exact outcomes of programs for qubits, and what is refused."""

import json

import numpy as np
import pytest

from tasks.backends.qubits.backend import Qubits
from tasks.backends.qubits.device import DEFAULT
from tasks.backends.registry import load
from tests.unit.openqasm_programs import HEAD2, HEAD3, SKIPPED, faults, outcome


def chosen(begin: int | None, step: int | None, end: int | None, size: int) -> list[int] | None:
    """Return the elements that the index set has by the specification; None if there is none, or one is not there."""
    stride = 1 if step is None else step
    first, last = (0, size - 1) if stride > 0 else (size - 1, 0)
    begin, end = first if begin is None else begin, last if end is None else end
    if begin < -size or end < -size:
        return None
    place, last = (begin + size if begin < 0 else begin), (end + size if end < 0 else end)
    found = []
    while (place <= last) if stride > 0 else (place >= last):
        if place >= size:
            return None
        found.append(place)
        place += stride
    return found or None


RANGES = [
    (None, None, None), (-2, None, -1), (-1, None, -1), (0, 2, -1),  (-1, -1, 0),
    (4, -2, 0),  (3, None, 9), (0, None, 5), (0, 2, 5), (-6, None, 2), (-5, None, -4), (2, None, 1),
    (1, -1, 3), (0, -1, -6), (5, -1, 0), (4, None, None), (None, None, -3), (1, 3, -1), (-1, -3, -5),
]  # fmt: skip


@pytest.mark.parametrize("given", RANGES, ids=str)
def test_ranges_are_those_of_the_specification(given: tuple[int | None, int | None, int | None]):
    """A range has both ends, counts negative indices from the end and is cut nowhere: as operand, alias or target."""
    begin, step, end = ("" if part is None else str(part) for part in given)
    said = f"{begin}:{step}:{end}" if given[1] is not None else f"{begin}:{end}"
    right = chosen(*given, 5)
    size = len(right or [0])
    programs = [
        f"qubit[5] q;\nbit[5] c;\nx q[{said}];\nc = measure q;\n",
        f"qubit[5] q;\nbit[5] c;\nlet part = q[{said}];\nx part;\nc = measure q;\n",
        f"qubit[3] a;\nqubit[2] q;\nbit[5] c;\nlet all = a ++ q;\nx all[{said}];\nc = measure all;\n",
        f"qubit[5] q;\nbit[5] c;\nx q;\nlet to = c[{said}];\nto = measure q[0:{size - 1}];\n",
        f"qubit[5] q;\nbit[5] c;\nx q;\nc[{said}] = measure q[0:{size - 1}];\n",
    ]
    for program in programs:
        if right is None:
            line = 3 + next(place for place, line in enumerate(program.split("\n")) if said in line)
            assert f"line {line}, column" in faults(HEAD3 + program)[0]
        else:
            bits = "".join("1" if place in right else "0" for place in reversed(range(5)))
            assert outcome(HEAD3 + program) == bits


def test_elements_of_index_sets_and_aliases_are_counted_in_their_order():
    """An index set keeps its order and its negative indices; an alias of an alias is of the same qubits."""
    program = (
        "qubit[6] q;\nbit[6] c;\nbit[2] d;\nlet odd = q[1:2:-1];\nlet back = odd[-1:-1:0];\nlet one = back[0];\n"
        "x one;\ncx back[0], back[2];\nlet few = q[{-2, 0}];\nx few[0];\nc = measure q;\nlet tail = c[4:5] ;\n"
        "d = measure back[{0, 1}];\n"
    )
    assert outcome(HEAD3 + program) == "01" + "110010"
    for wrong in ("q[{0, 6}]", "q[{-7}]", "q[{1, 1}]", "q[{-1, 5}]", "q[6]", "q[-7]", "q[0:2][2:3]", "q[0:2:4][3]"):
        assert "line 5, column" in faults(f"{HEAD3}qubit[6] q;\nbit[6] c;\nx {wrong};\nc = measure q;\n")[0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("[0:2]", "0111"),
        ("[2:-1:0]", "0111"),
        ("[-4:2:-1]", "0101"),
        ("[3:2]", "0000"),
        ("{3, 1}", "1010"),
        ("[1:2:4]", "1010"),
    ],
)
def test_loops_run_over_both_ends(values: str, expected: str):
    """The range of a loop holds both ends; its values are numbers, counted from the end only if they are indices."""
    assert outcome(f"{HEAD3}qubit[4] q;\nbit[4] c;\nfor int i in {values} {{ x q[i]; }}\nc = measure q;\n") == expected


@pytest.mark.slow
@pytest.mark.parametrize("skip", [False, True], ids=["transpiled", "as it stands"])
def test_registers_are_compared_with_the_whole_number(skip: bool):  # noqa: FBT001 - a parameter of the test
    """A value that the register cannot hold is never reached, whatever its last bits are, in both versions."""
    options = {"transpiler_info": SKIPPED} if skip else {}
    own = "gate cu a {{ U(pi, 0, pi) a; }}\n".format()
    for state, value in [(0, 4), (1, 5), (3, 7), (3, 3), (2, 2), (0, 1), (1, 2**40 + 1), (3, 2**18 - 1)]:
        flips = "".join(f"x q[{bit}];\n" for bit in range(2) if state >> bit & 1)
        two = f"{HEAD2}{own}qreg q[3];\ncreg c[2];\ncreg d[1];\n{flips}measure q[0] -> c[0];\nmeasure q[1] -> c[1];\n"
        two += f"if (c == {value}) cu q[2];\nmeasure q[2] -> d[0];\n"
        assert outcome(two, **options) == f"{int(state == value)}{state:02b}"
        start = (
            f"{HEAD3}gate cs a {{ U(pi, 0, pi) a; }}\nqubit[3] q;\nbit[2] c;\nbit[2] d;\n{flips}c = measure q[0:1];\n"
        )
        for condition, right in [
            (f"c == {value}", state == value), (f"{value} == c", state == value), (f"c != {value}", state != value),
            (f'c == "{value:b}"', state == value), (f"c == 0x{value:x}", state == value),
        ]:  # fmt: skip
            three = f"{start}if ({condition}) {{ cs q[2]; }} else {{ cs q[1]; }}\nd = measure q[1:2];\n"
            high = state >> 1 ^ (not right)
            assert outcome(three, **options) == f"{int(right)}{high}{state:02b}", condition


def test_comparisons_that_can_not_be_meant_are_refused():
    """What no bits can be is named where it could be meant otherwise."""
    start = HEAD3 + "qubit[2] q;\nbit[2] c;\nbit b;\nc = measure q;\n"
    for condition, words in [
        ("c == -1", "cannot be compared with -1"), ("b == 2", "a bit is 0 or 1, never 2"),
        ("c == true", "a whole number"),
        ("c < -2", "cannot be compared with -2"), ("c", "a condition is a bit"), ("c + 1 == 2", "the operator '+'"),
        ("c == 0.5", "a whole number"), ("c == q", "compares bits"), ("q[0]", "a condition is a bit"),
        ("popcount(c) == 1", "the function 'popcount'"), ("(c & 4) == 4", "does not fit into 2 bits"),
    ]:  # fmt: skip
        found = faults(f"{start}if ({condition}) {{ x q[0]; }}\nc = measure q;\n")
        assert "line 7, column" in found[0]
        assert words in found[0]


def test_a_branch_that_is_never_taken_leaves_the_others():
    """Branches within a branch, and loops, go on as they would where a condition can never hold."""
    program = (
        HEAD3 + "qubit[3] q;\nbit[1] c;\nbit[3] d;\nc[0] = measure q[0];\n"
        "if (c == 0) { if (c == 2) { x q[0]; } else { x q[1]; if (c == 3) { x q[0]; } } }\n"
        "while (c == 2) { x q[2]; c[0] = measure q[2]; }\nif (c == 2) { x q[2]; }\nd = measure q;\n"
    )
    assert outcome(program) == "0100"
    assert outcome(program, transpiler_info=SKIPPED) == "0100"


@pytest.mark.parametrize("seed", range(6))
def test_random_programs_have_their_one_outcome(seed: int):
    """Own gates with library names, aliases, ranges and comparisons give the bits that follow from them, one by one."""
    random = np.random.default_rng(seed)
    size = 5
    names = [
        str(name)
        for name in random.permutation(["rzz", "iswap", "ms", "r", "unitary", "ecr", "delay_", "u", "mcx", "store"])[:2]
    ]
    text = (
        f"{HEAD3}gate {names[0]} a, b {{ U(pi, 0, pi) b; ctrl @ x a, b; }}\n"
        f"gate {names[1]} b, a {{ negctrl @ x a, b; swap a, b; }}\nqubit[{size}] q;\nbit[{size}] c;\n"
    )
    state, bits = [0] * size, [0] * size
    for step in range(8):
        one, other = (int(place) for place in random.permutation(size)[:2])
        kind = int(random.integers(0, 4))
        if kind == 0:
            text += f"{names[0]} q[{one - size}], q[{other}];\n"
            state[other] ^= 1 ^ state[one]
        elif kind == 1:
            text += f"let s{step} = q[{{{one}, {other}}}];\n{names[1]} s{step}[0], s{step}[-1];\n"
            state[one] ^= 1 ^ state[other]
            state[one], state[other] = state[other], state[one]
        elif kind == 2:
            begin, stride = int(random.integers(-size, 0)), int(random.integers(1, 3))
            text += f"x q[{begin}:{stride}:-1];\n"
            for place in range(begin + size, size, stride):
                state[place] ^= 1
        else:
            bits = list(state)
            value = sum(bit << place for place, bit in enumerate(bits)) + int(random.choice([0, 2**size, 3]))
            text += f"c = measure q;\nif (c == {value}) {{ {names[0]} q[{one}], q[{other}]; }} else {{ x q[{one}]; }}\n"
            if value == sum(bit << place for place, bit in enumerate(bits)):
                state[other] ^= 1 ^ state[one]
            else:
                state[one] ^= 1
    text += "c = measure q;\n"
    right = "".join(map(str, reversed(state)))
    assert outcome(text) == right, text
    assert outcome(text, transpiler_info=SKIPPED) == right, text
    assert outcome(text, transpiler_info={"transpiler_options": {"optimization_level": 0}}) == right, text


@pytest.mark.slow
def test_conditions_on_parts_of_registers_are_those_of_their_bits():
    """Aliases, slices, `!=`, `&&`, `||` and `!` in branches and loops are as their bits say, in the text too."""
    for state in range(8):
        flips = "".join(f"x q[{bit}];\n" for bit in range(3) if state >> bit & 1)
        start = (
            f"{HEAD3}qubit[4] q;\nbit[3] c;\nbit d;\nlet high = c[1:2];\nlet back = c[2:-1:1];\n"
            f"{flips}c = measure q[0:2];\n"
        )
        for words, right in [
            ("high == 2", state >> 1 == 2), ("high == 5", False),
            ("back == 1", (state >> 2 & 1, state >> 1 & 1) == (1, 0)),
            ("c[{0, 2}] != 3", state & 5 != 5), ("c != 6 && c[0] == 0", state not in {1, 3, 5, 6, 7}),
            ("!(c == 3) || high == 9", state != 3), ("c == 9 || !c[2]", state < 4),
            ("~c[1] && !(c[0] || c[2])", state == 0),
        ]:  # fmt: skip
            program = f"{start}if ({words}) {{ x q[3]; }}\nd = measure q[3];\n"
            backend = load("qubits")
            compiled = json.loads(json.dumps(backend.compile(backend.validate({"program": program, "shots": 2}), 1)))
            for runner in (backend, Qubits("qubits", DEFAULT, noisy=False)):  # the second has nothing but the text
                (result,) = runner.execute(compiled)
                assert list(result["data"]["counts"]) == [f"{int(right)}{state:03b}"], words


def test_loops_over_registers_end_when_their_value_changes():
    """A `while` over a register, equal or not, runs as long as it says."""
    three = f"{HEAD3}qubit[2] q;\nbit[2] c;\nx q;\nc = measure q;\n"
    assert outcome(three + "while (c == 3) { reset q[1]; c = measure q; }\n") == "01"
    assert (
        outcome(three + "while (c != 0) { reset q[0]; c[0] = measure q[0]; reset q[1]; c[1] = measure q[1]; }\n")
        == "00"
    )
    assert outcome(three + 'let one = c[1:1];\nwhile (one == "1") { x q[1]; c = measure q; }\n') == "01"
    assert "never ends" in faults(three + "while (c != 0) { x q[0]; }\n")[0]


def test_a_branch_is_laid_out_with_what_it_does():
    """Gates that stand in branches decide the layout, so that no qubit is touched that the program has not."""
    program = (
        HEAD3
        + "qubit[5] q;\nbit[5] c;\nh q[0];\nc[0] = measure q[0];\nif (c[0]) { cx q[1], q[4]; ccx q[0], q[1], q[3];"
        " cswap q[3], q[2], q[0]; if (c[0]) { cx q[4], q[2]; swap q[2], q[1]; } ch q[3], q[0]; }\nc = measure q;\n"
    )
    backend = load("qubits")
    for seed in range(4):
        (item,) = backend.compile(backend.validate({"program": program, "shots": 10, "seed": seed}), 1)["experiments"]
        assert item["active_qubits"] == 5


def test_bits_of_numbers_are_those_of_their_places():
    """The least bit is element 0; they are read, compared, measured and assigned, and `int` is in two's complement."""
    head = HEAD3 + "qubit[4] q;\nbit[4] c;\n"
    end = "c = measure q;\n"
    adder = "uint[3] a = 5;\nfor uint i in [0:2] { if (bool(a[i])) x q[i]; }\n"
    assert outcome(head + adder + end) == "0101"
    assert outcome(head + "int[4] a = -3;\nfor int i in [0:3] { if (a[i]) x q[i]; }\n" + end) == "1101"
    assert outcome(head + "uint[4] a = 6;\nif (a[1:2] == 3 && a[-1] == 0) x q[3];\n" + end) == "1000"
    assert outcome(head + "uint[4] a;\na[1] = 1;\na[3] = 1;\nif (a == 10) x q[0];\n" + end) == "0001"
    assert outcome(head + "uint[4] a;\nx q[2];\na[2] = measure q[2];\nif (a == 4) x q[0];\n" + end) == "0101"
    assert "elements 0 to 3" in faults(head + "uint[4] a;\nif (a[4]) x q[0];\n" + end)[0]
