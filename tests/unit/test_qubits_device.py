import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import BadSetting
from tasks.backends.qubits.device import DEFAULT, Device, depolarizing_parameter, noise_model, readout

SMALL = {
    "device_id": "small",
    "n_qubits": 3,
    "couplings": [[0, 1], [2, 1], [1, 2]],
    "basis_gates": ["cx", "rz", "sx", "x"],
    "readout": [{"qubit": 1, "prob_meas1_prep0": 0.1, "prob_meas0_prep1": 0.3}],
    "gate_errors": [
        {"gate": "sx", "error": 0.01},
        {"gate": "sx", "error": 0.05, "qubits": [2]},
        {"gate": "cx", "error": 0.02, "qubits": [2, 1]},
    ],
}


def described(**changes: Any) -> str:
    """Return the description of the small device with some fields changed."""
    return json.dumps(SMALL | changes)


def complaint(text: str | bytes) -> str:
    """Return what is said of a description that cannot be used."""
    with pytest.raises(BadSetting) as caught:
        Device.read(text)
    return str(caught.value)


def test_default_is_a_line_of_twelve():
    """The device that is built in is a row of twelve qubits with readout errors."""
    assert DEFAULT.couplings == tuple((low, low + 1) for low in range(11))
    assert len(DEFAULT.readout) == 12
    assert DEFAULT.noisy
    assert readout(DEFAULT)[4] == pytest.approx(np.array([[0.985, 0.11], [0.015, 0.89]]))


def test_readout_matrices_are_indexed_measured_then_prepared():
    """Each column of a readout matrix is the distribution for one prepared value; unnamed qubits read perfectly."""
    matrices = readout(Device.read(described()))
    assert matrices.shape == (3, 2, 2)
    assert matrices.sum(axis=1) == pytest.approx(np.ones((3, 2)))
    assert matrices[1] == pytest.approx(np.array([[0.9, 0.3], [0.1, 0.7]]))
    assert matrices[0] == pytest.approx(np.eye(2))


def test_couplings_have_no_direction():
    """A pair that is named both ways round is one coupling, the lower qubit first."""
    assert Device.read(described()).couplings == ((0, 1), (1, 2))


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("line 0-1-...-4", ((0, 1), (1, 2), (2, 3), (3, 4))),
        ("line 0-2-4", ((0, 2), (2, 4))),
        ("line 0-...-2-4", ((0, 1), (1, 2), (2, 4))),
        ("line 3", ()),
    ],
)
def test_couplings_of_a_line(text: str, pairs: tuple[tuple[int, int], ...]):
    """A line of qubits may be written as a text."""
    assert Device.read(described(n_qubits=5, couplings=text, gate_errors=[])).couplings == pairs


@pytest.mark.parametrize(
    "text", ["ring", "line", "line 0-...", "line ...-3", "line 3-...-1", "line 0-...-...-3", "line 0-...-999999"]
)
def test_couplings_that_are_no_line(text: str):
    """A text that is no line is refused with an example of one."""
    assert "couplings" in complaint(described(couplings=text))


def test_all_faults_at_once():
    """Every fault of a description is named with its field, in one error."""
    said = complaint(
        described(
            device_id="a/b",
            couplings=[[0, 1], [0, 1], [1, 1], [0, 3], [1], 5, [True, 0]],
            basis_gates=["cx", "warp", "cx"],
            instructions=["teleport"],
            max_shots=10**400,
            readout=[
                {"qubit": 0, "prob_meas1_prep0": float("nan"), "prob_meas0_prep1": 1.5},
                {"qubit": 0, "prob_meas1_prep0": 0, "prob_meas0_prep1": -0.1},
                {"qubit": 7, "prob_meas1_prep0": 0, "prob_meas0_prep1": 0},
                "bad",
            ],
            gate_errors=[{"gate": "cx", "error": 0.9, "qubits": [0, 2]}, {"gate": "sx", "error": 0}],
            readuot=[],
        )
    )
    for field in (
        "device_id: got 'a/b'",
        "couplings[1]: the qubits 0 and 1 are coupled twice",
        "couplings[2]: qubit 1 is coupled with itself",
        "couplings[3][1]: got 3",
        "couplings[4]",
        "couplings[5]: is a number",
        "couplings[6][0]: got true",
        "basis_gates[1]: got 'warp'",
        "basis_gates[2]: cx is named twice",
        "instructions[0]: got 'teleport'",
        "max_shots: got a number of 1329 bits",
        "readout[0].prob_meas1_prep0: got nan",
        "readout[0].prob_meas0_prep1: got 1.5",
        "readout[1].prob_meas0_prep1: got -0.1",
        "readout[1].qubit: qubit 0 has two entries",
        "readout[2].qubit: got 7",
        "readout[3]: is a text",
        "gate_errors[0].error: got 0.9; it must be a number from 0 to 0.8",
        "gate_errors[0].qubits: the qubits 0 and 2 are not coupled",
        "gate_errors[1].gate: got 'sx'",
        "readuot: is no field of a device; is readout meant?",
    ):
        assert field in said


