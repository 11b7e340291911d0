"""Imported by the fork server of the qubit backends: does once what else each job would do the first time.

Parsers and transpiler load parts of themselves when they are first used. Nothing here may start a thread, for threads
do not live on in a forked child: Aer is imported, but not run, and the transpiler's two higher levels are left out.
"""

from qiskit import qasm3

from models.job_language.qubits import QubitExperiment
from tasks.backends.qubits.compiling import Checked, compile_experiment
from tasks.backends.qubits.device import DEFAULT
from tasks.backends.qubits.parsing import parse

_VERSION_2 = (
    'OPENQASM 2.0; include "qelib1.inc"; qreg q[3]; creg c[1]; ccx q[0], q[1], q[2]; u3(1, 2, 3) q[0];'
    " measure q[0] -> c[0];"
)
_VERSION_3 = (
    'OPENQASM 3.0; include "stdgates.inc"; gate g(a) p { rx(a) p; } qubit[3] q; bit[1] c; inv @ g(0.5) q[0];'
    " ctrl @ cx q[0], q[2], q[1]; c[0] = measure q[0]; if (c[0]) { reset q[1]; } for int i in [0:1] { h q[i]; }"
)


def warm_up() -> None:
    """Compile one program of each language."""
    for text in (_VERSION_2, _VERSION_3):
        circuit = parse(text, DEFAULT.n_qubits).circuit
        if circuit is None:
            continue
        for level in range(2):
            experiment = QubitExperiment(name="experiment_0", programs=(text,), shots=1, optimization_level=level)
            compiled = compile_experiment(Checked(experiment, (circuit,), (), ((),)), DEFAULT, 0, 0)
            qasm3.dumps(compiled.circuit)


warm_up()
