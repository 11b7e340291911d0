"""Jobs through the API, as a client sends them over HTTP."""

import json
from typing import Any

import pytest
from quledger_client import Client, Result

from deployments.api.result_process import Made
from models.interventions import ResultRemoved
from storage import layout
from tests.api.conftest import SPIN, FrontDoor
from tests.finished import experiment, finish

BAD = {"experiment_0": {"instructions": [["lod", [0], [50]], ["measure", [3], []]], "num_wires": 1, "shots": 0}}
BOTH = {"Accept": "Application/X-NPZ; q=1, application/json, */*;q=0.5"}


def problem(answer: Any, code: int) -> dict[str, Any]:
    """Return the problem document of an answer, which has to have this code."""
    assert answer.status_code == code, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == code
    return found


def test_a_job_is_handed_in_and_found(door: FrontDoor) -> None:
    """And it is the token's user whose it is."""
    answer = door.ask("alice", "POST", "/v1/jobs", json={"backend": "singlequdit", "document": SPIN, "priority": 3})
    assert answer.status_code == 201
    job_id = answer.json()["job_id"]
    assert answer.headers["location"] == f"/v1/jobs/{job_id}"
    job = door.ask("alice", "GET", f"/v1/jobs/{job_id}").json()
    assert (job["user"], job["state"], job["status"], job["priority"]) == ("alice", "QUEUED", "INITIALIZING", 3)
    assert json.loads(door.ask("alice", "GET", f"/v1/jobs/{job_id}/document").content) == SPIN


def test_all_faults_of_a_document_are_told_and_nothing_is_stored(door: FrontDoor) -> None:
    """Each with its place."""
    before = door.ask("alice", "GET", "/v1/jobs?total=true&limit=1").json()["total"]
    answer = door.ask("alice", "POST", "/v1/jobs", json={"backend": "singlequdit", "document": BAD})
    fields = [fault["field"] for fault in problem(answer, 422)["faults"]]
    assert fields == ["experiment_0.shots", "experiment_0.[0].name", "experiment_0.[1].wires[0]"]
    assert door.ask("alice", "GET", "/v1/jobs?total=true&limit=1").json()["total"] == before


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", ["body"]),
        (b"[1, 2", ["body"]),
        (b"\xff", ["body"]),
        (b'{"backend": "a", "backend": "b"}', ["body"]),
        (b"[" * 100_000, ["body"]),
        (b"[]", [""]),
        (b'{"document": {}, "zz": 1, "priority": "high"}', ["backend", "priority", "zz"]),
        (b'{"backend": "singlequdit"}', [""]),
        (b'{"backend": "singlequdit", "document": {}, "shots": 5}', [""]),
        (b'{"backend": "singlequdit", "document": {}, "priority": 1000001}', ["priority"]),
    ],
)
def test_a_request_with_faults_is_told_all_of_them(door: FrontDoor, body: bytes, fields: list[str]) -> None:
    """In the words of its fields."""
    found = problem(door.ask("alice", "POST", "/v1/jobs", content=body), 422)
    assert [fault["field"] for fault in found["faults"]] == fields
    assert found["detail"].startswith(fields[0] or found["faults"][0]["message"])
    assert "Value error" not in found["detail"]


def test_a_document_as_text_is_kept_to_the_letter(door: FrontDoor) -> None:
    """Blanks and order too, and a key that stands twice in it is a fault."""
    text = json.dumps(SPIN, indent=3)
    job_id = door.submit("alice", document=text)
    assert door.ask("alice", "GET", f"/v1/jobs/{job_id}/document").content == text.encode()
    twice = text.replace('"shots": 10', '"shots": 10, "shots": 20')
    answer = door.ask("alice", "POST", "/v1/jobs", json={"backend": "singlequdit", "document": twice})
    assert "stands twice" in problem(answer, 422)["faults"][0]["message"]


def test_half_a_character_is_a_fault_of_the_document(door: FrontDoor) -> None:
    """JSON can hold it, UTF-8 cannot."""
    answer = door.ask("alice", "POST", "/v1/jobs", content=b'{"backend": "singlequdit", "document": "\\ud800"}')
    assert problem(answer, 422)["detail"] == "the document holds half of a character (a lone surrogate)"


