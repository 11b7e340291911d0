"""Programs of every kind that the language has come through Qiskit with the distributions that they have."""

import math
from collections.abc import Mapping

import pytest
from qiskit import QuantumCircuit, qasm2, qasm3
from qiskit.quantum_info import SparsePauliOp
from quledger_client.qiskit import EstimatorV2, SamplerV2

from tests.unit.qiskit_laboratory import ideal

HEAD2, HEAD3 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n', 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
SHOTS = 2000
HALF, EIGHTH = math.sin(0.5) ** 2, math.sin(math.pi / 8) ** 2

PROGRAMS: dict[str, tuple[str, Mapping[str, float]]] = {
    "a Bell pair": (HEAD3 + "qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;", {"00": 0.5, "11": 0.5}),
    "twelve qubits": (
        HEAD3
        + f"qubit[12] q; bit[12] c; h q[0]; {' '.join(f'cx q[{k}], q[{k + 1}];' for k in range(11))} c = measure q;",
        {"0" * 12: 0.5, "1" * 12: 0.5},
    ),
    "read in another order": (
        HEAD3 + "qubit[3] q; bit[3] c; x q[0]; c[2] = measure q[0]; c[0] = measure q[1]; c[1] = measure q[2];",
        {"100": 1},
    ),
    "read in part": (HEAD3 + "qubit[3] q; bit[1] c; h q; c[0] = measure q[2];", {"0": 0.5, "1": 0.5}),
    "three registers": (
        HEAD3 + "qubit[3] q; bit[1] a; bit[3] b; bit[2] c; x q[0]; ry(1.0) q[1];\n"
        "a[0] = measure q[0]; b[1] = measure q[1]; c[1] = measure q[0];",
        {"100001": 1 - HALF, "100101": HALF},
    ),
    "broadcast, barriers": (
        HEAD3 + "qubit[4] q; bit[4] c; x q; barrier q; h q[0]; h q[0]; c = measure q;",
        {"1111": 1},
    ),
    "reset and used again": (
        HEAD3 + "qubit[2] q; bit[3] c; h q[0]; cx q[0], q[1]; c[0] = measure q[1]; reset q[0]; x q[0];\n"
        "c[1] = measure q[0]; c[2] = measure q[1];",
        {"010": 0.5, "111": 0.5},
    ),
    "branches on a register": (
        HEAD3 + "qubit[3] q; bit[2] c; bit[1] d; ry(1.0) q[0]; x q[1]; c[0] = measure q[0]; c[1] = measure q[1];\n"
        "if (c == 3) { x q[2]; } else { h q[2]; h q[2]; }\nd[0] = measure q[2];",
        {"010": 1 - HALF, "111": HALF},
    ),
    "until it succeeds": (
        HEAD3 + "qubit[2] q; bit[2] c; h q[0]; c[0] = measure q[0];\n"
        "while (!c[0]) { h q[0]; c[0] = measure q[0]; }\ncx q[0], q[1]; c[1] = measure q[1];",
        {"11": 1},
    ),
    "five turns": (
        HEAD3 + "qubit[1] q; bit[1] c; for int k in [0:4] { ry(0.2) q[0]; }\nc = measure q;",
        {"0": 1 - HALF, "1": HALF},
    ),
    "gates of its own": (
        HEAD3 + "gate half(a) t { ry(a / 2) t; }\ngate whole(a) s, t { half(a) s; half(a) s; cx s, t; }\n"
        "qubit[2] q; bit[2] c; whole(1.0) q[0], q[1]; c = measure q;",
        {"00": 1 - HALF, "11": HALF},
    ),
    "modifiers": (
        HEAD3 + "qubit[3] q; bit[3] c; x q[0]; ctrl @ x q[0], q[1]; negctrl @ x q[0], q[2];\n"
        "pow(2) @ s q[1]; inv @ t q[1]; h q[2]; inv @ s q[2]; s q[2]; h q[2]; c = measure q;",
        {"011": 1},
    ),
    "nothing included": (
        "OPENQASM 3.0;\nqubit[1] q; bit[1] c; U(pi / 4, 0, 0) q[0]; gphase(0.3); c = measure q;",
        {"0": 1 - EIGHTH, "1": EIGHTH},
    ),
    "teleported": (
        HEAD3
        + "qubit[3] q; bit[1] a; bit[1] b; bit[1] out; ry(1.0) q[0]; h q[1]; cx q[1], q[2]; cx q[0], q[1]; h q[0];\n"
        "a[0] = measure q[0]; b[0] = measure q[1]; if (b == 1) { x q[2]; }\nif (a == 1) { z q[2]; }\n"
        "out[0] = measure q[2];",
        {f"{out}{b}{a}": share / 4 for out, share in (("0", 1 - HALF), ("1", HALF)) for b in "01" for a in "01"},
    ),
    "a phase of 5 / 8": (
        HEAD3 + "qubit[4] q; bit[3] c; x q[3]; h q[0]; h q[1]; h q[2];\n"
        "cp(2 * pi * 5 / 8) q[0], q[3]; cp(4 * pi * 5 / 8) q[1], q[3]; cp(8 * pi * 5 / 8) q[2], q[3];\n"
        "h q[2]; cp(-pi / 2) q[1], q[2]; h q[1]; cp(-pi / 4) q[0], q[2]; cp(-pi / 2) q[0], q[1]; h q[0];\n"
        "c[0] = measure q[2]; c[1] = measure q[1]; c[2] = measure q[0];",
        {"101": 1},
    ),
    "one of three is up": (
        HEAD2
        + "qreg q[3]; creg c[3]; ry(1.9106332362490186) q[0]; ch q[0], q[1]; cx q[1], q[2]; cx q[0], q[1]; x q[0];\n"
        "measure q -> c;",
        {"001": 1 / 3, "010": 1 / 3, "100": 1 / 3},
    ),
    "version 2, a condition": (
        HEAD2 + "qreg q[2]; creg c[2]; creg d[1]; x q[1]; measure q -> c; if(c==2) x q[0]; measure q[0] -> d[0];",
        {"110": 1},
    ),
    "version 2, a gate of its own": (
        HEAD2
        + "gate turned(a) s,t { u3(a,0,0) s; cx s,t; }\nqreg q[2]; creg c[2]; turned(1.0) q[1],q[0]; measure q -> c;",
        {"00": 1 - HALF, "11": HALF},
    ),
}


