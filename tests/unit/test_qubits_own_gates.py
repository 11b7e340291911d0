"""A program's own gates of any name: what they do, and which names are taken."""

from typing import Any

import numpy as np
import pytest

from tasks.backends.qubits.parsing import parse
from tasks.backends.registry import load
from tests.unit.openqasm_matrices import (
    CX,
    MODIFIERS,
    QELIB1,
    STANDARD,
    Matrix,
    X,
    Z,
    builtin_u,
    control,
    on,
    power,
    rx,
    rz,
    same,
    u3,
)
from tests.unit.openqasm_programs import ANGLES, HEAD2, HEAD3, SKIPPED, call, outcome, unitary

TREATED = [
    "rzz",
    "rxx",
    "ryy",
    "rzx",
    "h",
    "x",
    "y",
    "z",
    "s",
    "t",
    "sx",
    "sxdg",
    "cx",
    "cz",
    "ccx",
    "cu",
    "cu1",
    "cu3",
    "cp",
    "p",
    "u",
    "u0",
    "u1",
    "u2",
    "u3",
    "r",
    "rx",
    "id",
    "ecr",
    "iswap",
    "dcx",
    "swap",
    "cswap",
    "ms",
    "gms",
    "rccx",
    "rcccx",
    "c3x",
    "c4x",
    "mcx",
    "mcp",
    "mcphase",
    "csx",
    "cs",
    "csdg",
    "xx_plus_yy",
    "xx_minus_yy",
    "unitary",
    "permutation",
    "store",
    "pauli",
    "diagonal",
    "multiplexer",
    "kraus",
    "superop",
    "roerror",
    "quantum_channel",
    "initialize",
    "save_state",
    "save_counts",
    "set_statevector",
    "snapshot",
    "jump",
    "mark",
    "nop",
    "global_phase",
    "break_loop",
    "if_else",
    "while_loop",
    "for_loop",
    "switch_case",
    "annotated",
    "barrier_",
    "measure_",
    "delay_",
    "circuit",
    "own0",
    "own_1",
]
"""Names that a parser, a transpiler or a simulator knows, or might."""

VERSIONS = ("OPENQASM 2.0;\n", "OPENQASM 3.0;\n", HEAD2, HEAD3)


@pytest.mark.parametrize("head", VERSIONS, ids=["2", "3", "qelib1", "stdgates"])
def test_own_gates_win_whatever_their_names(head: str):
    """A gate that a program defines is what the program says, under a name that a library uses for something else."""
    taken = {HEAD2: set(QELIB1), HEAD3: set(STANDARD)}.get(head, set())
    declare = "qreg q[2];\n" if head.startswith("OPENQASM 2") else "qubit[2] q;\n"
    one = control(builtin_u(0.4, 0.2, 0.9)) if "3.0" in head else None
    wrong = []
    for name in TREATED:
        if name in taken:
            continue
        # a, b: something that no library has, on two qubits, with two parameters out of alphabetical order
        own = f"gate {name}(z, a) one, two {{ U(z, 0.1, a) one; U(a, z, 0.5) two; }}\n"
        outer = f"gate outer(a) two, one {{ {name}(a, 2*a) one, two; {name}(0.3, a) two, one; }}\n"
        text = f"{head}{own}{outer}{declare}outer(0.7) q[0], q[1];\n"
        inner = [(builtin_u(0.7, 0.1, 1.4), (1,)), (builtin_u(1.4, 0.7, 0.5), (0,))]
        inner += [(builtin_u(0.3, 0.1, 0.7), (0,)), (builtin_u(0.7, 0.3, 0.5), (1,))]
        right = on(2, inner)
        if one is not None:
            text += f"ctrl @ {name}(0.4, 0.2) q[0], q[1], q2;\n".replace("q2", "extra")
            text = text.replace(declare, declare + "qubit extra;\n")
            both = on(2, [(builtin_u(0.4, 0.1, 0.2), (0,)), (builtin_u(0.2, 0.4, 0.5), (1,))])
            right = on(3, [(right, (0, 1)), (control(both), (0, 1, 2))])
        if not same(right, unitary(text)):
            wrong.append(name)
    assert wrong == []


@pytest.mark.parametrize("head", [HEAD2, HEAD3], ids=["qelib1", "stdgates"])
def test_own_gates_win_over_included_ones(head: str):
    """A gate that a program defines anew is its own from there on; before, and in its own body, it is the library's."""
    version, library = (2, QELIB1) if head is HEAD2 else (3, STANDARD)
    turn = u3 if head is HEAD2 else builtin_u
    wrong = []
    for name, (parameters, build) in library.items():
        if name == "U":
            continue
        right = build(*ANGLES[:parameters])
        size = len(right).bit_length() - 1
        words = call(name, parameters, size).strip()
        body = words
        for place in range(size):
            body = body.replace(f"q[{place}]", f"s{place}")
        text = (
            f"{head}{'qreg q[4]' if version == 2 else 'qubit[4] q'};\n{words}\n"
            f"gate before(k) s0, s1, s2 {{ U(k, 0, 0) s0; {body} }}\n"
            f"gate {name}(k) s0, s1, s2 {{ U(k, 0.1, 0.2) s1; {body} U(0.3, k, 0.2) s2; }}\n"
            f"before(0.4) q[1], q[2], q[3];\n{name}(1.1) q[2], q[0], q[3];\n"
            f"gate after(k) s0, s1, s2 {{ {name}(k * 2) s2, s1, s0; }}\nafter(0.35) q[0], q[1], q[2];\n"
        )
        first = tuple(range(size))
        before = on(3, [(turn(0.4, 0, 0), (0,)), (right, first)])
        own = [
            on(3, [(turn(angle, 0.1, 0.2), (1,)), (right, first), (turn(0.3, angle, 0.2), (2,))])
            for angle in (1.1, 0.7)
        ]
        whole = on(4, [(right, first), (before, (1, 2, 3)), (own[0], (2, 0, 3)), (own[1], (2, 1, 0))])
        if not same(whole, unitary(text)):
            wrong.append(name)
    assert wrong == []