def test_the_same_key_is_the_same_job(door: FrontDoor) -> None:
    """Of another user it is another one, and with another document it is refused."""

    def post(user: str, document: Any) -> Any:
        body = {"backend": "singlequdit", "document": document}
        return door.ask(user, "POST", "/v1/jobs", json=body, headers={"Idempotency-Key": "monday"})

    first, again, other = post("alice", SPIN), post("alice", SPIN), post("bob", SPIN)
    assert [each.status_code for each in (first, again, other)] == [201, 200, 201]
    assert first.json()["job_id"] == again.json()["job_id"] != other.json()["job_id"]
    changed = {"experiment_0": SPIN["experiment_0"] | {"shots": 11}}
    assert "another document" in problem(post("alice", changed), 409)["detail"]


def test_of_a_batch_the_good_are_stored_and_each_other_is_told_why(door: FrontDoor) -> None:
    """In their order."""
    good = {"backend": "singlequdit", "document": SPIN}
    jobs = [
        good | {"key": "b1"},
        good | {"document": BAD},
        good | {"key": "b1"},
        good | {"backend": "nosuch"},
        good | {"project": "secret"},
        good | {"document": "\ud800"},
    ]
    answers = door.ask("alice", "POST", "/v1/jobs:batch", content=json.dumps({"jobs": jobs})).json()["jobs"]
    assert [each["status"] for each in answers] == [201, 422, 200, 404, 403, 422]
    assert answers[0]["job_id"] == answers[2]["job_id"]
    assert len(answers[1]["problem"]["faults"]) == 3
    assert answers[3]["job_id"] is None


def test_a_page_follows_a_page_without_gap_or_repetition(door: FrontDoor) -> None:
    """Though jobs are handed in meanwhile."""
    mine = [door.submit("bob", priority=number) for number in range(5)]
    found: list[str] = []
    path = "/v1/jobs?limit=2&sort=newest"
    while path:
        page = door.ask("bob", "GET", path).json()
        found += [job["job_id"] for job in page["jobs"]]
        door.submit("bob")
        path = f"/v1/jobs?limit=2&sort=newest&cursor={page['next']}" if page["next"] else ""
    assert found[:5] == mine[::-1]
    assert len(found) == len(set(found))


def test_a_list_is_narrowed(door: FrontDoor) -> None:
    """By backend, state, project and the beginning of the id."""
    job_id = door.submit("alice", project="atoms")
    for query, expected in (
        (f"q={job_id[:12]}", [job_id]),
        (f"q={job_id}&project=atoms&state=QUEUED&state=DONE&backend=singlequdit", [job_id]),
        (f"q={job_id}&state=DONE", []),
        (f"q={job_id}&backend=rydberg", []),
    ):
        assert [job["job_id"] for job in door.ask("alice", "GET", f"/v1/jobs?{query}").json()["jobs"]] == expected


def test_a_job_that_waits_is_cancelled_and_then_hidden(door: FrontDoor) -> None:
    """Its owner finds it no more, an operator does."""
    job_id = door.submit("alice")
    assert problem(door.ask("alice", "DELETE", f"/v1/jobs/{job_id}"), 409)
    cancelled = door.ask("alice", "POST", f"/v1/jobs/{job_id}/cancel?reason=typo").json()
    assert cancelled["state"] == "CANCELLED"
    assert problem(door.ask("alice", "POST", f"/v1/jobs/{job_id}/cancel"), 409)
    assert problem(door.ask("alice", "GET", f"/v1/jobs/{job_id}/result"), 409)
    assert door.ask("alice", "DELETE", f"/v1/jobs/{job_id}").status_code == 204
    assert problem(door.ask("alice", "GET", f"/v1/jobs/{job_id}"), 404)
    assert door.ask("alice", "GET", f"/v1/jobs?q={job_id}").json()["jobs"] == []
    assert door.ask("olga", "GET", f"/v1/jobs/{job_id}").json()["state"] == "CANCELLED"
    kinds = [event["kind"] for event in door.ask("olga", "GET", f"/v1/jobs/{job_id}/history").json()]
    assert kinds == ["submitted", "cancel_requested", "cancelled", "hidden"]


def test_the_key_of_a_deleted_job_is_used_up(door: FrontDoor) -> None:
    """It leads to no job that its owner would not find then."""

    def post() -> Any:
        body = {"backend": "singlequdit", "document": SPIN}
        return door.ask("alice", "POST", "/v1/jobs", json=body, headers={"Idempotency-Key": "deleted"})

    job_id = post().json()["job_id"]
    door.ask("alice", "POST", f"/v1/jobs/{job_id}/cancel")
    assert door.ask("alice", "DELETE", f"/v1/jobs/{job_id}").status_code == 204
    assert "you have deleted" in problem(post(), 409)["detail"]


