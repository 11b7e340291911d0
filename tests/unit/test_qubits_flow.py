"""Branches, loops, choices and assignments of programs for qubits: exact outcomes, also once read from their text."""

import json

import pytest

from models.errors import JobRejected
from tasks.backends.qubits.backend import Qubits
from tasks.backends.registry import load
from tests.unit.openqasm_programs import HEAD2, HEAD3


def outcomes(program: str, **options: object) -> set[str]:
    """Return what came out of 20 shots, the same from the compiled circuit and from its text."""
    backend = load("qubits")
    checked = backend.validate({"program": program, "shots": 20, "seed": 5, **options})
    compiled = json.loads(json.dumps(backend.compile(checked, 1)))
    assert isinstance(backend, Qubits)
    found = []
    for runner in (backend, Qubits("qubits", backend.device, noisy=False)):
        (result,) = runner.execute(compiled)
        found.append(result["data"]["counts"])
    assert found[0] == found[1]
    return set(found[0])


def faults(program: str) -> list[str]:
    """Return why a program is refused."""
    with pytest.raises(JobRejected) as caught:
        load("qubits").validate({"program": program, "shots": 3})
    return [str(fault) for fault in caught.value.faults]


BITS = "qubit[4] q;\nbit[4] c;\nbit[2] d;\n"

