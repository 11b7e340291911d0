"""What of OpenQASM 3 is not supported is named where it stands, and on the page about qubits."""

from pathlib import Path

import pytest

from tasks.backends.qubits.parsing import parse

HEAD = 'include "stdgates.inc";\nqubit[4] q;\nbit[4] c;\nuint[4] n = 2;\n'
PAGE = Path("docs/qubits.md").read_text("utf-8").partition("**Not supported:**")[2].partition("\n\n")[0]

PROGRAMS = [
    ("def", 1, "def flip(qubit a) { x a; }"),
    ("def", 1, "flip(q[0]);"),
    ("extern", 1, "extern parity(bit[4]) -> bit;"),
    ("defcal", 1, "defcal x $0 { }"),
    ("cal", 1, "cal { }"),
    ("defcalgrammar", 1, 'defcalgrammar "openpulse";'),
    ("box", 1, "box { x q[0]; }"),
    ("delay", 1, "delay[20ns] q[0];"),
    ("stretch", 1, "stretch gap;"),
    ("duration", 1, "duration gap = 20ns;"),
    ("duration", 22, "const duration gap = 20dt;"),
    ("duration", 1, "rx(pi)[20ns] q[0];"),
    ("durationof", 4, "rx(durationof({ x q[0]; })) q[0];"),
    ("input", 1, "input float turn;"),
    ("output", 1, "output float turn;"),
    ("array", 1, "array[int[8], 2] row;"),
    ("#dim", 30, "def f(readonly array[int[8], #dim=1] row) { }"),
    ("sizeof", 4, "rx(sizeof(q)) q[0];"),
    ("complex", 1, "complex[float[64]] z;"),
    ("im", 4, "rx(1im) q[0];"),
    ("angle", 1, "angle[4] turn;"),
    ("float", 1, "float turn = 0.5;"),
    ("variable", 5, "pow(n) @ x q[0];"),
    ("variable", 6, "ctrl(n) @ x q[0], q[1], q[2];"),
    ("constant", 4, "rx(n) q[0];"),
    ("constant", 3, "x q[n];"),
    ("+", 5, "n = n + 1;"),
    ("sin", 4, "rx(sin(1)) q[0];"),
    ("popcount", 5, "if (popcount(c) == 1) x q[0];"),
    ("float", 4, "rx(float(1)) q[0];"),
    ("loop", 1, "for bit b in c { if (b) x q[0]; }"),
    ("bit", 13, "if (c[0]) { bit d; }"),
    ("measure", 5, "if (measure q[0]) x q[1];"),
    ("end", 13, "if (c[0]) { end; }"),
    ("$0", 3, "x $0;"),
    ("annotation", 1, "@mine\nx q[0];"),
    ("pragma", 1, "pragma mine\nx q[0];"),
]


@pytest.mark.parametrize(("word", "column", "statement"), PROGRAMS, ids=[statement for *_, statement in PROGRAMS])
def test_what_is_not_supported_is_named_with_its_place(word: str, column: int, statement: str):
    """The line and the column are the statement's, or those of the part that is meant; no version has to be said."""
    read = parse(HEAD + statement, 12)
    assert read.circuit is None
    found = [mark for mark in read.marks if word in mark.message]
    assert [(mark.line, mark.column) for mark in found][:1] == [(5, column)], read.marks
    assert not any("look like OpenQASM" in mark.message for mark in read.marks)
    assert word in PAGE


@pytest.mark.parametrize("text", ["import qiskit\nqc = QuantumCircuit(2)", "H 0\nCNOT 0 1", '{"a": 1}'])
def test_another_language_is_not_taken_for_this_one(text: str):
    """Only there it is said that the opening is missing."""
    assert "does not look like OpenQASM" in parse(text, 12).marks[0].message
