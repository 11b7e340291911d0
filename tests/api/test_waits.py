"""Whoever waits: so many at once, and no longer than his token is good."""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from deployments.api import waits
from models import clock
from models.identity.facts import UserDisabled
from tests.api.conftest import FrontDoor, front_door
from tests.api.visitor import Visitor
from tests.waiting import until


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontDoor]:
    """A laboratory whose users may wait for two changes at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waits.Waits.run, "__defaults__", (0.05,))
        with front_door(tmp_path_factory.mktemp("narrow"), api_waits_a_user=2) as door:
            door.add_user("ann")
            door.add_user("ben")
            yield door


@contextlib.contextmanager
def stream(door: FrontDoor, user: str, job_id: str) -> Iterator[httpx.Response]:
    """Follow a job."""
    headers = {"Authorization": f"Bearer {door.token(user)}"}
    with httpx.stream("GET", f"{door.url}/v1/jobs/{job_id}/events", headers=headers, timeout=60) as answer:
        yield answer


def test_one_user_does_not_hold_all_connections(narrow: FrontDoor) -> None:
    """The third wait is refused with when to come again; another user's is not, and one that ends makes room."""
    job_id, other = narrow.submit("ann"), narrow.submit("ben")
    with stream(narrow, "ann", job_id) as first:
        began = first.iter_lines()  # as long as this is kept, the connection is open
        assert next(began) == "id: 0"
        with stream(narrow, "ann", job_id) as second:
            began_too = second.iter_lines()
            assert next(began_too) == "id: 0"
            for path in ("events", "result?wait=30", "?wait=30"):
                refused = narrow.ask("ann", "GET", f"/v1/jobs/{job_id}/{path}".replace("/?", "?"))
                assert (refused.status_code, refused.json()["type"]) == (429, "urn:quledger:too-many-waits")
                assert int(refused.headers["retry-after"]) > 0
            assert narrow.ask("ann", "GET", f"/v1/jobs/{job_id}").status_code == 200
            assert narrow.ask("ben", "GET", f"/v1/jobs/{other}?wait=0.1").status_code == 200
    until(lambda: narrow.ask("ann", "GET", f"/v1/jobs/{job_id}?wait=0.1").status_code == 200)
    until(lambda: not narrow.app.state.calls.waits._users)


def waiting(door: FrontDoor, ask: Callable[[], httpx.Response], end: Callable[[], object]) -> httpx.Response:
    """Return what a request is answered with that waits when something happens."""
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(ask)
        until(lambda: bool(door.app.state.calls.waits._users))
        end()
        return answer.result(20)


@pytest.mark.parametrize("path", ["?wait=50", "/result?wait=50"])
def test_a_long_poll_ends_with_its_token(narrow: FrontDoor, path: str) -> None:
    """When it is revoked: with 401, long before its time."""
    user = f"cid{len(path)}"
    narrow.add_user(user)
    job_id = narrow.submit(user)
    (listed,) = narrow.directory.tokens(user=user)
    answer = waiting(
        narrow,
        lambda: narrow.ask(user, "GET", f"/v1/jobs/{job_id}{path}"),
        lambda: narrow.directory.revoke(listed.token.token_id, actor="test"),
    )
    assert answer.status_code == 401


def test_a_page_that_waits_ends_with_its_user(narrow: FrontDoor) -> None:
    """When he is disabled: whoever looks at it has to sign in."""
    narrow.add_user("dot")
    job_id, visitor = narrow.submit("dot"), Visitor(narrow, "dot")
    answer = waiting(
        narrow,
        lambda: visitor.client.get(f"/ui/jobs/{job_id}/live?seen=0"),
        lambda: narrow.directory.append("user/dot", UserDisabled(), actor="test"),
    )
    assert answer.headers["location"].startswith("/ui/sign-in")


def test_a_stream_ends_with_its_token(narrow: FrontDoor) -> None:
    """At its expiry too."""
    narrow.add_user("eve")
    job_id = narrow.submit("eve")
    expires_at = clock.now() + timedelta(seconds=2)
    short = narrow.directory.issue("user/eve", ("read",), expires_at=expires_at, actor="test").text
    headers = {"Authorization": f"Bearer {short}"}
    with httpx.stream("GET", f"{narrow.url}/v1/jobs/{job_id}/events", headers=headers, timeout=10) as answer:
        assert "event: submitted" in list(answer.iter_lines())
    assert clock.now() >= expires_at


def test_nobody_is_waited_for_at_the_end(tmp_path: Path) -> None:
    """A stream is closed, a poll answered as it stands: a server that stops does so at once."""
    with front_door(tmp_path) as door, ThreadPoolExecutor() as threads:
        door.add_user("ann")
        job_id = door.submit("ann")
        poll = threads.submit(door.ask, "ann", "GET", f"/v1/jobs/{job_id}?wait=50")
        with stream(door, "ann", job_id) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "id: 0"
            until(lambda: door.app.state.calls.waits._users["user/ann"] == 2)
            began = time.monotonic()
            door.app.state.end_waits()
            assert "event: submitted" in list(lines)
        assert poll.result(20).status_code == 200
        assert door.ask("ann", "GET", f"/v1/jobs/{job_id}?wait=50").status_code == 200
        assert time.monotonic() - began < 20
