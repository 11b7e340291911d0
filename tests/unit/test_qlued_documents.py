"""The documents of qlued's API: each key and each word that its clients read."""

from typing import Any

import pytest

from deployments.api.dialects.qlued_documents import (
    backend_status_document,
    config_document,
    error_document,
    full_name,
    job_document,
)
from deployments.api.dialects.qlued_results import result_document
from deployments.api.problems import Problem
from models.backend import BackendConfig
from models.facts import Cancelled, Fact
from tests.unit.histories import CANCEL_REQUESTED, CLAIMED, DONE, FAILED, SUBMITTED, job_after

CONFIG = BackendConfig.model_validate(
    {
        "description": "Two traps.",
        "version": "0.3",
        "display_name": "traps",
        "cold_atom_type": "spin",
        "gates": [
            {
                "coupling_map": [[0], [1]],
                "description": "Turns.",
                "name": "rlx",
                "parameters": ["omega, delta"],
                "qasm_def": "gate rlx(omega) {}",
            }
        ],
        "max_experiments": 10,
        "max_shots": 200,
        "simulator": False,
        "supported_instructions": ["rlx", "measure"],
        "num_wires": 2,
        "wire_order": "interleaved",
        "num_species": 1,
        "pending_jobs": 9,
        "last_queue_check": "2026-11-21T09:10:46+00:00",
        "sign": True,
        "kid": "k",
    }
)
RESULT: dict[str, Any] = {
    "backend_name": None,
    "display_name": "traps",
    "backend_version": "0.3",
    "job_id": "j",
    "qobj_id": None,
    "success": True,
    "status": "DONE",
    "header": {},
    "results": [
        {
            "header": {"name": "experiment_0", "extra metadata": "text"},
            "shots": 3,
            "success": True,
            "data": {"memory": ["1 0", "0 0", "1 0"], "instructions": None},
        }
    ],
}


def problem(status: int, detail: str = "it is wrong") -> Problem:
    """Return a problem."""
    return Problem(type="about:blank", title="", status=status, detail=detail)


def test_the_configuration_has_qiskits_keys():
    """All of them in the order of qlued, and nothing of the laboratory's own."""
    assert list(config_document(CONFIG, "lab_traps_hardware", "http://h/api/").items()) == [
        ("description", "Two traps."),
        ("display_name", "traps"),
        ("conditional", False),
        ("coupling_map", "linear"),
        ("dynamic_reprate_enabled", False),
        ("local", False),
        ("memory", True),
        ("open_pulse", False),
        ("backend_version", "0.3"),
        ("n_qubits", 2),
        ("backend_name", "lab_traps_hardware"),
        ("basis_gates", ["rlx"]),
        ("max_experiments", 10),
        ("max_shots", 200),
        ("simulator", False),
        (
            "gates",
            [
                {
                    "coupling_map": [[0], [1]],
                    "description": "Turns.",
                    "name": "rlx",
                    "parameters": ["omega, delta"],
                    "qasm_def": "gate rlx(omega) {}",
                }
            ],
        ),
        ("supported_instructions", ["rlx", "measure"]),
        ("cold_atom_type", "spin"),
        ("wire_order", "interleaved"),
        ("num_species", 1),
        ("url", "http://h/api/v2/lab_traps_hardware/"),
    ]


def test_a_backends_name_has_three_parts():
    """A storage without a name is called as sqooler calls it."""
    assert full_name("lab", CONFIG) == "lab_traps_hardware"
    assert full_name("", CONFIG.model_copy(update={"simulator": True})) == "default_traps_simulator"


def test_the_status_of_a_backend_counts_its_queue():
    """And says whether somebody looks after it."""
    assert backend_status_document(CONFIG, "lab_traps_hardware", why_not_served=None, waiting=4) == {
        "backend_name": "lab_traps_hardware",
        "backend_version": "0.3",
        "operational": True,
        "pending_jobs": 4,
        "status_msg": "",
    }


@pytest.mark.parametrize(
    ("facts", "word", "of_result"),
    [
        ((SUBMITTED,), "INITIALIZING", "INITIALIZING"),
        (DONE, "DONE", "finished"),
        ((SUBMITTED, CLAIMED, FAILED), "ERROR", "error"),
        ((SUBMITTED, CANCEL_REQUESTED, Cancelled()), "ERROR", "error"),
    ],
)
def test_who_waits_for_a_result_is_told_in_other_words(facts: tuple[Fact, ...], word: str, of_result: str):
    """The keys and the other texts are the same."""
    job = job_after(*facts)
    status = job_document(job)
    assert list(status) == ["job_id", "status", "detail", "error_message"]
    assert status["status"] == word
    assert job_document(job, of_result=True) == status | {"status": of_result}


def test_a_result_passes_as_it_is():
    """But for the backend's name, which its readers fill in."""
    assert result_document(RESULT, "lab_traps_hardware", counted=False) == RESULT | {
        "backend_name": "lab_traps_hardware"
    }


def test_a_result_is_counted_for_qiskit():
    """Its counts are of the outcomes as they stand in the memory; what it was made from stays as it was."""
    document = result_document(RESULT, "n", counted=True)
    assert document["status"] == "finished"
    assert document["results"][0]["data"] == {
        "memory": ["1 0", "0 0", "1 0"],
        "instructions": None,
        "counts": {"1 0": 2, "0 0": 1},
    }
    assert RESULT["status"] == "DONE"
    assert "counts" not in RESULT["results"][0]["data"]


def test_counts_that_a_result_has_are_kept():
    """A device that counts itself may keep no memory."""
    data = {"memory": [], "counts": {"11": 3}}
    result = RESULT | {"results": [RESULT["results"][0] | {"data": data}]}
    assert result_document(result, "n", counted=True)["results"][0]["data"] == data


def test_an_error_has_the_four_keys():
    """What clients know it by stands alone, and before its detail."""
    assert error_document(problem(422)) == {
        "job_id": "None",
        "status": "ERROR",
        "detail": "it is wrong",
        "error_message": "it is wrong",
    }
    assert error_document(problem(404), error_message="Unknown back-end!") == {
        "job_id": "None",
        "status": "ERROR",
        "detail": "Unknown back-end! it is wrong",
        "error_message": "Unknown back-end!",
    }
    assert error_document(problem(401, ""), error_message="Invalid credentials!")["detail"] == "Invalid credentials!"


@pytest.mark.parametrize(
    ("code", "word"), [(401, "error"), (404, "error"), (406, "error"), (409, "error"), (500, "error")]
)
def test_an_error_ends_the_wait_for_a_result(code: int, word: str):
    """A client that is not told this word asks for ever."""
    assert error_document(problem(code), of_result=True)["status"] == word


@pytest.mark.parametrize("code", [408, 429, 503])
def test_what_is_over_soon_ends_no_wait(code: int):
    """The job runs on meanwhile."""
    assert error_document(problem(code), of_result=True)["status"] == "ERROR"
