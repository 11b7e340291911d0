"""The provider API of OQTOPUS over real HTTP: an engine outside serves a device, job by job."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from storage.audit.verify import Verifier
from tasks.backends.qubits import published
from tests.api.conftest import FrontDoor, front_door
from tests.api.engine_of_a_device import SAMPLED, EngineCalls, brought, describe, fetched, packed, submitted
from tests.api.oqtopus_laboratory import PROGRAM, Oqtopus

BELL = 'OPENQASM 3; include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;'
TRANSPILED = {
    "transpiled_program": "OPENQASM 3; qubit[3] q;",
    "stats": {"after": {"depth": 3}},
    "virtual_physical_mapping": {"qubit_mapping": {"0": 2}, "bit_mapping": {"0": 0}},
}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontDoor]:
    """A laboratory of alice, with two devices outside; of one the engine has jobs by listing them."""
    devices = tmp_path_factory.mktemp("devices")
    describe(devices)
    describe(devices, "osaka", jobs="on_list")
    environment = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("QULEDGER_")}
    os.environ["QULEDGER_DEVICES"] = str(devices)
    with front_door(tmp_path_factory.mktemp("laboratory"), devices=devices) as door:
        door.add_user("alice")
        yield door
    del os.environ["QULEDGER_DEVICES"]
    os.environ.update(environment)
    published._read.cache_clear()


@pytest.fixture
def alice(door: FrontDoor) -> Oqtopus:
    """A user of the laboratory."""
    return Oqtopus(door, "alice")


@pytest.fixture(scope="module")
def engine(door: FrontDoor) -> EngineCalls:
    """The engine of the device kawasaki."""
    return EngineCalls(door)


def refused(answer: httpx.Response, code: int) -> str:
    """Return what an answer that is an error says: a message and nothing else."""
    assert answer.status_code == code, answer.text
    assert list(answer.json()) == ["message"]
    said = str(answer.json()["message"])
    assert "Traceback" not in said
    return said


def kinds(door: FrontDoor, job_id: str) -> list[str]:
    """Return the kinds of the events of a job."""
    return [event.kind for event in door.services.log.history(job_id)]


def test_a_job_from_its_submission_to_its_result(door: FrontDoor, alice: Oqtopus, engine: EngineCalls):
    """Listed, claimed, fetched, transpiled, run, brought, read by its user; and the log and the storage agree."""
    job_id = submitted(alice, name="bell", simulator_info={"seed_simulation": 7})
    (found,) = [job for job in engine.jobs() if job["job_id"] == job_id]
    address = found.pop("input")
    assert fetched(address) == {"program": [PROGRAM]}
    assert found.pop("submitted_at").endswith("+00:00")
    assert found == {
        "job_id": job_id,
        "name": "bell",
        "job_type": "sampling",
        "device_id": "kawasaki",
        "shots": 100,
        "transpiler_info": {"transpiler_lib": "qiskit", "transpiler_options": {"optimization_level": 1}},
        "simulator_info": {"seed_simulation": 7},
        "mitigation_info": {},
        "status": "submitted",
    }
    assert kinds(door, job_id) == ["submitted"]  # to look changes nothing

    assert engine.say(job_id, "ready").json() == {"message": "Job status updated"}
    assert (alice.status(job_id), engine.job(job_id)["status"]) == ("ready", "ready")
    assert engine.ask("PUT", f"/jobs/{job_id}/transpiler_info", json={"transpiler_lib": "tranqu"}).status_code == 200
    assert engine.job(job_id)["transpiler_info"] == {"transpiler_lib": "tranqu"}
    (form,) = engine.forms(job_id, "transpile_result")
    assert form["url"] == f"{door.url}/oqtopus/provider/files"
    assert set(form["fields"]) == {"key", "AWSAccessKeyId", "policy", "signature"}
    assert brought(form, packed("transpile_result", TRANSPILED)).status_code == 204
    assert engine.say(job_id, "running", output_files=[form["fields"]["key"]]).status_code == 200
    assert (alice.status(job_id), engine.jobs("running")[0]["job_id"]) == ("running", job_id)
    key = engine.bring(job_id)
    answer = engine.say(job_id, "succeeded", output_files=[form["fields"]["key"], key], execution_time=1.25)
    assert answer.json() == {"message": "Job status updated"}

    told = alice.job(job_id)
    assert (told["status"], told["execution_time"], told["device_id"]) == ("succeeded", 1.25, "kawasaki")
    assert fetched(told["job_info"]["result"]) == {"sampling": {"counts": {"0": 60, "1": 40}}}
    assert fetched(told["job_info"]["transpile_result"]) == TRANSPILED
    assert kinds(door, job_id) == ["submitted", "claimed", "validated", "compiled", "executed", "uploaded", "completed"]
    assert {event.actor for event in door.services.log.history(job_id)[1:]} == {"device/kawasaki"}
    assert list(Verifier(door.services.log.engine, door.services.stores).all()) == []


def test_what_was_said_and_not_answered_is_said_again(door: FrontDoor, alice: Oqtopus, engine: EngineCalls):
    """Running and the end may be said twice; a claim may not, since two might have made it."""
    job_id = submitted(alice)
    engine.runs(job_id)
    assert engine.say(job_id, "running").status_code == 200
    assert "running" in refused(engine.say(job_id, "ready"), 409)
    key = engine.bring(job_id)
    for _ in range(2):
        assert engine.say(job_id, "succeeded", output_files=[key]).status_code == 200
    assert kinds(door, job_id).count("compiled") == 1
    assert kinds(door, job_id).count("completed") == 1
    refused(engine.say(job_id, "failed"), 409)
    refused(engine.say(job_id, "cancelled"), 409)
    refused(engine.say(job_id, "running"), 409)
    refused(engine.say(job_id, "ready"), 409)


@pytest.mark.parametrize("status", ["running", "succeeded", "failed", "cancelled"])
def test_nothing_is_said_of_a_job_that_was_not_claimed(alice: Oqtopus, engine: EngineCalls, status: str):
    """It waits on."""
    job_id = submitted(alice)
    assert "never claimed" in refused(engine.say(job_id, status), 409)
    refused(engine.ask("GET", f"/jobs/{job_id}/upload", params={"items": "result"}), 409)
    refused(engine.ask("PUT", f"/jobs/{job_id}/transpiler_info", json={}), 409)
    assert alice.status(job_id) == "submitted"


def test_a_job_that_was_not_run_has_not_succeeded(alice: Oqtopus, engine: EngineCalls):
    """Nor has one whose result was not brought; it can still be."""
    job_id = submitted(alice)
    engine.say(job_id, "ready")
    engine.bring(job_id)
    assert "never said to be running" in refused(engine.say(job_id, "succeeded"), 409)
    other = submitted(alice)
    engine.runs(other)
    assert "not uploaded" in refused(engine.say(other, "succeeded"), 400)
    engine.bring(other)
    assert engine.say(other, "succeeded").status_code == 200


def test_a_job_fails_as_its_engine_says(door: FrontDoor, alice: Oqtopus, engine: EngineCalls):
    """Its user reads why, on one line, without a path of the engine."""
    job_id = submitted(alice)
    engine.runs(job_id)
    message = "cannot open /srv/engine/secret.yaml\nwhile it ran"
    assert engine.say(job_id, "failed", message=message).status_code == 200
    told = alice.job(job_id)
    assert told["status"] == "failed"
    said = told["job_info"]["message"]
    assert said.endswith("the backend failed with an error of its engine: cannot open (a path) while it ran")
    assert door.services.log.get(job_id).blame == "backend"

    other = submitted(alice)
    engine.say(other, "ready")
    engine.say(other, "failed", message="Traceback (most recent call last):\n  File x\nValueError: secret")
    assert "secret" not in alice.job(other)["job_info"]["message"]


def test_a_user_cancels_and_the_engine_confirms(door: FrontDoor, alice: Oqtopus, engine: EngineCalls):
    """Whatever it says next: the job was cancelled; one that does not run yet is not to be run."""
    job_id = submitted(alice)
    engine.runs(job_id)
    alice.ask("POST", f"/jobs/{job_id}/cancel")
    assert engine.job(job_id)["status"] == "cancelling"
    assert [job["job_id"] for job in engine.jobs("cancelling")] == [job_id]
    for _ in range(2):
        assert engine.say(job_id, "cancelled").status_code == 200
    assert alice.status(job_id) == "cancelled"

    late = submitted(alice)
    engine.runs(late)
    key = engine.bring(late)
    alice.ask("POST", f"/jobs/{late}/cancel")
    assert "cancelled" in engine.say(late, "succeeded", output_files=[key]).json()["message"]
    assert alice.status(late) == "cancelled"

    early = submitted(alice)
    engine.say(early, "ready")
    alice.ask("POST", f"/jobs/{early}/cancel")
    assert "do not run it" in refused(engine.say(early, "running"), 409)
    assert alice.status(early) == "cancelled"

    given_up = submitted(alice)
    engine.runs(given_up)
    assert engine.say(given_up, "cancelled", message="maintenance").status_code == 200
    assert alice.status(given_up) == "cancelled"
    assert kinds(door, given_up)[-2:] == ["cancel_requested", "cancelled"]


def test_a_job_whose_document_has_faults_ends_when_it_is_claimed(alice: Oqtopus, engine: EngineCalls):
    """Nothing of it ever runs, and its user reads all faults."""
    job_id = alice.registered(program=["no program"])
    assert alice.submit(job_id, device_id="kawasaki").status_code == 200
    assert "nothing to run: the job is failed" in refused(engine.say(job_id, "ready"), 409)
    assert "program" in alice.job(job_id)["job_info"]["message"]


def test_two_engines_with_one_key_do_not_get_the_same_job(alice: Oqtopus, engine: EngineCalls):
    """Of all that claim it at once one gets it."""
    job_id = submitted(alice)
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: engine.say(job_id, "ready").status_code, range(6)))
    assert sorted(answers) == [200, 409, 409, 409, 409, 409]
    engine.say(job_id, "failed")


def test_an_engine_with_another_key_of_the_device_has_its_own_jobs(
    door: FrontDoor, alice: Oqtopus, engine: EngineCalls
):
    """It sees the job, and can neither bring anything of it nor end it."""
    other = EngineCalls(door)
    job_id = submitted(alice)
    engine.runs(job_id)
    assert other.job(job_id)["status"] == "running"
    refused(other.ask("GET", f"/jobs/{job_id}/upload", params={"items": "result"}), 409)
    for status in ("ready", "running", "succeeded", "failed", "cancelled"):
        refused(other.say(job_id, status), 409)
    engine.bring(job_id)
    assert engine.say(job_id, "succeeded").status_code == 200


def test_listing_hands_out_where_the_device_says_so(door: FrontDoor, alice: Oqtopus):
    """As the engine of OQTOPUS expects it: what it has listed is its own, and is listed no second time."""
    engine = EngineCalls(door, "osaka")
    job_id = alice.submitted(device_id="osaka")
    faulty = alice.registered(program=["no program"])
    alice.submit(faulty, device_id="osaka")
    with ThreadPoolExecutor(2) as threads:
        listed = [job for jobs in threads.map(lambda _: engine.jobs(), range(2)) for job in jobs]
    assert [(job["job_id"], job["status"]) for job in listed] == [(job_id, "ready")]
    assert fetched(listed[0]["input"]) == {"program": [PROGRAM]}
    assert engine.jobs() == []
    assert alice.status(faulty) == "failed"
    assert engine.say(job_id, "running").status_code == 200
    engine.bring(job_id, value=SAMPLED)
    assert engine.say(job_id, "succeeded").status_code == 200
    assert alice.status(job_id) == "succeeded"