def read(text: str) -> QuantumCircuit:
    """Return the circuit that Qiskit reads from a program."""
    return qasm2.loads(text) if text.startswith("OPENQASM 2") else qasm3.loads(text)


def close(counts: Mapping[str, int], exact: Mapping[str, float]) -> bool:
    """Say whether counts have a distribution: nothing else, and all of it within five standard deviations."""
    shots = sum(counts.values())
    return counts.keys() <= exact.keys() and all(
        abs(counts.get(outcome, 0) - shots * share) <= 5 * math.sqrt(shots * share * (1 - share)) + 1e-9
        for outcome, share in exact.items()
    )


def test_counts_have_the_distributions_of_the_programs():
    """Those of a run of circuits and of a sampler; registers are joined, the last one leftmost."""
    backend = ideal()
    circuits = [read(text) for text, _ in PROGRAMS.values()]
    ran = backend.run(circuits, shots=SHOTS, seed_simulator=11).result()
    sampled = SamplerV2(backend, {"seed": 12}).run(circuits, shots=SHOTS).result()
    for place, (name, (_, exact)) in enumerate(PROGRAMS.items()):
        assert sum(exact.values()) == pytest.approx(1), name
        counts = {outcome.replace(" ", ""): count for outcome, count in ran.get_counts(place).items()}
        assert close(counts, exact), (name, counts)
        joined = sampled[place].join_data().get_counts()
        assert close(joined, exact), (name, joined)


ESTIMATED: list[tuple[str, list[tuple[str, list[int], float]], float]] = [
    (PROGRAMS["a Bell pair"][0], [("XX", [0, 1], 1.5), ("YY", [0, 1], 0.5), ("ZZ", [0, 1], -2)], -1),
    (PROGRAMS["a Bell pair"][0], [("Z", [0], 1), ("", [], 0.25)], 0.25),
    (PROGRAMS["twelve qubits"][0], [("Z" * 12, list(range(12)), 1), ("ZZ", [0, 11], 1)], 2),
    (HEAD3 + "qubit[1] a; qubit[1] b; ry(1.0) a[0]; rx(1.0) b[0];", [("X", [0], 1), ("Y", [1], 1)], 0),
    (HEAD3 + "qubit[1] a; qubit[1] b; ry(1.0) a[0]; rx(1.0) b[0];", [("XY", [0, 1], 1)], -(math.sin(1) ** 2)),
    (HEAD2 + "qreg q[2]; u3(0.7,0.2,0) q[0]; cx q[0],q[1];", [("ZI", [0, 1], 1)], math.cos(0.7)),
]
"""Program, terms (Paulis, their qubits, coefficient), value."""


def test_expectation_values_are_those_of_the_programs():
    """Exactly, and within five standard errors; measurements at the end are left out."""
    pubs = []
    for text, terms, _ in ESTIMATED:
        circuit = read(text)
        pubs.append((circuit, SparsePauliOp.from_sparse_list(terms, circuit.num_qubits)))
    estimator = EstimatorV2(ideal(), {"seed": 13})
    exact, found = (estimator.run(pubs, precision=precision).result() for precision in (0, 0.02))
    for place, (_, _, value) in enumerate(ESTIMATED):
        assert exact[place].data.evs == pytest.approx(value, abs=1e-9), place
        assert found[place].data.evs == pytest.approx(value, abs=5 * float(found[place].data.stds) + 1e-9), place
