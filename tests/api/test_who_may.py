"""Who may do what, through HTTP: users, objects and acts, with what each has to be answered stated by hand."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from models.identity.facts import UserRoleSet
from models.submissions import Submission
from tasks.jobs.submission import submit_document
from tests.api.conftest import SPIN, FrontDoor, front_door

USERS = ("nobody", "alice", "bob", "carol", "vic", "olga")

# Whose job it is -> what each of USERS is answered when looking at it.
SEEN = {
    "alice's": "401 200 404 404 404 200",
    "alice's, of the project": "401 200 404 200 404 200",
    "alice's, hidden": "401 404 404 404 404 200",
    "vic's": "401 404 404 404 200 200",
    "the name alice, by a shell": "401 404 404 404 404 200",
    "a name linked to bob": "401 404 200 404 404 200",
    "a project's, by a shell": "401 404 404 404 404 200",
}

# The same when it is cancelled: who may not see it is told that it is not there, who may not touch it that.
CANCELLED = {
    "alice's": "401 200 404 404 404 200",
    "alice's, of the project": "401 200 404 403 404 200",
    "alice's, hidden": "401 404 404 404 404 409",
    "vic's": "401 404 404 404 403 200",
    "the name alice, by a shell": "401 404 404 404 404 200",
    "a name linked to bob": "401 404 403 404 404 200",
    "a project's, by a shell": "401 404 404 404 404 200",
}

# Run again: whose own it then is.
RERUN = {
    "alice's": "401 201 404 404 404 201",
    "alice's, of the project": "401 201 404 403 404 201",
    "alice's, hidden": "401 404 404 404 404 201",
    "vic's": "401 404 404 404 403 201",
    "the name alice, by a shell": "401 404 404 404 404 201",
    "a name linked to bob": "401 404 403 404 404 201",
    "a project's, by a shell": "401 404 404 404 404 201",
}


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontDoor]:
    """A laboratory with one job of each kind for each user who tries."""
    with front_door(tmp_path_factory.mktemp("matrix")) as door:
        for name in ("alice", "carol", "vic"):
            door.add_user(name)
        door.add_user("bob", names=("robert",))
        door.add_user("olga", "operator")
        door.add_project("atoms", alice="member", carol="viewer")
        yield door


def made(door: FrontDoor, kind: str) -> str:
    """Return the id of a new job of this kind."""
    if kind == "alice's":
        return door.submit("alice")
    if kind == "alice's, of the project":
        return door.submit("alice", project="atoms")
    if kind == "alice's, hidden":
        job_id = door.submit("alice")
        door.ask("alice", "POST", f"/v1/jobs/{job_id}/cancel")
        assert door.ask("alice", "DELETE", f"/v1/jobs/{job_id}").status_code == 204
        return job_id
    if kind == "vic's":
        door.directory.append("user/vic", UserRoleSet(role="member"), actor="test")
        job_id = door.submit("vic")
        door.directory.append("user/vic", UserRoleSet(role="viewer"), actor="test")
        return job_id
    user, project = {
        "the name alice, by a shell": ("alice", ""),
        "a name linked to bob": ("robert", ""),
        "a project's, by a shell": ("zoe", "atoms"),
    }[kind]
    submission = Submission(backend="singlequdit", document=json.dumps(SPIN).encode(), user=user, project=project)
    return submit_document(door.services, submission).job_id


def answers(door: FrontDoor, kind: str, method: str, path: str) -> str:
    """Return what each of the users is answered; a job to which something was done is followed by another one."""
    found: list[int] = []
    job_id = made(door, kind)
    for user in USERS:
        code = door.ask(None if user == "nobody" else user, method, path.replace("{}", job_id)).status_code
        if code < 300 and method != "GET":
            job_id = made(door, kind)
        found.append(code)
    return " ".join(map(str, found))


@pytest.mark.parametrize("kind", SEEN)
@pytest.mark.parametrize("part", ["", "/history", "/document", "?at=NOW", "/diff/{}"])
def test_a_job_is_seen_by_whom_it_belongs_to(matrix: FrontDoor, kind: str, part: str) -> None:
    """And by operators; to everybody else it is not there."""
    # A clock that is ahead by some seconds is believed, and the job is made in between.
    at = (datetime.now(UTC) + timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert answers(matrix, kind, "GET", f"/v1/jobs/{{}}{part.replace('NOW', at)}") == SEEN[kind]


@pytest.mark.parametrize("kind", SEEN)
def test_a_result_that_is_not_there_yet_is_no_way_to_learn_of_a_job(matrix: FrontDoor, kind: str) -> None:
    """Who may see the job is told so."""
    assert answers(matrix, kind, "GET", "/v1/jobs/{}/result") == SEEN[kind].replace("200", "409")


@pytest.mark.parametrize("kind", CANCELLED)
def test_a_job_is_cancelled_by_its_owner_alone(matrix: FrontDoor, kind: str) -> None:
    """And by operators."""
    assert answers(matrix, kind, "POST", "/v1/jobs/{}/cancel") == CANCELLED[kind]


@pytest.mark.parametrize("kind", CANCELLED)
def test_what_is_not_ones_own_is_neither_tried_again_nor_hidden(matrix: FrontDoor, kind: str) -> None:
    """Whoever may is told that this job is not in a state for it."""
    expected = CANCELLED[kind].replace("200", "409")
    assert answers(matrix, kind, "POST", "/v1/jobs/{}/retry") == expected
    if kind != "alice's, hidden":
        assert answers(matrix, kind, "DELETE", "/v1/jobs/{}") == expected


@pytest.mark.parametrize("kind", RERUN)
def test_a_job_is_run_again_by_its_owner_alone(matrix: FrontDoor, kind: str) -> None:
    """The new one is of whoever asks."""
    assert answers(matrix, kind, "POST", "/v1/jobs/{}/rerun") == RERUN[kind]


def test_lists_hold_what_may_be_seen(matrix: FrontDoor) -> None:
    """For each user, of one job of each kind."""
    jobs = {made(matrix, kind): kind for kind in SEEN}
    for place, user in enumerate(USERS[1:], 1):
        listed = matrix.ask(user, "GET", "/v1/jobs?limit=1000").json()["jobs"]
        found = {jobs[job["job_id"]] for job in listed if job["job_id"] in jobs}
        assert found == {kind for kind in SEEN if SEEN[kind].split()[place] == "200"}, user


@pytest.mark.parametrize(
    ("user", "project", "code"),
    [("alice", "atoms", 201), ("carol", "atoms", 403), ("bob", "atoms", 403), ("bob", "nosuch", 403), ("vic", "", 403)],
)
def test_jobs_are_handed_in_by_members(matrix: FrontDoor, user: str, project: str, code: int) -> None:
    """A viewer may not, and nobody learns from the answer whether there is such a project."""
    body = {"backend": "singlequdit", "document": SPIN, "project": project}
    assert matrix.ask(user, "POST", "/v1/jobs", json=body).status_code == code


def test_no_job_is_derived_from_one_that_may_not_be_seen(matrix: FrontDoor) -> None:
    """That would tell that it is there."""
    job_id = made(matrix, "alice's")
    body = {"backend": "singlequdit", "document": SPIN, "derived_from": job_id}
    codes = [matrix.ask(user, "POST", "/v1/jobs", json=body).status_code for user in ("alice", "bob", "olga")]
    assert codes == [201, 404, 201]


def test_a_key_of_another_user_reveals_nothing(matrix: FrontDoor) -> None:
    """Neither that it is used nor for what."""
    body = {"backend": "singlequdit", "document": SPIN}
    for user in ("alice", "bob"):
        answer = matrix.ask(user, "POST", "/v1/jobs", json=body, headers={"Idempotency-Key": "shared"})
        assert answer.status_code == 201


def test_the_beginning_of_an_id_is_looked_for_among_ones_own(matrix: FrontDoor) -> None:
    """Jobs of others make it neither found nor ambiguous."""
    job_id = made(matrix, "alice's")
    codes = [matrix.ask(user, "GET", f"/v1/jobs/{job_id[:10]}").status_code for user in ("alice", "bob", "olga")]
    assert codes == [200, 404, 200]


def test_tokens_are_ones_own(matrix: FrontDoor) -> None:
    """A token gives no scope that it does not have, and one that is revoked lets nobody in."""
    made_token = matrix.ask("alice", "POST", "/v1/tokens", json={"scopes": ["read"], "days": 1, "note": "shown"}).json()
    token_id, text = made_token["token_id"], made_token["token"]
    listed = matrix.ask("alice", "GET", "/v1/tokens")
    assert text not in listed.text
    assert token_id in [each["token_id"] for each in listed.json()]
    assert token_id not in matrix.ask("bob", "GET", "/v1/tokens").text
    reader = {"Authorization": f"Bearer {text}"}
    assert matrix.ask(None, "GET", "/v1/jobs", headers=reader).status_code == 200
    body = {"backend": "singlequdit", "document": SPIN}
    assert matrix.ask(None, "POST", "/v1/jobs", headers=reader, json=body).status_code == 403
    assert matrix.ask(None, "POST", "/v1/tokens", headers=reader, json={"scopes": ["read"]}).status_code == 403
    assert matrix.ask("bob", "DELETE", f"/v1/tokens/{token_id}").status_code == 404
    assert matrix.ask("alice", "DELETE", f"/v1/tokens/{token_id}").status_code == 204
    assert matrix.ask(None, "GET", "/v1/jobs", headers=reader).status_code == 401


def test_a_token_is_good_for_its_scopes_alone(matrix: FrontDoor) -> None:
    """One that may hand in jobs reads none, in lists neither; one of a device does nothing here."""
    job_id = made(matrix, "alice's")
    scoped = matrix.ask("alice", "POST", "/v1/tokens", json={"scopes": ["submit"]}).json()["token"]
    device = matrix.directory.issue("device/qubits", actor="test").text
    for token in (scoped, device):
        headers = {"Authorization": f"Bearer {token}"}
        paths = ("/v1/jobs", "/v1/jobs?total=true", f"/v1/jobs/{job_id}/result", "/v1/payloads", "/v1/tokens")
        assert [matrix.ask(None, "GET", path, headers=headers).status_code for path in paths] in (
            [403] * 5,
            [403, 403, 404, 403, 403],
        )


@pytest.mark.parametrize("user", USERS)
def test_the_numbers_of_the_laboratory_are_for_operators(matrix: FrontDoor, user: str) -> None:
    """Its health is for everybody in one word, and part by part for operators."""
    name = None if user == "nobody" else user
    expected = {"nobody": 401, "olga": 200}.get(user, 403)
    assert matrix.ask(name, "GET", "/v1/metrics").status_code == expected
    answer = matrix.ask(name, "GET", "/v1/health").json()
    assert answer.pop("ok") is True
    parts = {each["name"]: each["status"] for each in answer.pop("health", {"parts": []})["parts"]}
    assert (parts.get("database"), parts.get("storage")) == (("ok", "ok") if name == "olga" else (None, None))
    assert answer == {}


@pytest.mark.parametrize(
    "given", ["", "Basic abc", "Bearer", "Bearer  x", "Bearer qlg_000000000000_00", "Bearer " + "x" * 5000]
)
def test_what_is_no_token_lets_nobody_in(matrix: FrontDoor, given: str) -> None:
    """And what was given is not repeated."""
    answer = matrix.ask(None, "GET", "/v1/me", headers={"Authorization": given})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "qlg_" not in answer.text
