"""What the API of qlued refuses: always with the four keys of a status, which its clients read first."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.identity.facts import LimitsSet
from models.identity.limits import Limits
from models.identity.streams import user_stream
from tests.api.conftest import FrontDoor, front_door
from tests.api.qlued_calls import HTTP, TEXT, VERSIONS, call, refused, submitted


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", ["post_job", "get_job_status", "get_job_result"])
@pytest.mark.parametrize("token", [None, "", "wrong", "qlg_000000000000_" + 40 * "0", "😀" * 300])
def test_without_a_good_token_nothing_is_done(door: FrontDoor, version: str, path: str, token: str | None):
    """Before anything else that may be wrong."""
    if version == "/v3" and token is not None:
        token = token.encode("ascii", "ignore").decode()
    answer = call(door, f"{version}/nosuch/{path}", token, **({"job": TEXT} if path == "post_job" else {"job_id": "x"}))
    status = refused(answer, 401)
    assert (status["job_id"], status["error_message"], status["detail"]) == (
        "None",
        "Invalid credentials!",
        "Invalid credentials!",
    )


def test_a_token_is_not_taken_from_elsewhere(door: FrontDoor):
    """Each version has one place for it."""
    token, url = door.token("alice"), f"{door.url}/api"
    job_id = submitted(door)
    for path, place in (("", "token"), ("/v1", "token"), ("/v2", "password"), ("/v3", "token")):
        values = {"job_id": job_id, place: token}
        refused(HTTP.get(f"{url}{path}/singlequdit/get_job_status", params=values), 401)
    refused(HTTP.post(f"{url}/v2/singlequdit/post_job?token={token}", json={"job": TEXT}), 401)


def test_a_token_that_was_good_once_says_so(door: FrontDoor):
    """So that its user asks for another one."""
    issued = door.directory.issue(user_stream("bob"), ("read",), actor="test")
    door.directory.revoke(issued.token_id, actor="test")
    status = refused(call(door, "/v2/singlequdit/get_job_status", issued.text, job_id="x"), 401)
    assert status["error_message"] == "Invalid credentials!"
    assert status["detail"].startswith("Invalid credentials! this token was revoked")


@pytest.mark.parametrize(
    ("version", "name"),
    [
        *((version, "nosuch") for version in VERSIONS),
        ("/v2", "other_rydberg_simulator"),
        ("/v2", "default_rydberg_hardware"),
        ("/v2", "default_rydberg"),
        ("/v2", "default__simulator"),
        ("/v2", "a_b_c_d"),
        ("/v2", "%2e%2e"),
    ],
)
def test_an_unknown_backend_is_named_so(door: FrontDoor, version: str, name: str):
    """In all calls, also with a name in three parts of which one is wrong."""
    token = door.token("alice")
    for answer in (
        HTTP.get(f"{door.url}/api{version}/{name}/get_config"),
        HTTP.get(f"{door.url}/api{version}/{name}/get_backend_status"),
        call(door, f"{version}/{name}/post_job", token, job=TEXT),
        call(door, f"{version}/{name}/get_job_status", token, job_id="x"),
        call(door, f"{version}/{name}/get_job_result", token, job_id="x"),
    ):
        status = refused(answer, 404)
        assert status["error_message"] == "Unknown back-end!"
        assert status["detail"].startswith("Unknown back-end! no backend is called")


def test_a_job_that_is_not_the_callers_is_no_job(door: FrontDoor):
    """Nor is one of another backend, the beginning of an id, or one that never was: nothing tells them apart."""
    mine, other, foreign = submitted(door), submitted(door, backend="rydberg"), submitted(door, "bob")
    said = set()
    for job_id in (foreign, other, mine[:8], "0" * 24, "../../etc/passwd", "j" * 3000):
        for version in VERSIONS:
            for path in ("get_job_status", "get_job_result"):
                answer = call(door, f"{version}/singlequdit/{path}", door.token("alice"), job_id=job_id)
                status = refused(answer, 406)
                said.add(status["error_message"])
                # A name that is sent along asks for the words in which a wait for a result ends.
                ends = path == "get_job_result" and version in ("", "/v1")
                assert status["status"] == ("error" if ends else "ERROR")
    assert len(said) == 1


def test_a_text_that_is_no_json_is_refused(door: FrontDoor):
    """With the words of qlued, whatever is wrong with it; nothing is stored."""
    before = door.ask("alice", "GET", "/v1/jobs?total=true&limit=1").json()["total"]
    for text in ("", "{", "nonsense", '{"a": }', "[" * 100_000, '{"a": ' * 50_000, "1" * 5000):
        for path in ("/singlequdit/post_job", "/v2/singlequdit/post_job"):
            status = refused(call(door, path, door.token("alice"), job=text), 406)
            assert status["error_message"] == "The encoding of your json seems not work out!"
    raw = b'{"token": "%s", "job": "{\\"a\\": \\"\\ud800\\"}"}' % door.token("alice").encode()
    refused(HTTP.post(f"{door.url}/api/v2/singlequdit/post_job", content=raw), 406)
    assert door.ask("alice", "GET", "/v1/jobs?total=true&limit=1").json()["total"] == before


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/v2", b"", "body"),
        ("/v2", b"[1, 2", "body"),
        ("/v2", b"[]", "body"),
        ("/v2", b"\xff\xfe\xfd", "body"),
        ("/v2", b"[" * 100_000, "body"),
        ("/v2", b'{"token": "a", "token": "b"}', "body"),
        ("/v2", b'{"token": "TOKEN"}', "job"),
        ("/v2", b'{"token": "TOKEN", "job": {"experiment_0": {}}}', "job"),
        ("/v2", b'{"token": "TOKEN", "json": 5}', "json"),
        ("/v3", b"{}", "payload"),
        ("/v3", b'{"payload": "text"}', "payload"),
        ("/v3", b'{"payload": {"a": 1, "a": 2}}', "body"),
    ],
)
def test_a_body_of_another_shape_is_refused(door: FrontDoor, path: str, body: bytes, named: str):
    """With the field that is wrong."""
    headers = {"Authorization": f"Bearer {door.token('alice')}"}
    content = body.replace(b"TOKEN", door.token("alice").encode())
    status = refused(HTTP.post(f"{door.url}/api{path}/singlequdit/post_job", content=content, headers=headers), 422)
    assert status["detail"].startswith(f"{named}: ")


@pytest.mark.parametrize("form", ["&".join(f"f{number}=1" for number in range(30)), "json=%ff", "json=é"])
def test_a_form_that_is_none_is_refused(door: FrontDoor, form: str):
    """As any other body."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = HTTP.post(f"{door.url}/api/singlequdit/post_job/", content=form.encode(), headers=headers)
    assert refused(answer, 422)["detail"].startswith("body: ")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", "job_id"),
        ("job_id=", "job_id"),
        ("json=", "json"),
        ("json={", "json"),
        ("json=[]", "json"),
        ("json={}", "json"),
        ('json={"job_id": 5}', "job_id"),
        ("json=" + 5000 * "[", "json"),
    ],
)
def test_a_question_without_an_id_is_refused(door: FrontDoor, query: str, named: str):
    """And ends the wait of whoever asks it."""
    url = f"{door.url}/api/v2/singlequdit/get_job_result?{query}&username=NAME&token={door.token('alice')}"
    status = refused(HTTP.get(url), 422)
    assert status["detail"].startswith(f"{named}: ")
    assert status["status"] == "error"


