"""The provider API of OQTOPUS: wrong keys, jobs of other devices, attempts that are over, and what is no result."""

import asyncio
from datetime import timedelta

from deployments.api.leases import give_back, upload_staged
from models import clock
from models.facts import Revived
from models.identity.streams import device_stream
from models.job import State
from storage.log import leases
from storage.log.database import writing
from tasks.jobs.engines import Engine
from tests.api.conftest import FrontDoor
from tests.api.engines.engine_calls import CLIENT, SAMPLED, EngineCalls, brought, packed, refused, submitted
from tests.api.oqtopus_laboratory import Oqtopus

CALLS = (
    ("GET", "/jobs?device_id=kawasaki", None),
    ("GET", "/jobs/{}", None),
    ("GET", "/jobs/{}/upload?items=result", None),
    ("PATCH", "/jobs/{}/status", {"status": "ready"}),
    ("PUT", "/jobs/{}/transpiler_info", {}),
    ("PATCH", "/devices/kawasaki", {"n_qubits": 2}),
    ("PATCH", "/devices/kawasaki/status", {"status": "available"}),
    ("PATCH", "/devices/kawasaki/device_info", {"device_info": "{}"}),
)

UNLIKE_JSON = (
    '{"a": NaN}',
    '{"a": 1e999}',
    r'{"a": "\ud800"}',
    r'{"\ud800": 1}',
    f'{{"a": {"[" * 80}{"]" * 80}}}',
    "[]",
)


def over(outside: FrontDoor, job_id: str) -> None:
    """Let the lease of a job run out, as if its engine had fallen silent."""
    log = outside.services.log
    job = log.get(job_id)
    with writing(log.engine) as connection:
        leases.put(connection, job_id, job.attempt, clock.now() - timedelta(seconds=1))
    assert give_back(outside.services) == 1
    assert log.get(job_id).state is State.QUEUED


def again(outside: FrontDoor, engine: EngineCalls, job_id: str) -> None:
    """Run a job again, whose pause after the failed attempt an operator has cut short."""
    job = outside.services.log.get(job_id)
    outside.services.log.append(job, Revived(by="test"), attempt=job.attempt, actor="test")
    engine.runs(job_id)


def test_a_wrong_key_lets_nobody_in(outside: FrontDoor, alice: Oqtopus):
    """None, one that is none, one that was revoked, and the token of a user: 401 to each call."""
    new = outside.directory.issue(device_stream("kawasaki"), actor="test")
    outside.directory.revoke(new.token_id, actor="test")
    job_id = submitted(outside)
    for key in ("", "qlg_0_wrong", new.text, outside.token("alice")):
        for method, path, body in CALLS:
            headers = {"X-Api-Key": key} if key else {}
            url = f"{outside.url}/oqtopus/provider{path.format(job_id)}"
            said = refused(CLIENT.request(method, url, json=body, headers=headers), 401)
            assert key or said == "a token is needed: X-Api-Key: TOKEN"


def test_the_key_of_a_device_is_good_for_serving_it_alone(outside: FrontDoor, engine: EngineCalls):
    """Of what users ask it sees nothing; and a backend that is run here has no engine outside."""
    headers = {"q-api-token": engine.key}
    assert CLIENT.get(f"{outside.url}/oqtopus/jobs", headers=headers).status_code == 403
    here = EngineCalls(outside, "rydberg")
    assert "are run here" in refused(here.ask("GET", "/jobs", params={"device_id": "rydberg"}), 403)


def test_another_device_has_no_such_job(outside: FrontDoor, alice: Oqtopus):
    """Its jobs are answered like those that do not exist, and so is the device."""
    osaka, job_id = EngineCalls(outside, "osaka"), submitted(outside)
    for method, path, body in CALLS:
        refused(osaka.ask(method, path.format(job_id), json=body), 404)
    for wrong in ("x" * 150, "no-job", "a%00b"):
        assert osaka.ask("GET", f"/jobs/{wrong}").status_code == 404
    assert alice.status(job_id) == "submitted"