@pytest.mark.parametrize(("head", "file"), [("OPENQASM 2.0;\n", HEAD2), ("OPENQASM 3.0;\n", HEAD3)], ids=["2", "3"])
def test_own_gates_win_over_what_is_included_later(head: str, file: str):
    """An include after a program's own gate leaves that one as it is, and brings the others."""
    declare = "qreg q[1]" if head is not file and "2.0" in head else "qubit[1] q"
    text = f"{head}gate h a {{ U(pi, 0, pi) a; }}\n{file[14:]}{declare};\nh q[0];\ns q[0];\n"
    assert same(power(Z, 0.5) @ X, unitary(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD3 + "gate x a { } gate x a { }\nqubit q;\n", "line 3, column 14: the name 'x' is taken, on line 3"),
        (
            "OPENQASM 3.0;\nqubit h;\n" + HEAD3[14:] + "qubit q;\nh q;\n",
            "line 3, column 1: stdgates.inc defines the gate 'h'",
        ),
        (HEAD3 + "qubit x;\n", "line 3, column 1: the name 'x' is taken, on line 2"),
        ("OPENQASM 3.0;\ngate h a { h a; }\nqubit q;\n", "line 2, column 12: gate 'h' is not defined"),
        (HEAD2 + "gate x a { } gate x a { }\nqreg q[1];\n", "line 3, column 14: 'x' is already defined"),
        (HEAD2 + "gate g a { g a; }\nqreg q[1];\n", "line 3, column 12: 'g' is not defined"),
        (HEAD2 + "qreg q[1];\nx(1) q[0]; gate x(t) a { }\n", "line 4, column 1: 'x' takes 0 parameters, but got 1"),
        (
            HEAD2 + "qreg q[1]; creg c[1];\nif (c == 1) rx q[0];\n",
            "line 4, column 13: 'rx' takes 1 parameter, but got 0",
        ),
        (
            HEAD2 + "gate x(t, s) a { rx(t) a; }\ngate g a { x a; }\nqreg q[1];\n",
            "line 4, column 12: 'x' takes 2 parameters",
        ),
        (HEAD2 + "qreg q[1];\nrzz(1) q[0], q[0]; gate rzz a { }\n", "line 4, column 1: 'rzz' is not defined"),
        (HEAD2 + "gate sx a { }\nqreg q[1]; sx q[0]; cp(1) q[0];\n", "line 4, column 21"),
        (HEAD2 + "gate swap a { } gate swap b { }\nqreg q[1];\n", "line 3, column 17: 'swap' is already defined"),
        (HEAD3 + "gate g(a) a { }\nqubit q;\ng(1) q;\n", "line 3, column 1: the gate names 'a' twice"),
        (HEAD3 + "gate g a, b { cx a, a; }\nqubit q;\n", "a qubit is named twice"),
        (HEAD3 + "gate g a { h c; }\nqubit q;\n", "only its own qubits"),
    ],
)
def test_names_that_are_taken_are_named(text: str, words: str):
    """What cannot be is said with the program's own names, and where."""
    read = parse(text, 12)
    assert read.circuit is None
    assert any(words in str(mark) for mark in read.marks), read.marks


def test_own_gates_see_nothing_of_their_callers():
    """A parameter named like a gate hides it within its own gate, not within gates that this one calls."""
    text = (
        "OPENQASM 3.0;\ngate foo t { U(pi, 0, pi) t; }\ngate inner t { foo t; }\n"
        "gate outer(foo) inner_ { inner inner_; U(0, 0, foo) inner_; }\nqubit q;\nouter(0.5) q;\n"
    )
    assert same(builtin_u(0, 0, 0.5) @ builtin_u(np.pi, 0, np.pi), unitary(text))


