"""What Qiskit is told of a qubit backend."""

import json

import pytest
from qiskit import QuantumCircuit, transpile
from quledger_client.errors import NotFound
from quledger_client.qiskit.target import is_of_qubits, target_of
from quledger_client.views import errors_of

from models.job_language import coldatoms
from tasks.backends.qubits.backend import Qubits
from tasks.backends.qubits.description import GATES
from tasks.backends.qubits.device import DEFAULT, Device
from tasks.backends.registry import load
from tests.unit.qiskit_laboratory import laboratory

TRIANGLE = Qubits(
    "triangle",
    Device.read(
        json.dumps(
            {
                "device_id": "triangle",
                "n_qubits": 3,
                "couplings": [[0, 1], [1, 2]],
                "basis_gates": ["cx", "rz", "sx", "x"],
                "readout": [{"qubit": 1, "prob_meas1_prep0": 0.02, "prob_meas0_prep1": 0.08}],
                "gate_errors": [{"gate": "cx", "error": 0.01}, {"gate": "cx", "error": 0.03, "qubits": [1, 2]}],
            }
        )
    ),
    noisy=True,
)


def test_a_target_has_the_gates_with_their_errors():
    """A coupling goes both ways; an entry of its own goes before that of all places."""
    target = target_of(TRIANGLE.config.model_dump(mode="json"), TRIANGLE.calibration)
    assert target.num_qubits == 3
    assert set(target.qargs) == {(0,), (1,), (2,), (0, 1), (1, 0), (1, 2), (2, 1)}
    errors = {place: target["cx"][place].error for place in target["cx"]}
    assert errors == {(0, 1): 0.01, (1, 0): 0.01, (1, 2): 0.03, (2, 1): 0.03}
    assert target["rz"][0,].error is None
    assert target["measure"][1,].error == pytest.approx(0.05)
    assert target["measure"][0,] is None
    assert target["rz"].keys() == {(0,), (1,), (2,)}
    flow = {"if_else", "switch_case", "for_loop", "while_loop", "break_loop", "continue_loop", "reset", "measure"}
    assert set(target.operation_names) == flow | {"cx", "rz", "sx", "x"}


@pytest.mark.parametrize(
    "calibration",
    [
        None,
        7,
        {"readout": 1, "gate_errors": {"cx": 1}},
        {
            "readout": [1, {"qubit": "0"}, {"qubit": 0, "prob_meas1_prep0": 0.1, "prob_meas0_prep1": None}],
            "gate_errors": [{"gate": "cx", "error": "much"}, {"gate": "cx", "error": 0.1, "qubits": [[0], 1]}],
        },
    ],
)
def test_a_calibration_of_another_form_says_nothing_of_errors(calibration: object):
    """It may be any JSON."""
    target = target_of(TRIANGLE.config.model_dump(mode="json"), calibration)
    assert target["cx"][0, 1].error is None
    assert target["measure"][0,] is None
    assert not errors_of(calibration)


def test_a_device_may_have_any_gate_that_a_description_knows():
    """Qiskit has all of them under their names."""
    text = {"device_id": "all", "n_qubits": 2, "couplings": [[0, 1]], "basis_gates": sorted(GATES[1] | GATES[2])}
    backend = Qubits("all", Device.read(json.dumps(text)), noisy=False)
    target = target_of(backend.config.model_dump(mode="json"))
    assert GATES[1] | GATES[2] <= set(target.operation_names)
    assert {len(next(iter(target[name]))) for name in GATES[2]} == {2}


def test_a_withdrawn_calibration_says_no_errors():
    """The target leaves them open; exact values there are none all the same."""
    backend = laboratory(TRIANGLE).backend("triangle")
    backend.info.withdrawn = "the laser was off"
    assert backend.target["cx"][0, 1].error is None
    assert not backend.is_exact
    assert laboratory().backend("qubits").is_exact


def test_circuits_are_transpiled_to_it():
    """And stand on its qubits then."""
    backend = laboratory(TRIANGLE).backend("triangle")
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.ccx(0, 1, 2)
    placed = transpile(circuit, backend, optimization_level=1, seed_transpiler=1)
    assert set(placed.count_ops()) <= {"cx", "rz", "sx", "x"}
    pairs = {tuple(placed.find_bit(qubit).index for qubit in each.qubits) for each in placed.get_instructions("cx")}
    assert pairs <= {(0, 1), (1, 0), (1, 2), (2, 1)}


def test_backends_are_those_of_qubits():
    """Found by name, size and whatever a filter says."""
    provider = laboratory(TRIANGLE)
    assert [each.name for each in provider.backends()] == ["qubits", "noisyqubits", "triangle"]
    assert [each.name for each in provider.backends("qubits")] == ["qubits"]
    assert [each.name for each in provider.backends(min_num_qubits=4)] == ["qubits", "noisyqubits"]
    assert [each.name for each in provider.backends(filters=lambda each: each.num_qubits == 3)] == ["triangle"]
    assert provider.backends(simulator=False) == []
    assert provider.backend("qubits").num_qubits == DEFAULT.n_qubits
    for device in (coldatoms.singlequdit(), coldatoms.fermions(), coldatoms.rydberg()):
        assert not is_of_qubits(load(device.display_name).config.model_dump(mode="json"))


def test_a_backend_without_qubits_is_refused():
    """By its name."""
    provider = laboratory(load("rydberg"))  # type: ignore[arg-type]
    with pytest.raises(NotFound, match="no gates of qubits"):
        provider.backend("rydberg")
