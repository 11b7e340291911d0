"""Operators pause and resume backends; everybody sees it, wherever he asks, and jobs are taken all the same."""

import pytest

from tests.api.conftest import SPIN, FrontDoor
from tests.api.visitor import Visitor, words

PAUSE, RESUME = "/v1/backends/singlequdit/pause", "/v1/backends/singlequdit/resume"


def operational(door: FrontDoor) -> tuple[bool, str]:
    """Return what clients of qlued are told of the backend."""
    said = door.ask(None, "GET", "/api/v2/singlequdit/get_backend_status").json()
    return said["operational"], said["status_msg"]


def test_a_pause_is_seen_everywhere(door: FrontDoor):
    """In the list of backends, in the answer to a submission, by clients of qlued, and on the pages."""
    answer = door.ask("olga", "POST", PAUSE, json={"reason": "laser <b>", "until": "2h", "drain_down": True})
    assert answer.status_code == 200
    pause = answer.json()["pause"]
    assert (pause["reason"], pause["drain_down"]) == ("laser <b>", True)
    assert "by" not in pause
    assert door.ask("alice", "GET", "/v1/backends/singlequdit").json()["pause"] == pause
    assert pause["text"].startswith("singlequdit is paused until ")
    assert operational(door) == (False, pause["text"])
    said = door.ask("alice", "POST", "/v1/jobs", json={"backend": "singlequdit", "document": SPIN})
    assert (said.status_code, said.json()["state"], said.json()["paused"]) == (201, "QUEUED", pause["text"])
    batch = {"jobs": [{"backend": "singlequdit", "document": SPIN}, {"backend": "nosuch", "document": SPIN}]}
    first, second = door.ask("alice", "POST", "/v1/jobs:batch", json=batch).json()["jobs"]
    assert (first["paused"], second["status"]) == (pause["text"], 404)
    alice, olga = Visitor(door, "alice"), Visitor(door, "olga")
    for path in ("/ui/backends", "/ui/backends/singlequdit"):
        assert "laser <b>" in words(alice.get(path))
    assert alice.post("/ui/backends/singlequdit/resume").status_code == 403
    assert olga.post("/ui/backends/singlequdit/resume").status_code == 303
    assert "paused" not in words(alice.get("/ui/backends/singlequdit"))
    assert olga.post("/ui/backends/singlequdit/pause", reason="again", until="").status_code == 303
    assert "singlequdit is paused: again." in words(alice.get("/ui/backends/singlequdit"))
    assert door.ask("olga", "POST", RESUME).json()["pause"] is None
    assert "paused" not in door.ask("alice", "POST", "/v1/jobs", json=batch["jobs"][0]).json()


@pytest.mark.parametrize("user", ["alice", "vic"])
def test_only_operators_may(door: FrontDoor, user: str):
    """Whoever else asks is told so, and nothing changes."""
    for path in (PAUSE, RESUME):
        answer = door.ask(user, "POST", path, json={})
        assert (answer.status_code, answer.json()["detail"]) == (403, "this is not permitted: only operators may")
    assert door.ask(None, "POST", PAUSE).status_code == 401
    assert door.ask("alice", "GET", "/v1/backends/singlequdit").json()["pause"] is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"until": "soon"}, "until: 'soon' is no time"),
        ({"until": "2020-01-01T00:00Z"}, "over already"),
        ({"reason": "x" * 201}, "200"),
        ({"reason": 5}, "string"),
        ({"why": "x"}, "why"),
    ],
)
def test_what_cannot_be_is_refused(door: FrontDoor, body: dict[str, object], said: str):
    """The field is named."""
    answer = door.ask("olga", "POST", PAUSE, json=body)
    assert answer.status_code in {409, 422}, answer.text
    assert said in answer.text
    assert door.ask("olga", "POST", "/v1/backends/nosuch/pause").status_code == 404
    assert door.ask("alice", "GET", "/v1/backends/singlequdit").json()["pause"] is None
