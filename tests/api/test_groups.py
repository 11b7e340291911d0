"""Labels, checks and groups through the API."""

import contextlib
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd
import pytest

from deployments.api.results import MAX_WAITING, Results
from storage import layout
from tests.api.conftest import SPIN, FrontDoor
from tests.api.test_jobs import BAD, problem
from tests.finished import experiment, finish
from tests.waiting import until

TEMPLATE = json.loads(json.dumps(SPIN).replace("1.57", '"{theta}"').replace("50", '"{atoms}"'))
SWEEP: dict[str, Any] = {"backend": "singlequdit", "template": TEMPLATE}


def test_a_check_says_what_handing_in_would(door: FrontDoor) -> None:
    """And stores nothing; who may not hand in may not check."""
    good = door.ask("alice", "POST", "/v1/check", json={"backend": "singlequdit", "document": SPIN})
    assert (good.status_code, good.json()) == (200, {"backend": "singlequdit", "is_checked": True, "shots": 10})
    bad = {"backend": "singlequdit", "document": BAD}
    told = problem(door.ask("alice", "POST", "/v1/check", json=bad), 422)
    assert told == problem(door.ask("alice", "POST", "/v1/jobs", json=bad), 422)
    problem(door.ask("vic", "POST", "/v1/check", json=bad), 403)
    problem(door.ask("alice", "POST", "/v1/check", json={"backend": "nosuch", "document": SPIN}), 404)


def test_labels_are_set_and_found(door: FrontDoor) -> None:
    """By the owner; others of the project see them, and may not change them."""
    job = door.submit("alice", project="atoms", labels={"sample": "e\u0301", "draft": ""})
    path = f"/v1/jobs/{job}/labels"
    answer = door.ask("alice", "PATCH", path, json={"labels": {"good": "yes", "draft": None}})
    assert answer.json()["labels"] == {"sample": "é", "good": "yes"}
    assert [each["job_id"] for each in listed(door, "carol", label=["sample=é", "good=yes"])] == [job]
    assert listed(door, "carol", label=["sample=é", "good=no"]) == []
    assert listed(door, "bob", label=["sample=é"]) == []
    (_, event) = door.ask("alice", "GET", f"/v1/jobs/{job}/history").json()
    assert event["data"] == {"by": "alice", "labels": {"good": "yes"}, "removed": ["draft"]}
    problem(door.ask("carol", "PATCH", path, json={"labels": {"a": "1"}}), 403)
    problem(door.ask("bob", "PATCH", path, json={"labels": {"a": "1"}}), 404)
    wrong = door.ask("alice", "PATCH", path, json={"labels": {"a=": "1", "b": "\x07"}})
    assert [fault["field"] for fault in problem(wrong, 422)["faults"]] == ["labels.a=", "labels.b"]
    problem(door.ask("alice", "PATCH", path, json={"labels": {}}), 422)
    problem(door.ask("alice", "GET", "/v1/jobs?label=x"), 422)


