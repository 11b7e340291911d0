"""The provider API of OQTOPUS over real HTTP: an engine outside serves a device, job by job."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from storage.audit.verify import Verifier
from storage.identity.pauses import pause, resume
from storage.uploads.engine_files import EngineFiles
from tests.api.conftest import FrontDoor
from tests.api.engines.engine_calls import SAMPLED, EngineCalls, brought, packed, refused, submitted
from tests.api.oqtopus_laboratory import PROGRAM, Oqtopus, fetched

TRANSPILED = {
    "transpiled_program": "OPENQASM 3; qubit[3] q;",
    "stats": {"after": {"depth": 3}},
    "virtual_physical_mapping": {"qubit_mapping": {"0": 2}, "bit_mapping": {"0": 0}},
}


def kinds(outside: FrontDoor, job_id: str) -> list[str]:
    """Return the kinds of the events of a job."""
    return [event.kind for event in outside.services.log.history(job_id)]


def test_a_job_from_its_submission_to_its_result(outside: FrontDoor, alice: Oqtopus, engine: EngineCalls):
    """Listed, claimed, fetched, transpiled, run, brought, read by its user; and the log and the storage agree."""
    job_id = alice.submitted(device_id="kawasaki", name="bell", simulator_info={"seed_simulation": 7})
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
    assert kinds(outside, job_id) == ["submitted"]  # to look changes nothing

    assert engine.say(job_id, "ready").json() == {"message": "Job status updated"}
    assert (alice.status(job_id), engine.job(job_id)["status"]) == ("ready", "ready")
    assert engine.ask("PUT", f"/jobs/{job_id}/transpiler_info", json={"transpiler_lib": "tranqu"}).status_code == 200
    assert engine.job(job_id)["transpiler_info"] == {"transpiler_lib": "tranqu"}
    (form,) = engine.forms(job_id, "transpile_result")
    assert form["url"] == f"{outside.url}/oqtopus/provider/files"
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
    assert kinds(outside, job_id) == [
        "submitted",
        "claimed",
        "validated",
        "compiled",
        "executed",
        "uploaded",
        "completed",
    ]
    assert {event.actor for event in outside.services.log.history(job_id)[1:]} == {"device/kawasaki"}
    assert list(Verifier(outside.services.log.engine, outside.services.stores).all()) == []


def test_a_device_that_is_paused_keeps_what_its_engine_has(outside: FrontDoor, engine: EngineCalls):
    """Either kind of pause gives it nothing new, and takes nothing back."""
    ready, waiting = submitted(outside), submitted(outside)
    assert engine.say(ready, "ready").status_code == 200
    for drain_down in (True, False):
        pause(outside.directory, "kawasaki", drain_down=drain_down, actor="test")
        assert engine.jobs() == []
        assert refused(engine.say(waiting, "ready"), 409)
        assert engine.say(ready, "running").status_code == 200
    key = engine.bring(ready)
    assert engine.say(ready, "succeeded", output_files=[key]).status_code == 200
    resume(outside.directory, "kawasaki", actor="test")
    assert engine.say(waiting, "ready").status_code == 200
    assert engine.say(waiting, "failed").status_code == 200
    assert kinds(outside, ready)[-1] == "completed"


def test_what_was_said_and_not_answered_is_said_again(outside: FrontDoor, engine: EngineCalls):
    """Running and the end may be said twice; a claim may not, since two might have made it."""
    job_id = submitted(outside)
    engine.runs(job_id)
    assert engine.say(job_id, "running").status_code == 200
    assert "running" in refused(engine.say(job_id, "ready"), 409)
    key = engine.bring(job_id)
    for _ in range(2):
        assert engine.say(job_id, "succeeded", output_files=[key]).status_code == 200
    assert kinds(outside, job_id).count("compiled") == 1
    assert kinds(outside, job_id).count("completed") == 1
    refused(engine.say(job_id, "failed"), 409)
    refused(engine.say(job_id, "cancelled"), 409)
    refused(engine.say(job_id, "running"), 409)
    refused(engine.say(job_id, "ready"), 409)


def test_nothing_is_said_of_a_job_that_was_not_claimed(outside: FrontDoor, alice: Oqtopus, engine: EngineCalls):
    """It waits on."""
    job_id = submitted(outside)
    for status in ("running", "succeeded", "failed", "cancelled"):
        assert "never claimed" in refused(engine.say(job_id, status), 409)
    refused(engine.ask("GET", f"/jobs/{job_id}/upload", params={"items": "result"}), 409)
    refused(engine.ask("PUT", f"/jobs/{job_id}/transpiler_info", json={}), 409)
    assert alice.status(job_id) == "submitted"


def test_a_job_that_was_not_run_has_not_succeeded(outside: FrontDoor, engine: EngineCalls):
    """Nor has one whose result was not brought; it can still be."""
    job_id = submitted(outside)
    engine.say(job_id, "ready")
    engine.bring(job_id)
    assert "never said to be running" in refused(engine.say(job_id, "succeeded"), 409)
    other = submitted(outside)
    engine.runs(other)
    assert "not uploaded" in refused(engine.say(other, "succeeded"), 400)
    engine.bring(other)
    assert engine.say(other, "succeeded").status_code == 200


def test_a_job_fails_as_its_engine_says(outside: FrontDoor, alice: Oqtopus, engine: EngineCalls):
    """Its user reads why, on one line, without a path of the engine."""
    job_id = submitted(outside)
    engine.runs(job_id)
    message = "cannot open /srv/engine/secret.yaml\nwhile it ran"
    assert engine.say(job_id, "failed", message=message).status_code == 200
    told = alice.job(job_id)
    assert told["status"] == "failed"
    said = told["job_info"]["message"]
    assert said.endswith("the backend failed with an error of its engine: cannot open (a path) while it ran")
    assert outside.services.log.get(job_id).blame == "backend"

    other = submitted(outside)
    engine.say(other, "ready")
    engine.say(other, "failed", message="Traceback (most recent call last):\n  File x\nValueError: secret")
    assert "secret" not in alice.job(other)["job_info"]["message"]


def test_a_user_cancels_and_the_engine_confirms(outside: FrontDoor, alice: Oqtopus, engine: EngineCalls):
    """Whatever it says next: the job was cancelled; one that does not run yet is not to be run."""
    job_id = submitted(outside)
    engine.runs(job_id)
    alice.ask("POST", f"/jobs/{job_id}/cancel")
    assert engine.job(job_id)["status"] == "cancelling"
    assert [job["job_id"] for job in engine.jobs("cancelling")] == [job_id]
    for _ in range(2):
        assert engine.say(job_id, "cancelled").status_code == 200
    assert alice.status(job_id) == "cancelled"

    late = submitted(outside)
    engine.runs(late)
    key = engine.bring(late)
    alice.ask("POST", f"/jobs/{late}/cancel")
    assert "cancelled" in engine.say(late, "succeeded", output_files=[key]).json()["message"]
    assert alice.status(late) == "cancelled"

    early = submitted(outside)
    engine.say(early, "ready")
    alice.ask("POST", f"/jobs/{early}/cancel")
    assert "do not run it" in refused(engine.say(early, "running"), 409)
    assert alice.status(early) == "cancelled"

    given_up = submitted(outside)
    engine.runs(given_up)
    assert engine.say(given_up, "cancelled", message="maintenance").status_code == 200
    assert alice.status(given_up) == "cancelled"
    assert kinds(outside, given_up)[-2:] == ["cancel_requested", "cancelled"]


def test_a_job_whose_document_has_faults_ends_when_it_is_claimed(alice: Oqtopus, engine: EngineCalls):
    """Nothing of it ever runs, and its user reads all faults."""
    job_id = alice.registered(program=["no program"])
    assert alice.submit(job_id, device_id="kawasaki").status_code == 200
    assert "nothing to run: the job is failed" in refused(engine.say(job_id, "ready"), 409)
    assert "program" in alice.job(job_id)["job_info"]["message"]


def test_two_engines_with_one_key_do_not_get_the_same_job(outside: FrontDoor, engine: EngineCalls):
    """Of all that claim it at once one gets it."""
    job_id = submitted(outside)
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: engine.say(job_id, "ready").status_code, range(6)))
    assert sorted(answers) == [200, 409, 409, 409, 409, 409]
    engine.say(job_id, "failed")


def test_the_end_may_be_said_twice_at_once(outside: FrontDoor, engine: EngineCalls):
    """While another result comes, too: one of them counts, and the job ends once."""
    job_id = submitted(outside)
    engine.runs(job_id)
    engine.bring(job_id)
    with ThreadPoolExecutor(5) as threads:
        said = [threads.submit(engine.say, job_id, "succeeded") for _ in range(4)]
        other = {"sampling": {"counts": {"1": 100}}}
        threads.submit(lambda: brought_too(engine, job_id, other))
        codes = {each.result().status_code for each in said}
    assert 200 in codes
    assert codes <= {200, 409}
    way = [kind for kind in kinds(outside, job_id) if kind != "refused"]
    assert way == ["submitted", "claimed", "validated", "compiled", "executed", "uploaded", "completed"]


def test_whoever_comes_late_with_the_end_is_told_that_it_is_over(
    outside: FrontDoor, engine: EngineCalls, monkeypatch: pytest.MonkeyPatch
):
    """Also where the files were removed after he was let in: he is not told to upload them."""
    job_id = submitted(outside)
    engine.runs(job_id)
    engine.bring(job_id)
    files_of = EngineFiles.of

    def later(files: EngineFiles, *of: Any) -> dict[str, bytes]:
        monkeypatch.setattr(EngineFiles, "of", files_of)
        assert engine.say(job_id, "succeeded").status_code == 200
        return files_of(files, *of)

    monkeypatch.setattr(EngineFiles, "of", later)
    refused(engine.say(job_id, "succeeded"), 409)
    assert kinds(outside, job_id)[-1] == "completed"


def brought_too(engine: EngineCalls, job_id: str, value: object) -> None:
    """Bring another result, if it is not too late for that."""
    answer = engine.ask("GET", f"/jobs/{job_id}/upload", params={"items": "result"})
    if answer.status_code == 200:
        brought(answer.json()[0], packed("result", value))


def test_an_engine_with_another_key_of_the_device_has_its_own_jobs(outside: FrontDoor, engine: EngineCalls):
    """It sees the job, and can neither bring anything of it nor end it."""
    other = EngineCalls(outside)
    job_id = submitted(outside)
    engine.runs(job_id)
    assert other.job(job_id)["status"] == "running"
    refused(other.ask("GET", f"/jobs/{job_id}/upload", params={"items": "result"}), 409)
    for status in ("ready", "running", "succeeded", "failed", "cancelled"):
        refused(other.say(job_id, status), 409)
    engine.bring(job_id)
    assert engine.say(job_id, "succeeded").status_code == 200


def test_listing_hands_out_where_the_device_says_so(outside: FrontDoor, alice: Oqtopus):
    """As the engine of OQTOPUS expects it: what it has listed is its own, and is listed no second time."""
    engine = EngineCalls(outside, "osaka")
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
