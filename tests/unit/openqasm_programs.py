"""How the tests of the qubits write programs and run them."""

from typing import Any

import pytest
from qiskit.quantum_info import Operator

from models.errors import JobRejected
from tasks.backends.qubits.parsing import parse
from tasks.backends.registry import load
from tests.unit.openqasm_matrices import Matrix

HEAD2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
HEAD3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
ANGLES = (0.83, -1.27, 2.06, 0.41)
SKIPPED = {"transpiler_lib": None}


def outcome(program: str, **options: Any) -> str:
    """Return the one outcome of a program that has no chance in it."""
    backend = load("qubits")
    document = {"program": program, "shots": 3, "seed": 5, **options}
    (result,) = backend.execute(backend.compile(backend.validate(document), 1))
    (bits,) = result["data"]["counts"]
    return str(bits)


def faults(program: str) -> list[str]:
    """Return why a program is refused."""
    backend = load("qubits")
    with pytest.raises(JobRejected) as caught:
        backend.validate({"program": program, "shots": 3})
    return [str(fault) for fault in caught.value.faults]


def unitary(text: str) -> Matrix:
    """Return what a program without measurements does."""
    read = parse(text, 12)
    assert read.circuit is not None, (text, read.marks, read.too_costly)
    found: Matrix = Operator(read.circuit).data
    return found


def call(name: str, parameters: int, qubits: int) -> str:
    """Return a call of a gate on the first qubits."""
    angles = ", ".join(map(str, ANGLES[:parameters]))
    return f"{name}{f'({angles})' if parameters else ''} {', '.join(f'q[{place}]' for place in range(qubits))};\n"
