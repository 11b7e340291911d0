"""What the gates of the libraries do, by the specifications, under every modifier."""

import json

import numpy as np
import pytest

from tasks.backends.qubits.backend import Qubits
from tasks.backends.qubits.device import DEFAULT
from tasks.backends.registry import load
from tests.unit.openqasm_matrices import MODIFIERS, QELIB1, STANDARD, Matrix, X, builtin_u, control, on, p, phased, same
from tests.unit.openqasm_programs import ANGLES, HEAD2, HEAD3, call, unitary


@pytest.mark.parametrize("name", STANDARD)
def test_standard_gates_are_those_of_the_specification(name: str):
    """Each gate of `stdgates.inc`, and U, has the specification's matrix under each modifier, its phase included."""
    parameters, build = STANDARD[name]
    right = build(*ANGLES[:parameters])
    wrong = []
    for words, modify in MODIFIERS.items():
        expected = modify(right)
        size = len(expected).bit_length() - 1
        if not same(expected, unitary(f"{HEAD3}qubit[{size}] q;\n{words}{call(name, parameters, size)}")):
            wrong.append(words)
    assert wrong == []


@pytest.mark.parametrize("name", QELIB1)
def test_qelib1_is_that_of_the_paper(name: str):
    """Each gate of `qelib1.inc` is what its definition in OpenQASM 2.0 makes of U and CX."""
    parameters, build = QELIB1[name]
    expected = build(*ANGLES[:parameters])
    size = len(expected).bit_length() - 1
    assert same(expected, unitary(f"{HEAD2}qreg q[{size}];\n{call(name, parameters, size)}"))


def test_phases_count_where_a_gate_is_controlled():
    """The phase of U, of gphase and of a gate within a gate turns the control, however deep it stands."""
    text = (
        HEAD3
        + "gate flip t { U(pi, 0, pi) t; gphase(-pi/2); }\ngate tilt(b, a) t { U(a, b, 0.3) t; flip t; gphase(b); }\n"
        "gate twice(z, y) s, t { ctrl @ tilt(z, y) s, t; tilt(y, z) s; gphase(y/3); }\n"
        "qubit[3] q;\nctrl @ twice(0.7, 1.9) q[2], q[0], q[1];\nnegctrl @ gphase(0.4) q[1];\n"
    )
    flip = phased(-np.pi / 2, builtin_u(np.pi, 0, np.pi))

    def tilt(b: float, a: float) -> Matrix:
        return phased(b, flip @ builtin_u(a, b, 0.3))

    twice = phased(1.9 / 3, on(2, [(control(tilt(0.7, 1.9)), (0, 1)), (tilt(1.9, 0.7), (0,))]))
    less = X @ p(0.4) @ X
    assert same(on(3, [(control(twice), (2, 0, 1)), (less, (1,))]), unitary(text))


@pytest.mark.parametrize(
    ("body", "pauli"), [("", "Z 0"), ("x q[0]; x q[0];", "Z 1"), ("h q[0]; cx q[0], q[1];", "Z 2")]
)
def test_an_estimation_of_a_qubit_that_nothing_happens_to(body: str, pauli: str):
    """Also where another process reads the compiled program: its text does not name that qubit."""
    operator = [{"pauli": pauli, "coeff": 1.0}]
    document = {"program": f"{HEAD3}qubit[3] q; {body}", "shots": 10, "job_type": "estimation", "operator": operator}
    program = load("qubits").compile(load("qubits").validate(document), 1)
    (found,) = Qubits("qubits", DEFAULT, noisy=False).execute(json.loads(json.dumps(program)))
    assert found["data"]["exp_value"] == 1.0
