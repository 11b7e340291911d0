"""What PennyLane asks of a laboratory: the examples of its page, and a gradient; prints what came back as JSON."""

import contextlib
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import pennylane as qml
from pennylane.exceptions import DeviceError
from quledger_client import Refused
from quledger_client.pennylane import QubitDevice

ROOT = Path(__file__).parents[3]

names: dict[str, Any] = {}
text = (ROOT / "docs" / "pennylane.md").read_text("utf-8")
with contextlib.redirect_stdout(sys.stderr):
    for example in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        exec(compile(example, "docs/pennylane.md", "exec"), names)

correlation, variance, counts, probabilities = names["correlated"](0.4)


@qml.set_shots(2000)
@qml.qnode(names["device"])
def turned(angle: Any) -> Any:
    """Return cos(angle)."""
    qml.RX(angle, wires=0)
    return qml.expval(qml.Z(0))


gradient = qml.grad(turned)(qml.numpy.array(1.0, requires_grad=True))
documents = [job.document() for job in names["client"].jobs(label="sample=A7")]
found = {
    "correlation": float(correlation),
    "variance": float(variance),
    "counts": {str(outcome): int(count) for outcome, count in counts.items()},
    "probabilities": [float(each) for each in probabilities],
    "gradient": float(gradient),
    "jobs": [
        len(each) for each in documents if each["experiment_0"].get("quledger_run", {}).get("kind") == "pennylane"
    ],
}


@qml.qnode(names["device"])
def exactly(angle: Any) -> Any:
    """Return values without shots: of a sum, of a matrix, of outcomes, and of a measurement on the way."""
    qml.RX(angle, wires=0)
    qml.CNOT(wires=[0, 1])
    matrix = qml.Hermitian(qml.numpy.array([[1, 1j], [-1j, 0]]), wires=1)
    return (
        qml.expval(qml.Z(0) + 2 * qml.Z(0) @ qml.Z(1)),
        qml.var(qml.Z(1)),
        qml.expval(matrix),
        qml.probs(wires=[1, 0]),
    )


found["exact"] = [each.tolist() for each in exactly(0.4)]
found["exact_gradient"] = float(qml.grad(lambda angle: exactly(angle)[0])(qml.numpy.array(1.0, requires_grad=True)))
try:
    qml.QNode(exactly.func, QubitDevice(wires=2, backend="noisyqubits", client=names["client"]))(0.4)
except DeviceError as error:
    found["inexact"] = str(error)


@qml.set_shots(100)
@qml.qnode(names["device"])
def whole() -> Any:
    """Return what is measured of a sum, of a power and of an identity, where there is but one outcome."""
    qml.X(0)
    total = qml.Z(0) + 2 * qml.Z(1)
    return qml.var(total), qml.sample(total), qml.expval(total**2), qml.var(qml.Identity(0))


@qml.qnode(names["device"])
def on_the_way() -> Any:
    """Return outcomes of both wires of the device, the first of which was read and reset."""
    qml.X(0)
    first = qml.measure(0, reset=True)
    qml.cond(first, qml.X)(1)
    return qml.expval(first), qml.probs(wires=[0, 1])


found["whole"] = [each.tolist() for each in whole()]
found["on_the_way"] = [
    [each.tolist() for each in circuit()] for circuit in (on_the_way, qml.set_shots(on_the_way, 100))
]
(spin, both, levels), sites = names["exchanged"](math.pi / 2), names["hopped"](math.pi / 2)
found |= {"spins": [float(spin), float(both), sorted(levels)], "fermions": [float(each) for each in sites]}


@qml.set_shots(10)
@qml.qnode(names["spins"])
def wrong() -> Any:
    """Return what cannot be measured of a gate that is not there, and of one that does not fit."""
    qml.RX(1.0, wires=0)
    names["RLx"](-1.0, wires=0)
    return qml.expval(qml.Z(0))


try:
    wrong()
except Refused as error:
    found["refused"] = sorted(each.field for each in error.faults)


@qml.qnode(names["device"])
def odd(angle: Any, coefficient: float = 1.0) -> Any:
    """Return a value of a turn by two angles."""
    qml.Rot(angle, 0.0, angle, wires=0)
    return qml.expval(coefficient * qml.Z(0))


found["odd"] = []
for arguments in ((math.nan,), (-math.inf,), (1j,), (qml.numpy.array([0.1, math.inf]),), (0.1, math.nan)):
    for circuit in (odd, qml.set_shots(odd, 10)):
        try:
            circuit(*arguments)
        except Refused as error:
            found["odd"].append(str(error.faults[0]))


@qml.qnode(QubitDevice(client=names["client"]))
def backwards() -> Any:
    """Return outcomes of a device without wires, of which the last is named first."""
    qml.X(1)
    qml.Identity(0)
    qml.H(0)
    qml.H(0)
    return qml.probs()


found["backwards"] = [backwards().tolist(), qml.set_shots(backwards, 10)().tolist()]
names["client"].close()
print(json.dumps(found))