def test_what_is_said_twice_is_a_fault():
    """Of two values one would be lost; a byte order mark is no part of the text."""
    text = DEFAULT.model_dump_json()
    assert "device_id: stands twice (line 1" in complaint(text.replace("{", '{"device_id": "other", ', 1))
    assert Device.read(b"\xef\xbb\xbf" + text.encode()) == DEFAULT


@pytest.mark.parametrize("text", ["", "[]", "null", "NaN", "{", "[" * 100_000, "1" * 5000, b"\xff\xfe", "{}"])
def test_what_is_no_description(text: str | bytes):
    """What is no JSON object, or an empty one, is refused in words."""
    assert "Traceback" not in complaint(text)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["qubit", "gate", "error", "qubits", "x"]), inner)
        ),
        max_leaves=6,
    ),
    st.sampled_from(sorted(Device.model_fields)),
)
def test_any_value_in_any_field_is_taken_or_refused(value: Any, field: str):
    """Whatever JSON value a field holds, the description is either a device or refused in words."""
    try:
        device = Device.read(described(**{field: value}))
    except BadSetting as error:
        said = str(error)
        assert said.startswith("the device description cannot be used: ")
        assert "Traceback" not in said
    else:
        assert readout(device).shape == (device.n_qubits, 2, 2)


def test_noise_model_has_the_stated_infidelities():
    """Each gate of the noise model has the average infidelity of the description, its own entry before the general."""
    from qiskit.quantum_info import average_gate_fidelity  # noqa: PLC0415 (takes seconds)

    device = Device.read(described())
    found = {}
    for entry in noise_model(device).to_dict()["errors"]:
        if entry["type"] == "qerror":
            for qubits in entry["gate_qubits"]:
                found[entry["operations"][0], tuple(qubits)] = True
    assert set(found) == {("sx", (0,)), ("sx", (1,)), ("sx", (2,)), ("cx", (1, 2)), ("cx", (2, 1))}
    errors = noise_model(device)._local_quantum_errors
    assert 1 - average_gate_fidelity(errors["sx"][(0,)]) == pytest.approx(0.01)
    assert 1 - average_gate_fidelity(errors["sx"][(2,)]) == pytest.approx(0.05)
    assert 1 - average_gate_fidelity(errors["cx"][(2, 1)]) == pytest.approx(0.02)


def test_noise_model_misreads_as_the_matrices_say():
    """A simulator with the noise model reads 0 and 1 wrong as often as the readout matrices say."""
    from qiskit import QuantumCircuit  # noqa: PLC0415 (takes seconds)
    from qiskit_aer import AerSimulator  # noqa: PLC0415 (takes seconds)

    device = Device.read(described(gate_errors=[]))
    circuit = QuantumCircuit(3, 2)
    circuit.x(1)
    circuit.measure([0, 1], [0, 1])
    counts = (
        AerSimulator(noise_model=noise_model(device))
        .run(circuit, shots=100_000, seed_simulator=1)
        .result()
        .get_counts()
    )
    assert set(counts) == {"10", "00"}
    assert counts["00"] / 100_000 == pytest.approx(0.3, abs=0.006)


@pytest.mark.parametrize(("qubits", "most"), [(1, 2 / 3), (2, 4 / 5)])
def test_the_largest_infidelity_is_still_a_channel(qubits: int, most: float):
    """The largest error that a description may state is the largest depolarizing parameter there is."""
    assert depolarizing_parameter(most, qubits) == pytest.approx(4**qubits / (4**qubits - 1))