def test_another_path_or_method_is_refused_in_the_same_shape(door: FrontDoor):
    """Clients read it without a look at the code."""
    url = f"{door.url}/api"
    for path in ("/", "/v2", "/v4/rydberg/get_config", "/v2/rydberg", "/v2/rydberg/get_user_jobs/", "/v2/a/b/c"):
        refused(HTTP.get(url + path), 404)
    refused(HTTP.get(f"{url}/v2/rydberg/post_job"), 405)
    answer = HTTP.request("DELETE", f"{url}/v2/rydberg/get_config")
    refused(answer, 405)
    assert answer.headers["allow"]


def test_a_token_that_may_only_read_hands_in_nothing(door: FrontDoor):
    """It is told why."""
    token = door.directory.issue(user_stream("alice"), ("read",), actor="test").text
    status = refused(call(door, "/v2/singlequdit/post_job", token, job=TEXT), 403)
    assert "not permitted" in status["error_message"]


def test_no_token_is_logged(door: FrontDoor, caplog: pytest.LogCaptureFixture):
    """They stand in addresses here, also where something is wrong."""
    caplog.set_level(logging.DEBUG, "quledger")
    caplog.set_level(logging.DEBUG, "uvicorn")
    token = door.token("alice")
    for path in ("get_job_status", "get_job_result", "nosuch"):
        call(door, f"/v2/singlequdit/{path}", token, job_id="x")
    call(door, "/v2/singlequdit/post_job", token, job="{")
    assert token not in caplog.text


def test_a_limit_holds_here_too(door: FrontDoor):
    """It is told in the shape of all that is refused."""
    door.add_user("lea")
    door.directory.append(user_stream("lea"), LimitsSet(limits=Limits(jobs_queued=1)), actor="test")
    submitted(door, "lea")
    answer = call(door, "/v2/singlequdit/post_job", door.token("lea"), job=TEXT)
    assert "may have 1 jobs that wait" in refused(answer, 429)["error_message"]
    assert answer.headers["retry-after"].isdigit()


@pytest.fixture(scope="module")
def narrow_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontDoor]:
    """A front door that takes little at once."""
    folder: Path = tmp_path_factory.mktemp("narrow")
    with front_door(folder, max_document_mb=0.001, api_requests_a_minute=6) as door:
        door.add_user("alice")
        yield door


def test_what_the_server_refuses_has_the_same_shape(narrow_door: FrontDoor):
    """Before any of our own code has seen it: another host, too much, too often."""
    url = f"{narrow_door.url}/api/v2/singlequdit/post_job"
    answer = HTTP.post(url, json={"job": TEXT, "token": "t"}, headers={"Host": "elsewhere"})
    assert answer.headers["content-type"] == "application/json"
    refused(answer, 421)
    token = narrow_door.token("alice")
    too_large = call(narrow_door, "/v2/singlequdit/post_job", token, job=json.dumps("x" * 2_000))
    assert "at most 0.001 MB" in refused(too_large, 422)["detail"]
    refused(HTTP.post(url, content=b"x" * 1_100_000), 413)
    answers = [HTTP.get(f"{narrow_door.url}/api//v2/backends") for _ in range(6)]
    refused(answers[-1], 429)
    assert answers[-1].headers["retry-after"].isdigit()
    assert HTTP.get(f"{narrow_door.url}/v1/health").headers["content-type"] == "application/problem+json"