def test_labels_are_not_changed_for_ever(door: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """With each change the history is written anew: a thousand of them cost as much as a million events."""
    monkeypatch.setattr("tasks.jobs.labelling.MAX_EVENTS", 2)
    path = f"/v1/jobs/{door.submit('alice')}/labels"
    for value, code in (("1", 200), ("2", 200), ("2", 200), ("3", 422)):
        assert door.ask("alice", "PATCH", path, json={"labels": {"a": value}}).status_code == code


def listed(door: FrontDoor, user: str, **filters: Any) -> list[dict[str, Any]]:
    """Return the jobs that a list shows."""
    found: list[dict[str, Any]] = door.ask(user, "GET", "/v1/jobs", params=filters).json()["jobs"]
    return found


def test_a_sweep_is_handed_in_and_read(door: FrontDoor) -> None:
    """Bad rows are named and left out; the same rows are the same jobs; results are a table."""
    rows = [{"theta": 0.5, "atoms": 20}, {"theta": "much", "atoms": 20}, {"theta": 1.0, "atoms": 20}]
    first = door.ask("alice", "POST", "/v1/groups", json=SWEEP | {"group": "rabi", "rows": rows, "project": "atoms"})
    assert first.status_code == 200, first.text
    said = first.json()
    assert (said["submitted"], said["present"], said["left_out"]) == (2, 0, 1)
    assert [(fault["row"], fault["column"]) for fault in said["faults"]] == [(2, "theta")]
    assert "got 'much'" in said["faults"][0]["message"]
    rows[1]["theta"] = 0.75
    again = door.ask("alice", "POST", "/v1/groups", json=SWEEP | {"group": "rabi", "rows": rows, "project": "atoms"})
    assert (again.json()["submitted"], again.json()["present"]) == (1, 2)
    for job_id in said["jobs"]:
        finish(door.services, job_id, experiment("experiment_0", "1", "2"))
    group = door.ask("carol", "GET", "/v1/groups/rabi").json()
    assert (group["states"], group["parameters"]) == ({"QUEUED": 1, "DONE": 2}, ["theta", "atoms"])
    assert [(each["group"], each["jobs"]) for each in door.ask("carol", "GET", "/v1/groups").json()] == [("rabi", 3)]
    assert len(listed(door, "carol", group="rabi")) == 3
    table = door.ask("carol", "GET", "/v1/groups/rabi/results").json()
    assert [(row["theta"], row["state"], row["mean_0"]) for row in table["rows"]] == [
        *((0.5, "DONE", 1.5), (1.0, "DONE", 1.5), (0.75, "QUEUED", None))
    ]
    assert (table["troubles"], table["next"]) == ([], None)
    beside = door.ask("carol", "GET", "/v1/groups/rabi/compare/rabi").json()
    assert [(row["theta"], row["mean_a"], row["difference"]) for row in beside["rows"]] == [
        (0.5, 1.5, 0),
        (1.0, 1.5, 0),
    ]
    assert door.ask("carol", "GET", "/v1/groups/rabi/compare/rabi?format=csv").text.startswith(
        "theta,atoms,wire,mean_a"
    )
    problem(door.ask("bob", "GET", "/v1/groups/rabi/compare/rabi"), 404)
    part = door.ask("alice", "GET", "/v1/groups/rabi/results?limit=2&format=csv&table=outcomes")
    assert part.text.splitlines()[0] == "job_id,experiment,theta,atoms,outcome,count,frequency"
    rest = {"cursor": part.headers["x-next-cursor"], "format": "parquet", "table": "wires"}
    frame = pd.read_parquet(io.BytesIO(door.ask("alice", "GET", "/v1/groups/rabi/results", params=rest).content))
    assert (len(frame), list(frame)[:4]) == (0, ["job_id", "experiment", "theta", "atoms"])


def test_large_results_are_read_one_at_a_time(door: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes while enough wait is told so at once; a table of a group stops where its results are too much."""
    body = SWEEP | {"group": "large", "rows": [{"theta": 0.5, "atoms": 20}, {"theta": 1, "atoms": 20}]}
    jobs = door.ask("alice", "POST", "/v1/groups", json=body).json()["jobs"]
    for job_id in jobs:
        finish(door.services, job_id, experiment("experiment_0", "1", "2"))
    results: Results = door.app.state.calls.results
    monkeypatch.setattr("deployments.api.results.LARGE_BYTES", 0)
    monkeypatch.setattr("deployments.api.results.KEPT_BYTES", 0)
    monkeypatch.setattr("deployments.api.lists.MAX_READ", 300)
    job = door.services.log.get(jobs[0])
    with contextlib.ExitStack() as others:
        waiting = ThreadPoolExecutor(MAX_WAITING)
        others.enter_context(waiting)
        held, done = threading.Event(), threading.Event()
        others.callback(done.set)
        first = waiting.submit(results.of, job, lambda _document: (held.set(), done.wait()))
        assert held.wait(10)
        more = [waiting.submit(results.of, job, len) for _ in range(MAX_WAITING - 1)]
        until(lambda: results._room._value == 0)
        for kind in ("json", "csv"):
            answer = door.ask("alice", "GET", f"/v1/jobs/{jobs[0]}/result?format={kind}")
            assert problem(answer, 429)["type"] == "urn:quledger:too-many-large"
            assert answer.headers["retry-after"] == "5"
        done.set()
        assert [each.result(10) for each in (first, *more)][1:] == [4] * (MAX_WAITING - 1)
    path = layout.result("singlequdit", jobs[0])
    stored = door.services.stores.of("").get(path)
    assert door.ask("alice", "GET", f"/v1/jobs/{jobs[0]}/result").content == stored
    monkeypatch.setattr("deployments.api.results.made_apart", None)  # what was checked once is not parsed again
    monkeypatch.setattr("deployments.api.sending.PART", 100)
    again = door.ask("alice", "GET", f"/v1/jobs/{jobs[0]}/result")
    assert (again.content, again.headers["content-length"]) == (stored, str(len(stored)))
    door.services.stores.of("").put(path, stored.replace(b'"1"', b'"2"'))
    said = problem(door.ask("alice", "GET", f"/v1/jobs/{jobs[0]}/result"), 409)
    assert (said["type"], "not the one that was accepted" in said["detail"]) == ("urn:quledger:not-authentic", True)
    door.services.stores.of("").put(path, stored)
    table = door.ask("alice", "GET", "/v1/groups/large/results").json()
    assert (len(table["rows"]), bool(table["next"])) == (1, True)


def test_a_group_is_seen_by_whom_its_jobs_are_seen(door: FrontDoor) -> None:
    """Two users may use one name; each sees his own."""
    for user in ("alice", "bob"):
        body = SWEEP | {"group": "mine", "rows": [{"theta": 0.5, "atoms": 20}]}
        assert door.ask(user, "POST", "/v1/groups", json=body).json()["submitted"] == 1
    assert [door.ask(user, "GET", "/v1/groups/mine").json()["jobs"] for user in ("alice", "bob", "olga")] == [1, 1, 2]
    problem(door.ask("carol", "GET", "/v1/groups/mine"), 404)
    problem(door.ask("carol", "GET", "/v1/groups/mine/results"), 404)
    problem(door.ask(None, "GET", "/v1/groups"), 401)
    problem(door.ask("vic", "GET", "/v1/groups/nosuch"), 404)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rows": [{"theta": 1}]}, "the template names '{atoms}', and there is no such column"),
        ({"rows": [{"theta": 1, "atoms": 2, "x": 3}]}, "the column 'x' has no place in the template"),
        ({"group": "a/b"}, "group: write at most 100 letters"),
        ({"rows": []}, "rows"),
        ({"rows": [{"theta": [1]}]}, "a cell is a number, a text, true or false"),
        ({"rows": [{"theta": None}]}, "a cell is a number, a text, true or false"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(door: FrontDoor, changes: dict[str, Any], said: str) -> None:
    """As a whole, by what is wrong with it."""
    body = SWEEP | {"group": "bad", "rows": [{"theta": 0.5, "atoms": 20}]} | changes
    told = problem(door.ask("alice", "POST", "/v1/groups", json=body), 422)
    assert said in told["detail"] + str(told["faults"])
    assert len(told["faults"]) <= 1
    problem(door.ask("alice", "GET", "/v1/groups/bad"), 404)


def test_jobs_of_a_batch_may_have_a_group(door: FrontDoor) -> None:
    """With parameters that somebody has chosen elsewhere; what cannot be one is refused by its name."""
    job = {"backend": "singlequdit", "document": SPIN, "group": "batch", "parameters": [{"phi": 0.5}]}
    bad = job | {"group": "", "parameters": [{"phi": 2**70}], "labels": {"": ""}}
    answers = door.ask("bob", "POST", "/v1/jobs:batch", json={"jobs": [job, bad]}).json()["jobs"]
    assert [each["status"] for each in answers] == [201, 422]
    assert [fault["field"] for fault in answers[1]["problem"]["faults"]] == [
        *("labels.", "parameters", "parameters[0].phi")
    ]
    assert door.ask("bob", "GET", "/v1/groups/batch").json()["parameters"] == ["phi"]
