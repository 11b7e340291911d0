"""What nobody has foreseen: one answer without a word of it, one record in the log."""

import logging
from typing import Any

import httpx
import pytest
from starlette.responses import StreamingResponse

from deployments.api.calls import Calls
from deployments.api.v1 import acts
from tests.api.conftest import FrontDoor
from tests.waiting import until

SECRET = "qlg_secret"


def fail(*_any: Any, **_more: Any) -> Any:
    """Fail as nothing should."""
    raise ZeroDivisionError(SECRET)


def warnings(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what an operator reads."""
    return [each for each in caplog.records if each.levelno >= logging.WARNING]


PROBLEM = {"type", "title", "status", "detail", "faults"}


@pytest.mark.parametrize(
    ("path", "kind", "keys"),
    [
        ("/v1/jobs/0123456789abcdef01234567", "application/problem+json", PROBLEM),
        ("/oqtopus/jobs/0123456789abcdef01234567", "application/json", {"message"}),
        (
            "/api/v3/singlequdit/get_job_status?job_id=0123456789abcdef01234567",
            "application/json",
            {"job_id", "status", "detail", "error_message"},
        ),
    ],
)
def test_it_is_answered_and_logged_once(  # noqa: PLR0913 - three of them are fixtures
    door: FrontDoor,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    kind: str,
    keys: set[str],
) -> None:
    """In the shape of each dialect; the log has the way there, and no query."""
    monkeypatch.setattr(Calls, "job", fail)
    answer = door.ask("alice", "GET", path, headers={"q-api-token": door.token("alice")})
    assert (answer.status_code, answer.headers["content-type"], set(answer.json())) == (500, kind, keys)
    assert SECRET not in answer.text
    until(lambda: bool(warnings(caplog)))
    assert door.ask(None, "GET", "/v1/health").status_code == 200
    (record,) = warnings(caplog)
    assert record.getMessage().startswith("request_failed action=answer code=500 method=GET path=/")
    assert "job_id=" not in record.getMessage()
    assert record.exc_info


def test_an_answer_that_breaks_off_is_seen_to(
    door: FrontDoor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client learns that the rest is missing, and the log once why."""
    job_id = door.submit("alice")

    async def broken(*_any: Any) -> Any:
        yield "id: 0\n\n"
        fail()

    monkeypatch.setattr(acts, "StreamingResponse", lambda _events, **more: StreamingResponse(broken(), **more))
    with pytest.raises(httpx.RemoteProtocolError):
        door.ask("alice", "GET", f"/v1/jobs/{job_id}/events")
    until(lambda: bool(warnings(caplog)))
    assert door.ask(None, "GET", "/v1/health").status_code == 200
    assert len(warnings(caplog)) == 1
