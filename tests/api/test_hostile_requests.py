"""Requests whose only purpose is to keep the server busy, or to make it fail."""

import pytest

from tests.api.conftest import FrontDoor

MANY = ",".join(f'"k{number}": 1' for number in range(100_000))


@pytest.mark.parametrize("user", ["alice", None])
def test_a_key_that_stands_twice_among_many_is_found_at_once(door: FrontDoor, user: str | None) -> None:
    """Where each were looked for among all others, it would take minutes; clients of qlued need no token for that."""
    path = "/v1/jobs" if user else "/api/v2/singlequdit/post_job"
    answer = door.ask(user, "POST", path, content=f'{{{MANY}, "k99999": 2}}'.encode())
    assert (answer.status_code, "'k99999' stands twice" in answer.text) == (422, True)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/jobs", f'{{"backend": "singlequdit", {MANY}}}', ""),
        ("/v1/jobs:batch", f'{{"jobs": [{{"document": {{}}, {MANY}}}]}}', "jobs.0"),
        ("/v1/tokens", f"{{{MANY}}}", ""),
    ],
)
def test_very_many_unknown_keys_are_one_fault(door: FrontDoor, path: str, body: str, field: str) -> None:
    """Each alone would be an error with all that belongs to one, for seconds and gigabytes."""
    faults = door.ask("alice", "POST", path, content=body.encode()).json()["faults"]
    assert [fault["field"] for fault in faults] == [field]
    assert "keys, and its fields are" in faults[0]["message"]


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00%2B23:00"])
def test_a_time_that_is_none_in_utc_is_a_fault(door: FrontDoor, time: str) -> None:
    """Its year is none that there is."""
    answer = door.ask("alice", "GET", f"/v1/jobs?since={time}")
    assert (answer.status_code, answer.json()["faults"][0]["field"]) == (422, "query.since")