def test_what_comes_of_an_attempt_that_is_over_is_refused(outside: FrontDoor, engine: EngineCalls):
    """Neither its files nor its word count, though the same engine has the job again."""
    job_id = submitted(outside)
    engine.runs(job_id)
    (form,) = engine.forms(job_id, "result")
    assert brought(form, packed("result", SAMPLED)).status_code == 204
    over(outside, job_id)
    assert "too late" in refused(brought(form, packed("result", SAMPLED)), 409)
    for status in ("running", "succeeded", "failed", "cancelled"):
        refused(engine.say(job_id, status, output_files=[form["fields"]["key"]]), 409)
    again(outside, engine, job_id)
    assert "too late" in refused(brought(form, packed("result", SAMPLED)), 409)
    late = {"output_files": [form["fields"]["key"]]}
    assert "attempt 1; the job is in attempt 2" in refused(engine.say(job_id, "succeeded", **late), 409)
    assert "attempt 2" in refused(engine.say(job_id, "failed", **late), 409)
    assert "not uploaded" in refused(engine.say(job_id, "succeeded"), 400)
    engine.bring(job_id, value={"sampling": {"counts": {"1": 100}}})
    assert engine.say(job_id, "succeeded").status_code == 200
    history = [(event.kind, event.attempt) for event in outside.services.log.history(job_id)]
    assert ("lease_expired", 1) in history
    assert ("completed", 2) in history


def test_a_result_that_cannot_be_uploaded_now_is_uploaded_later(
    outside: FrontDoor, alice: Oqtopus, engine: EngineCalls
):
    """The engine has done its part; nobody runs the job again, and no engine is needed for the rest."""
    job_id = submitted(outside)
    engine.runs(job_id)
    engine.bring(job_id)
    in_the_way = outside.services.settings.folder / "storage" / "results" / "kawasaki" / f"{job_id}.json"
    in_the_way.mkdir(parents=True)
    assert engine.say(job_id, "succeeded").status_code == 200
    assert alice.status(job_id) == "submitted"
    assert job_id not in [job["job_id"] for job in engine.jobs()]
    in_the_way.rmdir()
    log = outside.services.log
    log.append(log.get(job_id), Revived(by="test"), attempt=1, actor="test")  # its pause need not be waited for
    assert asyncio.run(upload_staged(outside.services)) == 1
    assert alice.status(job_id) == "succeeded"
    kinds = [event.kind for event in log.history(job_id)]
    assert (kinds.count("executed"), kinds.count("uploaded")) == (1, 1)


def test_a_server_that_died_after_a_claim_has_held_nothing_up(outside: FrontDoor, alice: Oqtopus):
    """The document is checked then when the engine says that the job runs."""
    new = outside.directory.issue(device_stream("kawasaki"), actor="test")
    job_id, faulty = submitted(outside), submitted(outside, program=["no program"])
    for each in (job_id, faulty):
        assert Engine(outside.services, "kawasaki", new.token_id).claim(each) is not None
    engine = EngineCalls(outside, key=new.text)
    assert engine.say(job_id, "running").status_code == 200
    assert engine.say(job_id, "cancelled").status_code == 200
    assert "is failed" in refused(engine.say(faulty, "running"), 409)
    assert alice.status(faulty) == "failed"


def test_signatures_hold_for_one_file_of_one_attempt(outside: FrontDoor, engine: EngineCalls):
    """A form that is changed anywhere is none."""
    job_id, other = submitted(outside), submitted(outside)
    engine.runs(job_id)
    engine.runs(other)
    (form,) = engine.forms(job_id, "transpile_result")
    fields, content = form["fields"], packed("result", SAMPLED)
    for change in (
        {"key": f"{job_id}/1/result.zip"},
        {"key": f"{other}/1/transpile_result.zip"},
        {"key": f"{job_id}/2/transpile_result.zip"},
        {"key": f"{job_id}/1/input.zip"},
        {"key": "x"},
        {"AWSAccessKeyId": "0" * 12},
        {"policy": "99999999999"},
        {"signature": ""},
    ):
        refused(brought({"url": form["url"], "fields": fields | change}, content), 403)
    assert CLIENT.get(f"{form['url']}/{job_id}/input.zip?expires=99999999999&signature=x").status_code == 403
    engine.say(job_id, "failed")
    engine.say(other, "failed")


