"""The user API of OQTOPUS over real HTTP: what its clients call, what comes back, and what is refused."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from models.errors import Fault, LogUnavailable
from models.facts import Failed
from storage.uploads.registrations import Registrations
from tests.api.conftest import FrontDoor
from tests.api.oqtopus_laboratory import (
    BODY,
    COMPILED,
    PROGRAM,
    Oqtopus,
    bring_on,
    fail,
    fetched,
    finish,
    packed,
    upload,
)

USUAL = {"transpiler_lib": "qiskit", "transpiler_options": {"optimization_level": 1}}


@pytest.fixture
def alice(door: FrontDoor) -> Oqtopus:
    """A user of the laboratory."""
    return Oqtopus(door, "alice")


@pytest.fixture
def bob(door: FrontDoor) -> Oqtopus:
    """Another user of it, who has nothing to do with her jobs."""
    return Oqtopus(door, "bob")


def refused(answer: httpx.Response, code: int) -> str:
    """Return what an answer that is an error says: a message and nothing else."""
    assert answer.status_code == code, answer.text
    assert list(answer.json()) == ["message"]
    said = str(answer.json()["message"])
    assert "Traceback" not in said
    return said


def test_a_job_from_its_registration_to_its_result(door: FrontDoor, alice: Oqtopus):
    """Registered, uploaded, submitted, claimed, running, succeeded, fetched, deleted."""
    job_id, url, fields = alice.register()
    assert url == f"{door.url}/oqtopus/files"
    assert fields["key"] == f"{job_id}/input.zip"
    assert alice.status(job_id) == "registered"
    assert alice.job(job_id) == {"job_id": job_id, "status": "registered"}
    assert upload(url, fields, packed({"program": [PROGRAM]})).status_code == 204
    body = {"name": "bell", "description": "of two", "transpiler_info": {}, "simulator_info": {"seed_simulation": 7}}
    assert alice.submit(job_id, **body).json() == {"message": "job submitted"}

    found = alice.job(job_id)
    assert fetched(found.pop("job_info")["input"]) == {"program": [PROGRAM]}
    assert found.pop("submitted_at").endswith("+00:00")
    assert found == {
        "job_id": job_id,
        "name": "bell",
        "description": "of two",
        "job_type": "sampling",
        "status": "submitted",
        "device_id": "qubits",
        "shots": 100,
        "transpiler_info": USUAL,
        "simulator_info": {"seed_simulation": 7},
        "mitigation_info": {},
    }
    assert door.services.log.submission(job_id).shots == 100

    finish(door, job_id, {"counts": {"0": 60, "1": 40}, "transpiled": {"program": "P", "layout": [3]}})
    found = alice.job(job_id)
    assert (found["status"], found["execution_time"]) == ("succeeded", 0.123)
    assert [found[name] for name in ("submitted_at", "ready_at", "running_at", "ended_at")] == sorted(
        found[name] for name in ("submitted_at", "ready_at", "running_at", "ended_at")
    )
    assert sorted(found["job_info"]) == ["input", "result", "transpile_result"]
    assert fetched(found["job_info"]["result"]) == {"sampling": {"counts": {"0": 60, "1": 40}}}
    assert fetched(found["job_info"]["transpile_result"])["virtual_physical_mapping"]["qubit_mapping"] == {"0": 3}

    assert alice.ask("DELETE", f"/jobs/{job_id}").json() == {"message": "job deleted"}
    refused(alice.ask("GET", f"/jobs/{job_id}"), 404)
    refused(alice.ask("DELETE", f"/jobs/{job_id}"), 404)
    assert httpx.get(found["job_info"]["result"]).status_code == 404
    assert door.services.log.get(job_id).is_hidden


def test_a_job_whose_programs_have_faults_fails_and_says_all_of_them(door: FrontDoor, alice: Oqtopus):
    """The client shows that, and of an answer with an error only its number."""
    job_id = alice.registered(program=["no program"])
    assert alice.submit(job_id).status_code == 200
    faults = (Fault(message="wrong", experiment="experiment_0", field="program[0]"), Fault(message="also wrong"))
    fail(door, job_id, Failed(stage="validation", blame="user", faults=faults, fault_count=2))

    found = alice.job(job_id)
    assert found["status"] == "failed"
    assert list(found["job_info"]) == ["input", "message"]
    assert found["job_info"]["message"] == "experiment_0, program[0]: wrong; also wrong"
    assert "running_at" not in found


def test_what_waits_is_cancelled_at_once_and_what_runs_is_asked_to_end(door: FrontDoor, alice: Oqtopus):
    """One that has ended is not cancelled, and one that has not is not deleted."""
    waiting, running = alice.submitted(), alice.submitted()
    assert alice.ask("POST", f"/jobs/{waiting}/cancel").json() == {"message": "cancel request accepted"}
    assert alice.status(waiting) == "cancelled"
    assert alice.job(waiting)["job_info"]["message"] == "the job was cancelled"
    assert "cannot be cancelled" in refused(alice.ask("POST", f"/jobs/{waiting}/cancel"), 400)

    bring_on(door, running)
    assert alice.status(running) == "ready"
    assert "has not ended" in refused(alice.ask("DELETE", f"/jobs/{running}"), 400)
    for _ in range(2):
        assert alice.ask("POST", f"/jobs/{running}/cancel").status_code == 200
        assert alice.status(running) == "cancelling"
    job = door.services.log.get(running)
    door.services.log.append(job, *COMPILED, attempt=job.attempt, actor="w", token="t")
    assert alice.status(running) == "cancelling"
    assert [each["job_id"] for each in alice.ask("GET", "/jobs?status=cancelling").json()] == [running]


def test_a_job_is_submitted_once_and_after_its_input(alice: Oqtopus):
    """What lacks, and what was done before, is said."""
    job_id, url, fields = alice.register()
    assert "not uploaded yet" in refused(alice.submit(job_id), 400)
    for method, path in (("POST", f"/jobs/{job_id}/cancel"), ("DELETE", f"/jobs/{job_id}")):
        assert "not submitted yet" in refused(alice.ask(method, path), 400)
    assert upload(url, fields, packed({"program": [PROGRAM]})).status_code == 204
    assert upload(url, fields, packed({"program": [PROGRAM]})).status_code == 204
    assert "uploaded before" in refused(upload(url, fields, packed({"program": [PROGRAM + " "]})), 409)
    assert "nope" in refused(alice.submit(job_id, device_id="nope"), 400)
    assert "qubits" in refused(alice.submit(job_id, device_id="rydberg"), 400)
    assert "sse" in refused(alice.submit(job_id, job_type="sse"), 400)
    assert alice.submit(job_id).status_code == 200
    assert "submitted before" in refused(alice.submit(job_id), 400)
    assert "submitted before" in refused(alice.submit(job_id, shots=99), 400)
    assert "submitted before" in refused(upload(url, fields, packed({"program": [PROGRAM]})), 409)


def test_of_two_who_submit_at_once_one_begins_the_job(alice: Oqtopus):
    """Of the same job, or of two that differ."""
    for changes in ({}, {"shots": 50}):
        job_id = alice.registered()
        with ThreadPoolExecutor(2) as threads:
            answers = [threads.submit(alice.submit, job_id, **each) for each in ({}, changes)]
        assert sorted(each.result().status_code for each in answers) == [200, 400]
        assert alice.status(job_id) == "submitted"


def test_a_server_that_is_killed_before_it_forgets_a_registration_begins_no_second_job(
    alice: Oqtopus, door: FrontDoor, monkeypatch: pytest.MonkeyPatch
):
    """The log has the job, and what is left of its registration says nothing any more."""

    def killed(*_: object) -> None:
        raise LogUnavailable("the server is gone")

    job_id = alice.registered()
    with monkeypatch.context() as patched:
        patched.setattr(Registrations, "remove", killed)
        assert alice.submit(job_id).status_code == 200
    assert Registrations(door.services.log.engine).get(job_id).user == "alice"
    assert alice.status(job_id) == "submitted"
    assert "submitted before" in refused(alice.submit(job_id), 400)
    assert alice.ask("POST", f"/jobs/{job_id}/cancel").status_code == 200
    assert alice.ask("DELETE", f"/jobs/{job_id}").status_code == 200
    refused(alice.ask("GET", f"/jobs/{job_id}"), 404)
    refused(alice.submit(job_id), 404)


def test_an_input_that_is_none_is_told_at_the_submission(alice: Oqtopus):
    """Where a client shows it; all that is wrong."""
    job_id = alice.registered(program=PROGRAM, operator={}, sse_program="import os", more=1)
    said = refused(alice.submit(job_id), 400)
    for named in ("'more': ", "sse_program: ", "program: must be a list", "operator: must be a list"):
        assert named in said
    assert alice.status(job_id) == "registered"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[" * 100_000, "nested"),
        (b"[]", "dictionary"),
        (b"{}", "device_id"),
        (json.dumps(BODY | {"shots": 0, "job_type": "sse", "more": 1}).encode(), "shots: .*; more: "),
        (json.dumps(BODY | {"shots": 10**8}).encode(), "shots"),
        (json.dumps(BODY | {"transpiler_info": "tket"}).encode(), "transpiler_info"),
        (b'{"device_id": "qubits", "device_id": "qubits"}', "twice"),
        (b"\xff\xfe", "JSON"),
    ],
)
def test_bodies_with_faults_are_told_all_of_them(alice: Oqtopus, body: bytes, named: str):
    """By the names of the fields, and the job can still be submitted."""
    job_id = alice.registered()
    said = refused(alice.ask("POST", f"/jobs/{job_id}/submit", content=body), 400)
    assert all(each in said for each in named.split(".*")), said
    assert alice.submit(job_id).status_code == 200


def test_another_users_jobs_are_not_there(alice: Oqtopus, bob: Oqtopus, door: FrontDoor):
    """Neither before they are submitted nor after; nor is what never was, or has another form."""
    before, after = alice.registered(), alice.submitted()
    for job_id in (before, after, "f" * 24, after[:8], "..%2F" + after, "%00", "a" * 250):
        for method, path in (
            ("GET", f"/jobs/{job_id}"),
            ("GET", f"/jobs/{job_id}/status"),
            ("POST", f"/jobs/{job_id}/cancel"),
            ("DELETE", f"/jobs/{job_id}"),
        ):
            assert refused(bob.ask(method, path), 400 if len(job_id) == 250 else 404)
        assert bob.submit(job_id).status_code in (400, 404)
    assert alice.status(before) == "registered"
    assert alice.status(after) == "submitted"
    assert after not in [each["job_id"] for each in bob.ask("GET", "/jobs").json()]


def test_a_job_of_another_kind_of_backend_is_none_of_oqtopus(door: FrontDoor, alice: Oqtopus):
    """Its result would not be one."""
    job_id = door.submit("alice")
    refused(alice.ask("GET", f"/jobs/{job_id}"), 404)
    assert job_id not in [each["job_id"] for each in alice.ask("GET", "/jobs").json()]


def test_a_job_that_came_otherwise_is_shown_too(door: FrontDoor, alice: Oqtopus):
    """Of several experiments the first."""
    experiment = {"program": PROGRAM, "shots": 7}
    job_id = door.submit("alice", backend="qubits", document={"experiment_0": experiment, "experiment_1": experiment})
    found = alice.job(job_id)
    assert (found["job_type"], found["shots"], found["name"]) == ("sampling", 7, "")
    assert fetched(found["job_info"]["input"]) == {"program": [PROGRAM]}


@pytest.mark.parametrize("token", [None, "", "qlg_000000000000_0", "x" * 5000])
def test_a_wrong_token_lets_nobody_in(door: FrontDoor, token: str | None):
    """On no route but those of files, which show a signature."""
    headers = {} if token is None else {"q-api-token": token}
    for method, path in (
        ("GET", "/devices"),
        ("GET", "/devices/qubits"),
        ("GET", "/jobs"),
        ("POST", "/jobs"),
        ("GET", "/jobs/x"),
        ("GET", "/jobs/x/status"),
        ("POST", "/jobs/x/submit"),
        ("POST", "/jobs/x/cancel"),
        ("DELETE", "/jobs/x"),
    ):
        refused(httpx.request(method, f"{door.url}/oqtopus{path}", headers=headers), 401)
    bearer = {"Authorization": f"Bearer {door.token('alice')}"}
    refused(httpx.get(f"{door.url}/oqtopus/jobs", headers=bearer), 401)


def test_a_viewer_looks_and_hands_in_nothing(door: FrontDoor):
    """His role says so."""
    vic = Oqtopus(door, "vic")
    assert vic.ask("GET", "/jobs").json() == []
    assert "viewer" in refused(vic.ask("POST", "/jobs"), 403)


def test_devices_are_the_qubit_devices(alice: Oqtopus):
    """With what a client reads of them."""
    found = {each["device_id"]: each for each in alice.ask("GET", "/devices").json()}
    assert list(found) == ["qubits", "noisyqubits"]
    one = alice.ask("GET", "/devices/noisyqubits").json()
    info = json.loads(one.pop("device_info"))
    assert one | {"n_pending_jobs": 0, "description": ""} == {
        "device_id": "noisyqubits",
        "device_type": "simulator",
        "status": "unavailable",
        "n_pending_jobs": 0,
        "n_qubits": 12,
        "basis_gates": ["cx", "id", "rz", "sx", "x"],
        "supported_instructions": [
            *("cx", "id", "rz", "sx", "x", "measure", "barrier", "reset", "if_else", "for_loop", "while_loop"),
        ],
        "description": "",
    }
    assert len(info["qubits"]) == 12
    assert info["qubits"][0]["meas_error"] == {
        "prob_meas1_prep0": 0.005,
        "prob_meas0_prep1": 0.02,
        "readout_assignment_error": 0.0125,
    }
    assert info["couplings"][0] == {"control": 0, "target": 1, "fidelity": 1.0}
    assert json.loads(found["qubits"]["device_info"])["qubits"][0]["meas_error"]["prob_meas1_prep0"] == 0.0
    for name in ("rydberg", "nope", "..%2F"):
        refused(alice.ask("GET", f"/devices/{name}"), 404)


def test_unknown_paths_and_methods_are_answered_with_a_message(alice: Oqtopus):
    """As all errors are."""
    assert refused(alice.ask("GET", "/nothing"), 404) == "Not Found"
    assert refused(alice.ask("PUT", "/jobs"), 405) == "Method Not Allowed"
