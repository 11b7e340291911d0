"""The published schemas of job documents: what a device accepts fits, and what is plainly wrong does not."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from models.errors import JobRejected
from models.job_language.devices import InstructionSpec
from models.job_language.document_schema import document_schema
from models.job_language.instructions import validate_document
from models.job_language.qubit_schema import qubit_schema
from models.job_language.qubits import read_document
from tasks.backends import registry
from tests.unit.coldatoms_documents import DEVICES, MEASURE, document

SCHEMAS = {name: Draft202012Validator(document_schema(device)) for name, device in DEVICES.items()}
QUBITS = Draft202012Validator(qubit_schema("qubits", num_qubits=12, max_shots=10_000_000))
ALL = [*SCHEMAS.values(), QUBITS]
BELL = "OPENQASM 2.0; qreg q[2];"


@pytest.mark.parametrize("schema", ALL)
def test_it_is_a_schema(schema: Draft202012Validator) -> None:
    """Its dialect says so."""
    Draft202012Validator.check_schema(schema.schema)


def spelled(number: float) -> st.SearchStrategy[Any]:
    """Return the ways to write a number that are all read as that number."""
    ways = [number, float(number), str(number), f" {number}\n", f"+{number}" if number >= 0 else str(number)]
    if number in (0, 1):
        ways.append(bool(number))
    return st.sampled_from(ways)


@st.composite
def an_instruction(draw: st.DrawFn, spec: InstructionSpec) -> list[Any]:
    """Return an instruction that the device takes, or one that is wrong by a little."""
    fewest, most = spec.wires
    wires = st.lists(st.integers(-1, spec.highest_wire + 1), min_size=fewest, max_size=most)
    if spec.couplings:
        wires = wires | st.sampled_from(sorted(map(list, spec.couplings)))
    number = st.sampled_from([spec.low, spec.high]) | st.floats(spec.low - 1, spec.high * 1.1)
    if spec.whole:
        number = number | st.integers(int(spec.low), int(spec.high))
    parameters = [draw(spelled(draw(number))) for _ in spec.parameters]
    return [
        spec.name,
        [draw(spelled(wire)) for wire in draw(wires)],
        parameters,
        *draw(st.lists(st.none(), max_size=1)),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", DEVICES)
@settings(max_examples=100)
@given(data=st.data())
def test_what_is_accepted_fits(name: str, data: st.DataObject) -> None:
    """However its numbers are written, and whatever is said beside."""
    device, draw = DEVICES[name], data.draw
    items = [draw(an_instruction(draw(st.sampled_from(device.instructions)))) for _ in range(draw(st.integers(1, 3)))]
    wires = device.num_wires if device.fixed_wires else draw(spelled(draw(st.integers(1, device.num_wires))))
    fields = {
        "num_wires": wires,
        "shots": draw(spelled(draw(st.sampled_from([1, 50, device.max_shots])))),
        **draw(st.fixed_dictionaries({}, optional={"seed": st.none() | spelled(3), "note": st.integers()})),
        **draw(st.fixed_dictionaries({}, optional={"wire_order": st.sampled_from(["interleaved", "sequential"])})),
    }
    job = document(*items, MEASURE, **fields)
    try:
        validate_document(device, job)
    except JobRejected:
        return
    SCHEMAS[name].validate(job)


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize(
    "changes",
    [
        {"shots": 0},
        {"shots": 1_000_001},
        {"shots": None},
        {"shots": "many"},
        {"num_wires": 0},
        {"num_wires": 99},
        {"seed": -1},
        {"seed": 2**32},
        {"wire_order": "linear"},
        {"instructions": []},
        {"instructions": [["unknown", [0], []], MEASURE]},
        {"instructions": [["measure", [0]]]},
        {"instructions": [["measure", [99], []]]},
        {"instructions": [["measure", [0], [1]]]},
        {"instructions": ["measure"]},
    ],
)
def test_what_is_plainly_wrong_does_not_fit(name: str, changes: dict[str, Any]) -> None:
    """Each is refused by the check of the device too."""
    wires = 1 if name == "singlequdit" else 2
    assert SCHEMAS[name].is_valid(document(MEASURE, num_wires=wires))
    wrong = document(MEASURE, **{"num_wires": wires} | changes)
    assert not SCHEMAS[name].is_valid(wrong)
    with pytest.raises(JobRejected):
        validate_document(DEVICES[name], wrong)


@pytest.mark.parametrize(
    ("name", "items"),
    [
        ("singlequdit", [["load", [0], [501]], MEASURE]),
        ("singlequdit", [["rlx", [0], [7]], MEASURE]),
        ("singlequdit", [["rlx", [0], [1]]]),
        ("multiqudit", [["rlxly", [0, 2], [1]]]),
        ("fermions", [["fhop", [0, 1, 2], [1]]]),
        ("rydberg", [["load", [0], [1]]]),
    ],
)
def test_each_device_has_its_own_limits(name: str, items: list[Any]) -> None:
    """Atoms, angles, couplings, gates; and one that needs a measure says so."""
    job = document(*items)
    assert not SCHEMAS[name].is_valid(job)
    with pytest.raises(JobRejected):
        validate_document(DEVICES[name], job)


TERMS = [{"pauli": "X 0", "coeff": 1}]


def is_accepted(job: Any) -> bool:
    """Return whether a job is one for the qubit device, whatever its programs say."""
    try:
        read_document(job, num_qubits=12, max_shots=10_000_000)
    except JobRejected:
        return False
    return True


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"shots": "5", "seed": None, "memory": None, "job_type": None, "operator": []},
        {"program": [BELL], "note": 1},
        {"program": [BELL, BELL], "job_type": "multi_manual", "program_base64": 7},
        {"job_type": "estimation", "operator": TERMS, "method": "state_vector", "qubit_allocation": {"0": 3, "1": 2}},
        {"simulator_info": {"n_qubits": "12", "n_nodes": 1, "n_per_node": None, "seed_simulation": 2}},
        {"transpiler_info": {"transpiler_lib": None, "transpiler_options": {"optimization_level": 3}}},
        {"mitigation_info": {"ro_error_mitigation": "least_square"}, "simulator_info": None, "initial_layout": [11]},
    ],
)
def test_what_a_qubit_device_accepts_fits(changes: dict[str, Any]) -> None:
    """As an experiment among others, and alone."""
    experiment = {"program": BELL, "shots": 9} | changes
    for job in (experiment, {"experiment_0": experiment, "experiment_7": experiment}):
        assert is_accepted(job)
        QUBITS.validate(job)


@pytest.mark.parametrize(
    "changes",
    [
        {"shots": 0},
        {"shots": 10_000_001},
        {"program": []},
        {"program": [3]},
        {"program": [BELL] * 33, "job_type": "multi_manual"},
        {"job_type": "annealing"},
        {"job_type": "estimation"},
        {"operator": TERMS},
        {"seed": -1},
        {"n_qubits": 13},
        {"n_nodes": 2},
        {"qubit_allocation": [12]},
        {"transpiler_options": {"initial_layout": [1, 1]}},
        {"memory": 1},
        {"transpiler_lib": "tket"},
        {"transpiler_info": {"unknown": 1}},
        {"transpiler_options": {"optimization_level": 4}},
    ],
)
def test_what_no_qubit_device_takes_does_not_fit(changes: dict[str, Any]) -> None:
    """As an experiment among others, and alone."""
    wrong = {"program": BELL, "shots": 9} | changes
    for job in (wrong, {"experiment_0": wrong}, {"shots": 9}, {"experiment_x": wrong}, {}, [], "text"):
        assert not is_accepted(job)
        assert not QUBITS.is_valid(job)


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_the_published_devices_are_these(name: str) -> None:
    """What a backend publishes is of the device that it checks documents with."""
    assert registry.document_schema(name) == SCHEMAS[name].schema
