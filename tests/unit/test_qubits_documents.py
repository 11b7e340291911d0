"""The rules around the programs of a job for qubits."""

import base64
from typing import Any

import pytest

from deployments.cli.documents import job_document
from models.documents import parse_document
from models.errors import InputError, JobRejected
from models.job_language.qubits import QubitExperiment, read_document
from models.requests import JobRequest
from tasks.backends.qubits.costs import QUBIT_LIMITS, Load, check

BELL = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;'


def read(document: Any) -> tuple[QubitExperiment, ...]:
    """Read a document for the usual device."""
    return read_document(document, num_qubits=12, max_shots=10**7)


def faults(document: Any) -> dict[str | None, str]:
    """Return the message of each field that is refused."""
    with pytest.raises(JobRejected) as caught:
        read(document)
    return {fault.field: fault.message for fault in caught.value.faults}


def test_both_forms_mean_the_same():
    """A document of experiments and one in OQTOPUS' form give the same experiment."""
    own = {"name": "a", "job_type": "sampling", "program": [BELL], "operator": None, "shots": 5}
    own |= {"simulator_info": {"seed_simulation": 7}, "transpiler_info": {}, "mitigation_info": {}}
    assert read(own) == read({"experiment_0": {"program": BELL, "shots": 5, "seed": 7}})


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        ({"skip_transpilation": True}, "skip_transpilation", True),
        ({"transpiler_info": {"transpiler_lib": None}}, "skip_transpilation", True),
        ({"seed_transpilation": 3}, "seed_transpilation", 3),
        ({"transpiler_info": {"transpiler_options": {"seed_transpiler": 3}}}, "seed_transpilation", 3),
        ({"simulator_info": {"seed_simulation": 4}}, "seed_simulation", 4),
        ({"method": "state_vector"}, "method", "state_vector"),
        ({"qubit_allocation": {"1": 4, "0": 5}}, "initial_layout", (5, 4)),
        ({"transpiler_info": {"transpiler_options": {"initial_layout": [5, 4]}}}, "initial_layout", (5, 4)),
        ({"ro_error_mitigation": "least_square"}, "mitigation", "least_square"),
        ({"mitigation_info": {"ro_error_mitigation": "pseudo_inverse"}}, "mitigation", "pseudo_inverse"),
        ({"n_nodes": 1, "n_per_node": 1}, "n_qubits", None),
        ({"memory": False}, "memory", False),
    ],
)
def test_each_option_is_understood_by_all_its_names(options: dict[str, Any], field: str, value: Any):
    """An option means the same in its group, in the experiment itself and by its other name."""
    (experiment,) = read({"program": BELL, "shots": 5, **options})
    assert getattr(experiment, field) == value


def test_all_faults_are_named_at_once():
    """Each field that is wrong is named, in both groups and beside them."""
    found = faults(
        {
            "program": [BELL, BELL],
            "shots": float("nan"),
            "simulator_info": {"n_nodes": 2, "n_per_node": 8, "gpu": True},
            "mitigation_info": {"ro_error_mitigation": "magic"},
            "transpiler_info": {"transpiler_options": {"initial_layout": [0, 0, 77], "callback": "os.system"}},
        }
    )
    assert set(found) == {
        "program",
        "shots",
        "simulator_info.n_nodes",
        "simulator_info.n_per_node",
        "simulator_info.gpu",
        "mitigation_info.ro_error_mitigation",
        "transpiler_info.transpiler_options.initial_layout[1]",
        "transpiler_info.transpiler_options.initial_layout[2]",
        "transpiler_info.transpiler_options.callback",
    }
    assert "one machine" in found["simulator_info.n_nodes"]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (None, None),
        ({}, None),
        ({"x": {"program": BELL, "shots": 1}}, None),
        ({"experiment_0": 5}, None),
        ({"program": None, "shots": 1}, "program"),
        ({"experiment_0": {"shots": 1}}, "program"),
        ({"program": [], "shots": 1}, "program"),
        ({"program": [3], "shots": 1}, "program[0]"),
        ({"program": BELL}, "shots"),
        ({"program": BELL, "shots": 10**7 + 1}, "shots"),
        ({"program": BELL, "shots": True}, "shots"),
        ({"program": BELL, "shots": 1, "job_type": "annealing"}, "job_type"),
        ({"program": BELL, "shots": 1, "job_type": "estimation"}, "operator"),
        ({"program": BELL, "shots": 1, "operator": [{"pauli": "X 0", "coeff": 1}]}, "operator"),
        ({"program": BELL, "shots": 1, "seed": 1, "seed_simulation": 2}, "seed_simulation"),
        ({"program_base64": [base64.b64encode(BELL.encode("utf-16")).decode()], "shots": 1}, "program_base64[0]"),
        ({"program_base64": ["!"], "shots": 1}, "program_base64[0]"),
    ],
)
def test_what_is_wrong_is_named(document: Any, field: str | None):
    """A document that is wrong in one place is refused with that place."""
    assert list(faults(document)) == [field]


def test_a_qubit_job_that_is_too_dear_has_no_atoms():
    """The contract's words for what is too dear speak of atoms: they are for the simulators of atoms."""
    load = Load(name="experiment_0", qubits=60, operations=0, shots=1, runs=1, each_shot=False, characters=0)
    with pytest.raises(JobRejected, match="60 qubits") as caught:
        check(QUBIT_LIMITS, [load])
    assert [fault.code for fault in caught.value.faults] == ["schema"]


def test_a_qasm_file_becomes_a_job():
    """A program in a file, and one in the form of Prefect, are the same document as one written by hand."""
    document = {"experiment_0": {"program": BELL, "shots": 9, "seed": 3}}
    assert parse_document(job_document(BELL.encode(), is_qasm=False, shots=9, seed=3)) == document
    form = JobRequest(backend="qubits", program=BELL, shots=9, seed=3)
    assert parse_document(form.job_document()) == document


def test_a_document_says_its_own_shots():
    """Shots and seed on the command line are refused beside a JSON document."""
    with pytest.raises(InputError, match="OpenQASM"):
        job_document(b"{}", is_qasm=False, shots=5, seed=None)