def test_a_job_run_again_is_a_new_one_that_names_the_old(door: FrontDoor) -> None:
    """It has the same document."""
    job_id = door.submit("alice")
    answer = door.ask("alice", "POST", f"/v1/jobs/{job_id}/rerun")
    assert answer.status_code == 201
    again = door.ask("alice", "GET", f"/v1/jobs/{answer.json()['job_id']}").json()
    first = door.ask("alice", "GET", f"/v1/jobs/{job_id}").json()
    assert (again["derived_from"], again["document_sha256"]) == (job_id, first["document_sha256"])
    assert again["job_id"] != job_id


def test_users_see_no_worker_and_no_path(door: FrontDoor) -> None:
    """Operators see all that the log holds."""
    job_id = door.submit("alice")
    door.ask("alice", "POST", f"/v1/jobs/{job_id}/cancel?reason=typo")
    alice, olga = (door.ask(user, "GET", f"/v1/jobs/{job_id}/history").json() for user in ("alice", "olga"))
    assert [event["data"] for event in alice if event["kind"] == "cancel_requested"] == [{"reason": "typo"}]
    assert olga[1]["data"]["by"] == "alice"
    assert olga[0]["data"]["document"] == json.dumps(SPIN, separators=(",", ":"))


def test_the_version_of_a_job_is_its_tag(door: FrontDoor) -> None:
    """Who has it already is told so, and who waits is told of the next one."""
    job_id = door.submit("alice")
    first = door.ask("alice", "GET", f"/v1/jobs/{job_id}")
    assert first.headers["etag"] == '"0"'
    same = door.ask("alice", "GET", f"/v1/jobs/{job_id}", headers={"If-None-Match": '"0"'})
    assert (same.status_code, same.content) == (304, b"")
    door.ask("alice", "POST", f"/v1/jobs/{job_id}/cancel")
    # It has ended: nothing is waited for.
    changed = door.ask("alice", "GET", f"/v1/jobs/{job_id}?wait=60", headers={"If-None-Match": '"0"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')


def test_a_stream_tells_each_event_and_ends_with_the_job(door: FrontDoor) -> None:
    """Who comes again gets what came since."""
    job_id = door.submit("alice")
    door.ask("alice", "POST", f"/v1/jobs/{job_id}/cancel")
    path = f"/v1/jobs/{job_id}/events"
    text = door.ask("alice", "GET", path).text
    assert [line for line in text.splitlines() if line.startswith("event")] == [
        "event: submitted",
        "event: cancel_requested",
        "event: cancelled",
    ]
    assert door.ask("alice", "GET", path, headers={"Last-Event-ID": "1"}).text.startswith("id: 2\nevent: cancelled\n")


def finished(door: FrontDoor) -> tuple[str, str, bytes]:
    """Return a job that is DONE, where its result is asked for, and the bytes of it."""
    job_id = door.submit("alice")
    finish(door.services, job_id, experiment("experiment_0", *["0 1", "1 1", "0 1", "0 1"] * 500))
    stored = door.services.stores.of("").get(layout.result("singlequdit", job_id))
    return job_id, f"/v1/jobs/{job_id}/result", stored


def kind(answer: Any) -> str:
    """Return what was sent."""
    assert answer.status_code == 200, answer.text
    return str(answer.headers["content-type"]).partition(";")[0]


def test_a_result_is_sent_for_numpy_where_that_is_wanted(door: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name always; to who accepts it where the result is large, and it is much shorter."""
    job_id, path, stored = finished(door)
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
    with Client(door.url, door.token("alice")) as client:
        found = client.job(job_id).result()
        assert (found.document, found.counts()) == (json.loads(stored), {"0 1": 1500, "1 1": 500})
    for query, headers in (("?format=json", BOTH), ("", {}), ("", {"Accept": "application/json"})):
        assert kind(door.ask("alice", "GET", path + query, headers=headers)) == "application/json"
    monkeypatch.setattr("deployments.api.results.MAX_SHORTER_BYTES", len(stored) - 1)
    assert door.ask("alice", "GET", path, headers=BOTH).content == stored
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
