"""`GET /v1/jobs/ID/why`, when a queue is drained, and what the page of a job says."""

from tests.api.conftest import FrontDoor
from tests.api.visitor import Visitor, words


def test_users_are_told_counts_and_operators_names(door: FrontDoor):
    """Of what is before a job; a foreign job is not there, whatever its place."""
    first = door.submit("bob")
    second = door.submit("alice")
    said = door.ask("alice", "GET", f"/v1/jobs/{second[:12]}/why").json()
    assert (said["job_id"], said["state"], said["holds"][0]["kind"]) == (second, "QUEUED", "turn")
    assert (said["queue"]["place"], said["queue"]["users_before"], said["queue"]["before"]) == (2, 1, None)
    assert said["lines"][0] == "it is number 2 in line, behind 1 job of 1 other user"
    assert "bob" not in str(said)
    assert door.ask("olga", "GET", f"/v1/jobs/{second}/why").json()["queue"]["before"] == {"bob": 1}
    assert door.ask("alice", "GET", f"/v1/jobs/{first}/why").status_code == 404
    assert door.ask(None, "GET", f"/v1/jobs/{second}/why").status_code == 401
    assert door.ask("alice", "GET", "/v1/backends/singlequdit").json()["eta"] is None
    alice = Visitor(door, "alice")
    assert "number 2 in line, behind 1 job of 1 other user" in words(alice.get(f"/ui/jobs/{second}"))
    door.ask("alice", "POST", f"/v1/jobs/{second}/cancel")
    assert door.ask("alice", "GET", f"/v1/jobs/{second}/why").json()["lines"] == ["the job has ended: it is CANCELLED"]
