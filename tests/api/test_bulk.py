"""`POST /v1/jobs:cancel` and `:retry`: a user acts on his own jobs, whatever the filter says."""

from tests.api.conftest import FrontDoor


def test_jobs_are_cancelled_by_filter(door: FrontDoor):
    """First it is said which; then it is done; then there is nothing to do. Nobody reaches another's jobs."""
    mine = [door.submit("alice", project="atoms"), door.submit("alice")]
    other = door.submit("bob")
    wanted = {"backend": "singlequdit", "state": ["QUEUED"], "since": "2h"}
    said = door.ask("alice", "POST", "/v1/jobs:cancel", json=wanted).json()
    assert said == {"dry_run": True, "job_ids": mine, "failed": [], "more": False}
    part = door.ask("alice", "POST", "/v1/jobs:cancel", json=wanted | {"dry_run": False, "limit": 1}).json()
    assert part == {"dry_run": False, "job_ids": mine[:1], "failed": [], "more": True}
    assert door.ask("carol", "POST", "/v1/jobs:cancel", json={"project": "atoms"}).json()["job_ids"] == []
    rest = door.ask("alice", "POST", "/v1/jobs:cancel", json=wanted | {"dry_run": False}).json()
    assert (rest["job_ids"], rest["more"]) == (mine[1:], False)
    again = door.ask("alice", "POST", "/v1/jobs:cancel", json=wanted | {"dry_run": False}).json()
    assert (again["job_ids"], again["failed"]) == ([], [])
    assert door.ask("bob", "GET", f"/v1/jobs/{other}").json()["state"] == "QUEUED"
    named = door.ask("alice", "POST", "/v1/jobs:cancel", json={"user": "bob"}).json()
    assert named["job_ids"] == []
    assert door.ask("olga", "POST", "/v1/jobs:cancel", json={"user": "bob"}).json()["job_ids"] == [other]


def test_what_cannot_be_is_refused(door: FrontDoor):
    """Without any filter, with a time that is none, for states it is not for, by who may only look."""
    for body, said in (
        ({}, "say which jobs"),
        ({"dry_run": False}, "say which jobs"),
        ({"since": "soon"}, "since: 'soon' is no time"),
        ({"state": ["LOST"]}, "state"),
        ({"label": ["x"]}, "NAME=VALUE"),
        ({"limit": 0}, "limit"),
    ):
        answer = door.ask("alice", "POST", "/v1/jobs:retry", json=body)
        assert answer.status_code == 422, answer.text
        assert said in answer.text
    done = door.ask("alice", "POST", "/v1/jobs:retry", json={"state": ["DONE"]})
    assert (done.status_code, done.json()["detail"]) == (422, "retry is for jobs that are ERROR, QUEUED, WITHDRAWN")
    assert door.ask("vic", "POST", "/v1/jobs:cancel", json={"since": "2h"}).status_code == 403
    assert door.ask(None, "POST", "/v1/jobs:cancel", json={"since": "2h"}).status_code == 401
