"""The API of qlued, as its clients ask it over HTTP: where things stand in each version."""

import json
from typing import Any

import pytest

from tests.api.conftest import SPIN, FrontDoor
from tests.api.qlued_calls import HTTP, TEXT, VERSIONS, call, submitted

BAD = {"experiment_0": {"instructions": [["lod", [0], [50]]], "num_wires": 1, "shots": 0}}


def shots(door: FrontDoor, job_id: str) -> int | None:
    """Return the shots that a job was handed in with."""
    data: dict[str, int] = json.loads(door.services.log.history(job_id)[0].data)
    return data.get("shots")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_job_is_handed_in_and_asked_after(door: FrontDoor, version: str):
    """In the words of the first status, and it is the token's user whose it is."""
    answer = call(door, f"{version}/singlequdit/post_job", door.token("alice"), job=TEXT)
    assert answer.status_code == 200, answer.text
    status = answer.json()
    job_id = status["job_id"]
    assert status == {
        "job_id": job_id,
        "status": "INITIALIZING",
        "detail": "Got your json.",
        "error_message": "None",
    }
    taken = door.services.log.get(job_id)
    assert (taken.backend, taken.user, taken.source) == ("singlequdit", "alice", "api")
    assert shots(door, job_id) == 10  # they count against the limits of alice
    for asked in ("get_job_status", "get_job_result"):
        assert call(door, f"{version}/singlequdit/{asked}", door.token("alice"), job_id=job_id).json() == status
    kept = door.services.log.document(job_id)
    assert json.loads(kept or b"") == SPIN
    assert (kept == TEXT.encode()) == (version != "/v3")  # what comes as text is kept to the letter


def test_the_id_may_stand_in_json_in_every_version(door: FrontDoor):
    """A client asks one of its questions so, and all others not."""
    asked = json.dumps({"job_id": submitted(door)})
    values = {"json": asked, "username": "NAME", "token": door.token("alice")}
    answer = HTTP.get(f"{door.url}/api/v2/singlequdit/get_job_status", params=values)
    assert answer.json()["error_message"] == "None"


def test_a_job_may_stand_under_another_name(door: FrontDoor):
    """As `json`, where it is not `job`."""
    body = {"json": TEXT, "token": door.token("alice")}
    assert HTTP.post(f"{door.url}/api/v2/singlequdit/post_job", json=body).status_code == 200


@pytest.mark.parametrize("version", ["/v1", "/v2", "/v3"])
def test_the_backends_are_listed_for_everybody(door: FrontDoor, version: str):
    """Each as its configuration says it, with the address that the caller can use."""
    found = HTTP.get(f"{door.url}/api{version}/backends").json()
    names = [each["backend_name"] for each in found]
    assert {
        "default_singlequdit_simulator",
        "default_multiqudit_simulator",
        "default_fermions_simulator",
        "default_rydberg_simulator",
    } <= set(names)
    one = found[names.index("default_rydberg_simulator")]
    assert one["url"] == f"{door.url}/api/v2/default_rydberg_simulator/"
    assert one == HTTP.get(f"{door.url}/api{version}/rydberg/get_config").json()


@pytest.mark.parametrize(
    "path",
    [
        "/v2/rydberg/get_config",
        "/v2/rydberg/get_config/",
        "/v2/rydberg//get_config",
        "//v2//default_rydberg_simulator///get_config//",
        "/rydberg/get_config/?username=NAME&password=wrong",
        "/v2/default_rydberg_simulator/get_config?username=NAME&token=wrong",
    ],
)
def test_a_backend_has_many_addresses(door: FrontDoor, path: str):
    """By both of its names, with slashes in twos and at the end, and whatever else is sent along."""
    answer = HTTP.get(f"{door.url}/api{path}")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["display_name"], found["n_qubits"], found["cold_atom_type"]) == ("rydberg", 5, "spin")


def test_only_these_paths_are_folded(door: FrontDoor):
    """Our own API has one address for each thing."""
    assert HTTP.get(f"{door.url}/v1/health").status_code == 200
    assert HTTP.get(f"{door.url}/v1//health").status_code == 404


def test_a_backend_that_nobody_looks_after_is_not_operational(door: FrontDoor):
    """No drain has published it; its queue counts all jobs that wait."""
    before = HTTP.get(f"{door.url}/api/v2/multiqudit/get_backend_status").json()
    submitted(door, backend="multiqudit")
    status = HTTP.get(f"{door.url}/api/v3/default_multiqudit_simulator/get_backend_status/").json()
    assert status == {
        "backend_name": "default_multiqudit_simulator",
        "backend_version": "0.2",
        "operational": False,
        "pending_jobs": before["pending_jobs"] + 1,
        "status_msg": "",
    }


@pytest.mark.parametrize("document", [BAD, {}, [], 7, None, {"experiment_0": {}}, {"a": [[[[]]]]}])
def test_a_document_with_faults_is_taken(door: FrontDoor, document: Any):
    """Its run says what is wrong with it: clients read that in the status of a job, and nowhere else."""
    answer = call(door, "/v2/singlequdit/post_job", door.token("alice"), job=json.dumps(document))
    assert answer.status_code == 200
    assert answer.json()["status"] == "INITIALIZING"
    assert shots(door, answer.json()["job_id"]) is None