def test_what_is_no_zip_file_with_one_file_is_refused(outside: FrontDoor, engine: EngineCalls):
    """Bombs are never unpacked; a file that is too large is not taken; what is good can still be brought."""
    job_id = submitted(outside)
    engine.runs(job_id)
    (form,) = engine.forms(job_id, "result")
    bomb = packed("result", b"\0" * 20_000_000).replace(b"result", b"r.json")
    for content in (b"", b"no zip", bomb, packed("result", "no ending"), packed("../result", SAMPLED)):
        refused(brought(form, content), 400)
    assert brought(form, b"x" * 40_000_000).status_code == 413
    refused(CLIENT.post(form["url"], content=b"x", headers={"content-type": "text/plain"}), 400)
    engine.bring(job_id)
    assert engine.say(job_id, "succeeded").status_code == 200


def test_what_is_no_result_of_the_job_is_refused(outside: FrontDoor, alice: Oqtopus, engine: EngineCalls):
    """The job goes on running, and the right result can still be brought."""
    job_id = submitted(outside)
    engine.runs(job_id)
    for value, why in (
        ([], "must hold an object"),
        ({"sampling": None, "estimation": {"exp_value": 1, "stds": 0}}, "sampling: the job asks for one"),
        ({"sampling": {"counts": {"0": 60, "1": 41}}}, "it has 101 shots instead of 100"),
        ({"sampling": {"counts": {"/etc/passwd": 100}}}, "must be bits"),
    ):
        engine.bring(job_id, value=value)
        assert why in refused(engine.say(job_id, "succeeded"), 400)
    assert alice.status(job_id) == "running"
    engine.bring(job_id)
    assert engine.say(job_id, "succeeded").status_code == 200


def test_bodies_have_their_shape(outside: FrontDoor, alice: Oqtopus, engine: EngineCalls):
    """All that is wrong is said, and nothing is done."""
    job_id = submitted(outside)
    for body in (
        {"status": "submitted"},
        {},
        {"status": "ready", "execution_time": -1},
        {"status": "ready", "execution_time": "1"},
        {"status": "ready", "output_files": ["x/y/z.zip"]},
        {"status": "ready", "output_files": ["other/1/result.zip"]},
        {"status": "ready", "more": 1},
    ):
        refused(engine.ask("PATCH", f"/jobs/{job_id}/status", json=body), 400)
    refused(engine.ask("PATCH", f"/jobs/{job_id}/status", content=b"[" * 100_000), 400)
    refused(engine.ask("PATCH", f"/jobs/{job_id}/status", content=b"x" * 40_000_000), 413)
    for items in ("sse_log", "input", "", "result,,"):
        refused(engine.ask("GET", f"/jobs/{job_id}/upload", params={"items": items}), 400)
    for query in ({}, {"device_id": "kawasaki", "status": "x"}, {"device_id": "kawasaki", "limit": 0}):
        refused(engine.ask("GET", "/jobs", params=query), 400)
    for path, body in (
        ("", {"n_qubits": 0}),
        ("/status", {"status": "asleep"}),
        ("/device_info", {"device_info": "[]"}),
        ("/device_info", {"device_info": "{}", "calibrated_at": "yesterday"}),
        ("/device_info", {"device_info": "{}", "calibrated_at": "0001-01-01T00:00:00+14:00"}),
        ("/device_info", {"device_info": "{}", "calibrated_at": "9999-12-31T23:59:59-14:00"}),
        *(("/device_info", {"device_info": unlike}) for unlike in UNLIKE_JSON),
    ):
        refused(engine.ask("PATCH", f"/devices/kawasaki{path}", json=body), 400)
    refused(engine.ask("GET", "/jobs", params={"device_id": "kawasaki", "timestamp": "0001-01-01T00:00:00+14:00"}), 400)
    assert alice.status(job_id) == "submitted"


def test_what_not_everybody_can_read_is_not_kept_with_a_job(outside: FrontDoor, engine: EngineCalls):
    """It would stand in every list of the device's jobs, for each of its engines."""
    job_id = submitted(outside)
    engine.runs(job_id)
    for unlike in UNLIKE_JSON:
        refused(engine.ask("PUT", f"/jobs/{job_id}/transpiler_info", content=unlike), 400)
    assert engine.job(job_id)["transpiler_info"] == {}
    engine.say(job_id, "failed")
