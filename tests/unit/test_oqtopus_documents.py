"""OQTOPUS: an upload and a body are one document that a qubit device takes as it is, and come back as they were."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from deployments.api.dialects.oqtopus_documents import BadInput, Sent, SubmitBody, check_input, document_of
from models.errors import JobRejected
from models.job_language.qubits import read_document

PROGRAM = 'OPENQASM 3; include "stdgates.inc"; qubit[1] q; bit[1] c; h q[0]; c = measure q;'


def body(**changes: Any) -> SubmitBody:
    """Return the body of a submission."""
    return SubmitBody.model_validate({"device_id": "qubits", "job_type": "sampling", "shots": 100} | changes)


def uploaded(**changes: Any) -> bytes:
    """Return what was uploaded."""
    return json.dumps({"program": [PROGRAM]} | changes).encode()


def test_an_upload_and_a_body_make_one_document() -> None:
    """With the usual transpiler where none is named; single shots are not kept."""
    document = json.loads(document_of(uploaded(), body(name="bell", transpiler_info={}, simulator_info={})))

    assert document == {
        "name": "bell",
        "job_type": "sampling",
        "shots": 100,
        "program": [PROGRAM],
        "transpiler_info": {"transpiler_lib": "qiskit", "transpiler_options": {"optimization_level": 1}},
        "simulator_info": {},
        "mitigation_info": {},
        "memory": False,
    }
    (experiment,) = read_document(document, num_qubits=12, max_shots=10**7)
    assert (experiment.programs, experiment.shots, experiment.optimization_level) == ((PROGRAM,), 100, 1)


def test_an_estimation_comes_back_as_it_was_sent() -> None:
    """Operator, infos, name and description, to the letter."""
    operator = [{"pauli": "X 0 X 1", "coeff": 1.5}]
    infos = {
        "transpiler_info": {"transpiler_lib": None},
        "simulator_info": {"seed_simulation": 7},
        "mitigation_info": {"ro_error_mitigation": "least_square"},
    }
    content = document_of(
        uploaded(operator=operator), body(job_type="estimation", name="energie ΔE", description="of H2", **infos)
    )
    (experiment,) = read_document(json.loads(content), num_qubits=12, max_shots=10**7)
    assert (experiment.operator, experiment.skip_transpilation, experiment.mitigation) == (
        operator,
        True,
        "least_square",
    )

    sent = Sent.of(content)
    assert (sent.name, sent.description, sent.job_type, sent.shots) == ("energie ΔE", "of H2", "estimation", 100)
    assert sent.infos == infos
    assert sent.input == {"program": [PROGRAM], "operator": operator}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xff\xfe", "no JSON"),
        (b"{", "no JSON"),
        (b'{"program": [NaN]}', "no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "an object"),
    ],
)
def test_an_upload_is_a_json_object(content: bytes, why: str) -> None:
    """Anything else is not kept."""
    with pytest.raises(BadInput, match=why):
        check_input(content)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{}", "program: must be a list"),
        (uploaded(program="OPENQASM 3;"), "program: must be a list"),
        (uploaded(program=[]), "program: must be a list"),
        (uploaded(program=[1]), "program: must be a list"),
        (uploaded(operator="X 0"), "operator: must be a list"),
        (uploaded(sse_program="print()"), "sse_program: programs in Python are not run here"),
        (uploaded(shots=1), "'shots': there is no such field"),
        (uploaded(program=1, operator=1), "program: .*; operator: "),
    ],
)
def test_uploads_with_faults_are_not_submitted(content: bytes, why: str) -> None:
    """All faults at once, where the client shows them."""
    check_input(content)
    with pytest.raises(BadInput, match=why):
        document_of(content, body())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"shots": 0}, "shots"),
        ({"shots": 10_000_001}, "shots"),
        ({"shots": "5"}, "shots"),
        ({"shots": True}, "shots"),
        ({"job_type": "sse"}, "job_type"),
        ({"job_type": 1}, "job_type"),
        ({"device_id": None}, "device_id"),
        ({"transpiler_info": []}, "transpiler_info"),
        ({"priority": 5}, "priority"),
        ({"name": "n" * 1001}, "name"),
    ],
)
def test_bodies_with_faults_are_refused(changes: dict[str, Any], field: str) -> None:
    """Each by the name of its field."""
    with pytest.raises(ValidationError) as raised:
        body(**changes)
    assert [each["loc"][0] for each in raised.value.errors()] == [field]


def test_what_is_no_text_is_refused() -> None:
    """Half a character, a number without end, and infos within each other without end."""
    with pytest.raises(JobRejected, match="half of a character"):
        document_of(uploaded(), body(simulator_info={"a": "\ud800"}))
    with pytest.raises(JobRejected, match="not finite"):
        document_of(uploaded(), body(simulator_info={"a": float("inf")}))
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(JobRejected, match="nested too deeply"):
        document_of(uploaded(), SubmitBody.model_construct(**body().model_dump() | {"simulator_info": deep}))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (None, Sent()),
        (b"{", Sent()),
        (b"[1]", Sent()),
        (b'{"experiment_0": 5}', Sent()),
        (
            b'{"experiment_0": {"program": "X", "shots": 3, "name": 5}, "experiment_1": {"program": "Y"}}',
            Sent(shots=3, input={"program": ["X"]}),
        ),
        (b'{"program": "X", "job_type": [], "shots": true}', Sent(input={"program": ["X"]})),
    ],
)
def test_documents_of_other_front_ends_are_shown_too(document: bytes | None, expected: Sent) -> None:
    """Of several experiments the first, and nothing of what cannot be read."""
    assert Sent.of(document) == expected