@pytest.mark.parametrize("seed", range(8))
def test_random_gates_of_gates_are_their_products(seed: int):
    """Gates with library names that call each other, with modifiers and parameters in any order, are what they say."""
    random = np.random.default_rng(seed)
    names = list(random.permutation([name for name in TREATED if name not in STANDARD]))[:5]
    known: dict[str, tuple[int, int, Any]] = {
        "U": (3, 1, builtin_u), "rx": (1, 1, rx), "rz": (1, 1, rz), "cx": (0, 2, lambda: CX),
    }  # fmt: skip
    text = HEAD3
    for name in names:
        parameters, size = int(random.integers(0, 3)), int(random.integers(1, 4))
        formal = list(random.permutation(["t", "a", "k"]))[:parameters]
        steps = []
        body = ""
        for _ in range(3):
            callee = str(random.choice(list(known)))
            wanted, qubits, build = known[callee]
            words, modify, more = (("", lambda m: m, 0), ("inv @ ", lambda m: m.conj().T, 0), ("ctrl @ ", control, 1),
                                   ("negctrl @ ", MODIFIERS["negctrl @ "], 1))[random.integers(0, 4)]  # fmt: skip
            if qubits + more > size:
                continue
            places = [int(place) for place in random.permutation(size)[: qubits + more]]
            picks = [
                (round(float(random.uniform(-3, 3)), 3), int(random.integers(-1, parameters))) for _ in range(wanted)
            ]
            said = [f"{factor}" if pick < 0 else f"{formal[pick]} * {factor}" for factor, pick in picks]
            body += (
                f"{words}{callee}{'(' + ', '.join(said) + ')' if said else ''} {', '.join(f'q{n}' for n in places)}; "
            )
            steps.append((build, modify, picks, places))

        def made(*values: float, steps: Any = tuple(steps), size: int = size) -> Matrix:
            return on(
                size,
                [
                    (modify(build(*[f * (1 if n < 0 else values[n]) for f, n in picks])), places)
                    for build, modify, picks, places in steps
                ],
            )

        qubits = ", ".join(f"q{n}" for n in range(size))
        text += f"gate {name}{'(' + ', '.join(formal) + ')' if formal else ''} {qubits} {{ {body}}}\n"
        known[name] = parameters, size, made
    parameters, size, build = known[names[-1]]
    values = [0.6, -1.1, 1.7][:parameters]
    said = f"({', '.join(map(str, values))})" if values else ""
    qubits = ", ".join(f"q[{n}]" for n in range(size + 1))
    text += f"qubit[{size + 1}] q;\nctrl @ {names[-1]}{said} {qubits};\n"
    assert same(control(build(*values)), unitary(text)), text


def test_gates_are_not_mixed_up_between_programs():
    """The same name defined in two programs is two gates, in one process and side by side."""
    texts = [f"OPENQASM 3.0;\ngate rzz a {{ U({angle}, 0, 0) a; }}\nqubit q;\nrzz q;\n" for angle in (0.2, 1.4)]
    assert [same(builtin_u(angle, 0, 0), unitary(text)) for angle, text in zip((0.2, 1.4), texts, strict=True)] == [
        True
    ] * 2


NATIVE_TEXT = (
    "OPENQASM 3.0;\ngate ecr a { U(pi, 0, pi) a; }\ngate r(b, a) s { U(b, 0, a) s; }\nqubit[2] q;\nbit[2] c;\n"
    "ecr q[0];\nr(pi, 0.2) q[1];\nc = measure q;\n"
)


def test_own_gates_in_every_kind_of_job():
    """Programs side by side may use one name for two gates; estimations and exact values see the program's own."""
    backend = load("qubits")

    def data(document: dict[str, Any]) -> dict[str, Any]:
        (result,) = backend.execute(backend.compile(backend.validate({"shots": 20, "seed": 3, **document}), 1))
        found: dict[str, Any] = result["data"]
        return found

    flip, stay = (
        f"OPENQASM 3.0;\ngate rzz a {{ U({angle}, 0, pi) a; }}\nqubit q;\nbit c;\nrzz q;\nc = measure q;\n"
        for angle in ("pi", "0")
    )
    assert data({"program": [flip, stay, flip], "job_type": "multi_manual"})["counts"] == {"101": 20}
    operator = [{"pauli": "Z 0 Z 1", "coeff": 1.0}, {"pauli": "Z 1", "coeff": 0.5}]
    for method in ("sampling", "state_vector"):
        found = data({"program": NATIVE_TEXT, "job_type": "estimation", "operator": operator, "method": method})
        assert abs(found["exp_value"] - 0.5) < 1e-9
    found = data({"program": NATIVE_TEXT})
    assert found["counts"] == {"11": 20}
    assert not {"ecr", "r"} & set(found["transpiled"]["operations"])


@pytest.mark.parametrize(
    "name",
    [
        "delay",
        "box",
        "def",
        "cal",
        "input",
        "output",
        "extern",
        "stretch",
        "duration",
        "let",
        "bit",
        "qubit",
        "ctrl",
        "inv",
        "pow",
        "while",
        "int",
        "const",
    ],
)
def test_words_of_the_other_version_may_name_gates(name: str):
    """In OpenQASM 2 a word that only version 3 keeps for itself is a name like any other."""
    program = f"{HEAD2}gate {name}(t) a {{ rx(t) a; }}\nqreg q[2];\ncreg c[2];\n{name}(pi) q[1];\nmeasure q -> c;\n"
    assert outcome(program) == "10"
    assert outcome(program, transpiler_info=SKIPPED) == "10"
