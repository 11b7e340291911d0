"""Requests whose only purpose is to keep the server busy, or to make it fail."""

import contextlib

import pytest

from tests.api.conftest import FrontDoor
from tests.api.visitor import Visitor

MANY = ",".join(f'"k{number}": 1' for number in range(100_000))


@pytest.mark.parametrize("path", ["/v1/jobs", "/api/v2/singlequdit/post_job"])
def test_a_key_that_stands_twice_among_many_is_found_at_once(door: FrontDoor, path: str) -> None:
    """Where each were looked for among all others, it would take minutes."""
    content = f'{{"token": "{door.token("alice")}", {MANY}, "k99999": 2}}'.encode()
    answer = door.ask("alice", "POST", path, content=content)
    assert (answer.status_code, "'k99999' stands twice" in answer.text) == (422, True)


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("path", "headers", "content"),
    [
        ("/api/v2/singlequdit/post_job", {}, f'{{{MANY}, "k99999": 2}}'.encode()),
        ("/api/v2/singlequdit/post_job", {}, b'{"token": "nobodys", "job": ' + 50_000 * b"[[]," + b"1"),
        ("/api/v1/singlequdit/post_job", FORM, b"username=a&json=" + 100_000 * b"%41" + b"&password=nobodys"),
    ],
)
def test_what_nobody_has_sent_is_not_read(door: FrontDoor, path: str, headers: dict[str, str], content: bytes) -> None:
    """Each of these would take hundreds of times its size; whose it is stands in the body itself."""
    answer = door.ask(None, "POST", path, headers=headers, content=content)
    assert (answer.status_code, answer.json()["detail"]) == (401, "Invalid credentials!")


def test_a_form_of_the_pages_is_small(door: FrontDoor) -> None:
    """Nobody has to sign in for signing in; documents come in forms that are not escaped."""
    sent = door.ask(None, "POST", "/ui/sign-in", headers=FORM, content=b"token=" + 400_000 * b"%41")
    assert sent.status_code == 413
    with contextlib.closing(Visitor(door, "alice")) as alice:
        content = f"form_token={alice.form_token}&document=".encode() + 400_000 * b"%41"
        assert alice.client.post("/ui/submit", headers=FORM, content=content).status_code == 403


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