LOOPS = {
    "break that is settled": ("for int i in [0:3] { if (i == 2) { break; } x q[i]; } c = measure q;", "000011"),
    "continue that is settled": ("for int i in [0:3] { if (i == 2) { continue; } x q[i]; } c = measure q;", "001011"),
    "break by an outcome": (
        "x q[2]; for int i in [0:3] { d[0] = measure q[i]; if (d[0]) { break; } x q[i]; } c = measure q;", "010111",
    ),
    "continue by an outcome": (
        "x q[0]; for int i in [0:3] { d[0] = measure q[i]; if (d[0]) { continue; } x q[i]; } c = measure q;", "001111",
    ),
    "what comes after two ways out": (
        ("x q[1]; for int i in [0:3] { d[0] = measure q[i]; if (d[0]) { continue; } d[1] = measure q[2];"
        " if (d[1]) { break; } x q[i]; } c = measure q;"), "100111",
    ),
    "break of the inner loop alone": (
        ("for int i in [0:1] { for int j in [2:3] { d[0] = measure q[j]; if (!d[0]) { x q[j]; break; } } x q[i]; }"
        " c = measure q;"), "001111",
    ),
    "break in an else": (
        "for int i in [0:3] { x q[i]; d[0] = measure q[0]; if (d[0] == 0) { x q[3]; } else { break; } } c = measure q;",
        "010001",
    ),
    "break in a while": (
        "while (d != 3) { x q[0]; d[0] = measure q[0]; if (d[0]) { x q[1]; break; } x q[2]; } c = measure q;", "010011",
    ),
    "continue in a while": (
        "while (d != 3) { d[1] = 1; if (d[0] == 0) { d[0] = 1; x q[0]; continue; } x q[1]; } c = measure q;", "110001",
    ),
    "a while that only break ends": ("while (true) { x q[0]; d[0] = measure q[0]; break; } c = measure q;", "010001"),
    "a while that is never entered": ("while (false) { x q[0]; } c = measure q;", "000000"),
    "a loop twice, left each time": (
        ("for int i in [0:1] { d = 0; while (d[0] == 0) { x q[i]; d[0] = measure q[i]; if (d[0]) { break; } } x q[2]; }"
        " c = measure q;"), "010011",
    ),
    "a switch": (
        ("x q[1]; d = measure q[0:1]; switch (d) { case 0 { x q[0]; } case 1, 2 { x q[2]; } default { x q[3]; } }"
        " c = measure q;"), "100110",
    ),
    "a switch without its case": (
        "switch (d) { case 1 { x q[0]; } case 2 { x q[1]; } default { x q[3]; } } c = measure q;", "001000",
    ),
    "a switch whose case changes the target": (
        "switch (d) { case 0 { d = 1; x q[0]; } case 1 { x q[1]; } } c = measure q;", "010001",
    ),
    "break in a switch in a loop": (
        "for int i in [0:3] { switch (i) { case 2 { break; } default { x q[i]; } } } c = measure q;", "000011",
    ),
    "the end": ("x q[0]; c = measure q; end; x q; c = measure q;", "000001"),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("level", [None, 0, 3])
def test_loops_and_choices_do_what_they_say(name: str, level: int | None):
    """`break`, `continue`, `switch` and `end` leave what they say, in loops within one another and within branches."""
    body, right = LOOPS[name]
    info = {"transpiler_lib": None} if level is None else {"transpiler_options": {"optimization_level": level}}
    assert outcomes(f"{HEAD3}{BITS}{body}\n", transpiler_info=info) == {right}


VALUES = {
    'bit[3] r = "011"; d = r[1:2]; c = measure q;': "011" + "01" + "0000",
    'bit[3] r = "011"; r[1:2] = r[0:1]; c = measure q;': "111" + "00" + "0000",
    'bit[3] r = "011"; r[0:1] = r[1:2]; c = measure q;': "001" + "00" + "0000",
    "bit b = 1; bit e; x q[0]; c = measure q; e = b ^ c[0]; b &= !c[0]; d = c[0:1] << 1;": "00" + "10" + "0001",
    "d = 2; if (d < 3 && d > 1 && d >= 2 && !(d <= 1)) { x q[0]; } c = measure q;": "10" + "0001",
    "d[1] = 1; if (d[{1, 0}] < d) { x q[0]; } if (d == d) { x q[1]; } c = measure q;": "10" + "0011",
    "int[4] k = -3; if (k < -2) { x q[0]; } if (k > 2) { x q[1]; } if (k == -3) { x q[2]; } c = measure q;": "000101",
    "bool yes = true; yes = !yes; if (yes) { x q[0]; } c = measure q;": "000000",
    "x q[1]; c = measure q; if (uint[4](c) == 2) { x q[3]; } d[0] = measure q[3];": "010010",
    "x q[0]; c = measure q; if ((c[0] & ~c[1] | c[2]) ^ c[3]) { x q[3]; } d[0] = measure q[3];": "010001",
    "const uint n = 2; const float half = pi / 2; rx(n * half) q[n]; c[n - 2:n] = measure q[0:n];": "000100",
    "const int m = 2 ** 3 ** 1 % 5; x q[m]; c = measure q;": "001000",
    "h q[0]; d[0] = measure q[0]; if (d[0]) { d[1] = 1; } d[0] = d[0] ^ d[1]; d[1] = 0; reset q;"
    " c = measure q;": "000000",
    "x q[0]; measure q; measure q[1]; c = measure q;": "000001",
    "output bit e; x q[0]; e = measure q[0];": "1" + "00" + "0000",
}  # fmt: skip


@pytest.mark.parametrize("body", VALUES)
def test_values_are_what_was_assigned(body: str):
    """Initial values, assignments, comparisons, constants and logic of bits have the bits that follow from them."""
    assert outcomes(f"{HEAD3}{BITS}{body}\n") == {VALUES[body]}


def test_an_outcome_that_goes_nowhere_is_read_all_the_same():
    """A bare measurement ends a superposition."""
    assert outcomes(f"{HEAD3}qubit q;\nbit c;\nh q;\nmeasure q;\nh q;\nc = measure q;\n") == {"0", "1"}


def test_a_branch_that_only_assigns_is_left_out_when_it_should_be():
    """What is assigned in a branch or in its else follows the outcome, shot by shot."""
    body = "qubit q;\nbit c;\nbit d;\nbit e;\nh q;\nc = measure q;\nif (c) { d = 1; } else { e = 1; }\n"
    assert outcomes(HEAD3 + body) == {"011", "100"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "right"),
    [
        (
            "bit[64] a;\nbit[64] b;\nx q[0];\na[63] = measure q[0];\nif (b < a) { x q[1]; }\nb[0] = measure q[1];\n",
            {"0" * 63 + "11" + "0" * 63},
        ),
        ("bit c;\nfor int i in [0:1] { " + "if (c) { break; } x q[0]; " * 30 + "}\nc = measure q[0];\n", {"0"}),
    ],
    ids=["a wide comparison", "30 ways out"],
)  # fmt: skip
def test_long_and_deep_conditions_are_read_again_from_their_text(body: str, right: set[str]):
    """What is written out of a short program may be longer and deeper than any program may be."""
    assert outcomes(f"{HEAD3}qubit[2] q;\n{body}") == right


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (HEAD3 + BITS + "c = measure q[0];\n", "line 6, column 1: the two sides differ in size: 1 qubits and 4 bits"),
        (HEAD3 + BITS + "if (c[0]) { end; }\n", "line 6, column 13: 'end'"),
        (HEAD3 + BITS + "while (true) { x q; }\n", "line 6, column 1: a while loop never ends"),
        (HEAD3 + BITS + "int k = 3; rx(k) q[0];\n", "line 6, column 15: an angle is a constant"),
        (HEAD3 + BITS + "int k = 3; x q[k];\n", "an index is a constant whole number"),
        (HEAD3 + BITS + "c = 16;\n", "line 6, column 1: the number 16 does not fit"),
        (HEAD3 + BITS + 'c = "101";\n', "line 6, column 1: the two sides differ in size"),
        (HEAD3 + BITS + "float f = 0.3;\n", "variables of type 'float'"),
        (HEAD3 + BITS + "switch (d) { case 1 { } case 1 { } }\n", "the case 1 stands twice"),
        (HEAD3 + "qubit q;\nrx(arccos(0.5)) q;\n", "line 4, column 4: the function 'arccos'"),
        (HEAD3 + "x\u00a0q;\n", "line 3, column 2: the blank U+00A0"),
        (HEAD2 + "x\u3000q;\n", "line 3, column 2: the blank U+3000"),
        ('OPENQASM 2.0\ninclude "qelib1.inc";\nqreg q[1];\n', "line 1, column 13: a semicolon is missing"),
        ("OPENQASM 3.0;\npragma lab x\n" + HEAD3[14:] + "qubit q;\n", "line 2, column 1: pragmas"),
        (HEAD2 + "opaque kick a;\nqreg q[1];\nkick q[0];\n", "line 5, column 1: the gate 'kick' is opaque"),
    ],
)
def test_what_cannot_be_is_named(program: str, words: str):
    """What is not supported is named as OpenQASM does, where it stands, and nothing else is said to be wrong."""
    (found,) = faults(program)
    assert words in found


def test_marks_of_editors_and_opaque_gates_do_no_harm():
    """A byte order mark is no part of a program; a gate without a definition may stand there until it is called."""
    assert outcomes(f"\ufeff{HEAD3}qubit q;\nbit c;\nx q;\nc = measure q;\n") == {"1"}
    assert outcomes(f"\ufeff{HEAD2}opaque kick(a) s, t;\nqreg q[1];\ncreg c[1];\nx q[0];\nmeasure q -> c;\n") == {"1"}


def test_a_document_of_another_door_is_told_where_things_belong():
    """`job_info` is named, and not each of its neighbours."""
    with pytest.raises(JobRejected) as caught:
        load("qubits").validate({"job_info": {"program": [HEAD3]}, "name": "n", "shots": 10})
    assert [str(fault) for fault in caught.value.faults] == [
        "job_info: program and operator stand at the top of the document, beside shots, and not in job_info"
    ]
