"""The result of a job in the form that was asked for, and what is kept of it for the next who asks."""

import json
from typing import Any

import pytest
from quledger_client import Result

from deployments.api import kept_results
from deployments.api.kept_results import KeptResults
from deployments.api.result_files import FORMS, Form
from deployments.api.result_process import Made
from models.interventions import ResultRemoved
from storage import layout
from tasks.jobs.accepted import Accepted
from tests.api.conftest import FrontDoor
from tests.api.test_jobs import problem
from tests.finished import experiment, finish

BOTH = {"Accept": "Application/X-NPZ; q=1, application/json, */*;q=0.5"}
SHOTS = ["0 1", "1 1", "0 1", "0 1"]


def finished(door: FrontDoor) -> tuple[str, str, bytes]:
    """Return a job that is DONE, where its result is asked for, and the bytes of it."""
    job_id = door.submit("alice")
    finish(door.services, job_id, experiment("experiment_0", *SHOTS))
    stored = door.services.stores.of("").get(layout.result("singlequdit", job_id))
    return job_id, f"/v1/jobs/{job_id}/result", stored


def kind(answer: Any) -> str:
    """Return what was sent."""
    assert answer.status_code == 200, answer.text
    return str(answer.headers["content-type"]).partition(";")[0]


def test_it_is_sent_for_numpy_where_that_is_wanted(door: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name always; to who accepts it where the result is large, and it is much shorter."""
    _, path, stored = finished(door)
    wanted = door.ask("alice", "GET", f"{path}?format=npz")
    assert (kind(wanted), "vary" in wanted.headers) == ("application/x-npz", False)
    assert Result.read(wanted.content).document == json.loads(stored)
    small = door.ask("alice", "GET", path, headers=BOTH)
    assert (kind(small), small.content, small.headers["vary"]) == ("application/json", stored, "Accept")
    monkeypatch.setattr("deployments.api.results.LARGE_BYTES", 0)
    monkeypatch.setattr("deployments.api.results.KEPT_BYTES", 0)
    for query in ("", "?wait=1"):
        large = door.ask("alice", "GET", path + query, headers=BOTH)
        assert (kind(large), large.content, large.headers["vary"]) == ("application/x-npz", wanted.content, "Accept")
    for query, headers in (("?format=json", BOTH), ("", {}), ("", {"Accept": "application/json"})):
        assert kind(door.ask("alice", "GET", path + query, headers=headers)) == "application/json"
    problem(door.ask("bob", "GET", f"{path}?format=npz"), 404)
    problem(door.ask("alice", "GET", f"{path}?format=npy"), 422)
    problem(door.ask("alice", "GET", "/v1/groups/g/results?format=npz"), 422)


def test_what_is_kept_is_no_result_without_the_stored_one(door: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gets what is not there any more, is not what was accepted, or was removed by the log."""
    monkeypatch.setattr("deployments.api.results.KEPT_BYTES", 0)
    job_id, path, stored = finished(door)
    storage, place = door.services.stores.of(""), layout.result("singlequdit", job_id)
    made = door.ask("alice", "GET", f"{path}?format=npz").content
    assert door.ask("alice", "GET", path).content == stored
    monkeypatch.setattr(Made, "of", None)  # from here on nothing is made
    for query, content in (("?format=npz", made), ("", stored)):
        storage.put(place, stored.replace(b'"1 1"', b'"0 0"'))
        assert problem(door.ask("alice", "GET", path + query), 409)["type"] == "urn:quledger:not-authentic"
        storage.delete(place)
        assert problem(door.ask("alice", "GET", path + query), 409)["type"] == "urn:quledger:result-missing"
        storage.put(place, stored)
        assert door.ask("alice", "GET", path + query).content == content
    job = door.services.log.get(job_id)
    door.services.log.append(job, ResultRemoved(kept_days=1), attempt=job.attempt, actor="test")
    assert problem(door.ask("alice", "GET", f"{path}?format=npz"), 409)["type"] == "urn:quledger:result-missing"


def test_what_is_kept_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was used longest ago goes first; what is too large for it, or is of another form, is not found."""
    monkeypatch.setattr(kept_results, "MAX_BYTES", 10)
    monkeypatch.setattr(kept_results, "MAX_ONE", 6)
    monkeypatch.setattr(kept_results, "MAX_NUMBER", 4)
    kept, form = KeptResults(), FORMS["npz"]
    results = [Accepted(job_id="j", sha256=str(number)) for number in range(9)]

    def found() -> list[int]:
        return [number for number, each in enumerate(results) if kept.get(each, form)]

    for number in range(3):
        kept.put(results[number], form, Made(None, memoryview(b"12345")))
        kept.get(results[0], form)
    assert found() == [0, 2]
    kept.put(results[2], form, Made(None, memoryview(b"1")))
    kept.put(results[3], form, Made(None, memoryview(b"1234")))
    kept.put(results[4], form, Made(None, memoryview(b"1234567")))
    assert found() == [0, 2, 3]
    for number in (5, 6, 7, 8):
        kept.put(results[number], form, Made((0, 10), memoryview(b"")))
    assert found() == [5, 6, 7, 8]
    assert kept.get(results[8], FORMS["json"]) is None
    assert kept.get(results[8], Form(form.write, {"item": 1})) is None
    assert kept.get(results[8].model_copy(update={"kid": "k"}), form) is None
