"""What is on record, over HTTP: jobs as of a time, two jobs side by side, the schemas of all documents."""

from datetime import datetime, timedelta

import pytest

from tests.api.conftest import SPIN, FrontDoor
from tests.api.test_jobs import problem
from tests.finished import experiment, finish


def moment(text: str, seconds: float = 0.0) -> str:
    """Return a time some seconds later."""
    return (datetime.fromisoformat(text) + timedelta(seconds=seconds)).isoformat()


def test_a_job_as_it_stood(door: FrontDoor) -> None:
    """Before it was cancelled it waited; before it was handed in there was none."""
    job_id = door.submit("alice")
    done = door.ask("alice", "POST", f"/v1/jobs/{job_id}/cancel").json()
    then = door.ask("alice", "GET", f"/v1/jobs/{job_id}", params={"at": done["submitted_at"]})
    assert (then.json()["state"], then.json()["version"], "etag" in then.headers) == ("QUEUED", 0, False)
    now = door.ask("alice", "GET", f"/v1/jobs/{job_id}", params={"at": done["updated_at"]})
    assert now.json() == done
    before = problem(door.ask("alice", "GET", f"/v1/jobs/{job_id}?at=1h"), 404)
    assert "had not been handed in by" in before["detail"]
    assert "is no time" in problem(door.ask("alice", "GET", f"/v1/jobs/{job_id}?at=yesterday"), 422)["detail"]
    problem(door.ask("bob", "GET", f"/v1/jobs/{job_id}", params={"at": done["updated_at"]}), 404)


def test_a_list_as_it_was(door: FrontDoor) -> None:
    """A page at a time, of the jobs that had been handed in; the answer says the time of the next page too."""
    ids = [door.submit("alice", project="atoms", group="then") for _ in range(3)]
    door.ask("alice", "POST", f"/v1/jobs/{ids[0]}/cancel")
    last = door.ask("alice", "GET", f"/v1/jobs/{ids[2]}").json()["submitted_at"]
    later = door.submit("alice", project="atoms", group="then")
    asked = {"group": "then", "at": last, "limit": "2", "total": "true"}
    for user in ("alice", "carol", "olga"):
        first = door.ask(user, "GET", "/v1/jobs", params=asked).json()
        assert [job["job_id"] for job in first["jobs"]] == [ids[2], ids[1]]
        assert (first["total"], datetime.fromisoformat(first["at"])) == (3, datetime.fromisoformat(last))
        rest = door.ask(user, "GET", "/v1/jobs", params=asked | {"cursor": first["next"], "at": first["at"]}).json()
        assert [(job["job_id"], job["state"], rest["next"]) for job in rest["jobs"]] == [(ids[0], "QUEUED", None)]
        now = door.ask(user, "GET", "/v1/jobs?group=then").json()
        assert (now["jobs"][0]["job_id"], now["at"]) == (later, None)
    assert door.ask("bob", "GET", "/v1/jobs", params=asked).json()["jobs"] == []
    wrong = door.ask("alice", "GET", "/v1/jobs", params={"at": last, "state": "DONE"})
    assert "neither state nor label" in problem(wrong, 422)["detail"]


def test_two_jobs_side_by_side(door: FrontDoor) -> None:
    """Documents by their places, results by what chance allows; who may not see one of them learns nothing."""
    one = door.submit("alice")
    other = door.submit("alice", document={"experiment_0": SPIN["experiment_0"] | {"shots": 4}})
    path = f"/v1/jobs/{one[:12]}/diff/{other}"
    waiting = door.ask("alice", "GET", path).json()
    assert (waiting["jobs"], waiting["same"], waiting["results"], waiting["note"]) == ([one, other], False, None, "")
    assert waiting["changes"]["document"] == [{"path": "experiment_0.shots", "one": "10", "other": "4"}]
    finish(door.services, one, experiment("experiment_0", "1", "2"))
    finish(door.services, other, experiment("experiment_0", "1", "1", "2", "2"))
    (row,) = door.ask("alice", "GET", path).json()["results"]
    assert (row["same"], row["shots"], row["distance"]) == (False, [2, 4], 0.0)
    assert door.ask("alice", "GET", f"/v1/jobs/{one}/diff/{one}").json()["same"] is True
    secret = door.submit("bob")
    for user, code in (("alice", 404), ("bob", 404), ("carol", 404), ("olga", 200)):
        assert door.ask(user, "GET", f"/v1/jobs/{one}/diff/{secret}").status_code == code


def test_results_that_are_too_large_are_not_read(door: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said that they were not compared."""
    job_id = door.submit("alice")
    finish(door.services, job_id, experiment("experiment_0", *"1" * 400))
    monkeypatch.setattr("deployments.api.records.MAX_COMPARED", 1000)
    said = door.ask("alice", "GET", f"/v1/jobs/{job_id}/diff/{job_id}").json()
    assert (said["results"], "too large" in said["note"]) == (None, True)
    monkeypatch.setattr("deployments.api.records.MAX_COMPARED", 10)
    assert (
        "documents are too large"
        in problem(door.ask("alice", "GET", f"/v1/jobs/{job_id}/diff/{job_id}"), 422)["detail"]
    )


def test_the_schemas_of_all_documents(door: FrontDoor) -> None:
    """The same as `quledger schema` has, by the same names."""
    names = door.ask("vic", "GET", "/v1/schemas").json()
    assert {"status", "result", "manifest", "job/rydberg"} <= set(names)
    status = door.ask("vic", "GET", "/v1/schemas/status")
    assert (status.headers["content-type"], status.json()["title"]) == ("application/schema+json", "StatusDocument")
    documents = door.ask("vic", "GET", "/v1/schemas/job/rydberg").json()
    assert documents == door.ask("vic", "GET", "/v1/backends/rydberg/schema").json()
    for name in ("nosuch", "job/nosuch", "job/", "rydberg", "status/x"):
        assert "names no schema" in problem(door.ask("vic", "GET", f"/v1/schemas/{name}"), 404)["detail"]
    problem(door.ask(None, "GET", "/v1/schemas"), 401)


def test_how_long_results_are_kept(door: FrontDoor) -> None:
    """For ever, unless a setting says otherwise."""
    assert door.ask("vic", "GET", "/v1/retention").json() == {"results_days": None, "payloads_days": None}
