"""What commands do for users: whoever sits at the shell may do all, and makes nobody the owner of what is not his."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.conftest import SPIN, FrontDoor, front_door
from tests.api.test_who_may import SEEN, USERS, made
from tests.program import Program


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontDoor]:
    """A laboratory with the users of the matrix, and dan, to whom things happen."""
    with front_door(tmp_path_factory.mktemp("shell")) as door:
        for name in ("alice", "carol", "vic", "dan"):
            door.add_user(name)
        door.add_user("bob", names=("robert",))
        door.add_user("olga", "operator")
        door.add_project("atoms", alice="member", carol="viewer")
        yield door


@pytest.fixture
def program(shared: FrontDoor, capsys: pytest.CaptureFixture[str]) -> Program:
    """The commands of that laboratory."""
    return Program(shared.services.settings.folder, capsys)


def seen(door: FrontDoor, job_id: str) -> str:
    """Return what each user is answered who looks at a job."""
    codes = [door.ask(None if user == "nobody" else user, "GET", f"/v1/jobs/{job_id}").status_code for user in USERS]
    return " ".join(map(str, codes))


@pytest.mark.parametrize("kind", SEEN)
def test_the_shell_may_do_all_and_shows_nobody_more(shared: FrontDoor, program: Program, kind: str) -> None:
    """Every job is listed, told of, and cancelled once; who sees it over HTTP stays the same."""
    job_id = made(shared, kind)
    assert job_id in [job["job_id"] for job in program.json("list")]
    assert program.json("history", job_id)[0]["kind"] == "submitted"
    is_over = kind == "alice's, hidden"
    assert program("cancel", job_id)[0] == (2 if is_over else 0)
    assert program("cancel", job_id)[0] == 2
    assert program("retry", job_id)[0] == 2
    assert seen(shared, job_id) == SEEN[kind]


def test_a_name_that_the_shell_gives_is_no_owner(shared: FrontDoor, program: Program, tmp_path: Path) -> None:
    """Not with a user's key either: that is his own."""
    document = tmp_path / "job.json"
    document.write_text(json.dumps(SPIN))
    headers = {"Idempotency-Key": "one"}
    body = {"backend": "singlequdit", "document": SPIN}
    own = shared.ask("alice", "POST", "/v1/jobs", json=body, headers=headers).json()["job_id"]
    named = ("--user", "alice", "--key", "one", "--no-check")
    job_id = program.said("submit", "singlequdit", str(document), *named).strip()
    assert job_id != own
    assert seen(shared, job_id) == SEEN["the name alice, by a shell"]
    in_project = program.said("submit", "singlequdit", str(document), "--project", "atoms", *named).strip()
    assert seen(shared, in_project) == SEEN["a project's, by a shell"]


# One after the other: a command, and what dan is answered then for the job of the project, that of the name "daniel",
# one of his own, a submission, and one for the project.
TOLD = (
    ((), "404 404 200 201 403"),
    (("project", "set", "atoms", "--viewer", "dan"), "200 404 200 201 403"),
    (("project", "set", "atoms", "--member", "dan"), "200 404 200 201 201"),
    (("user", "link", "daniel", "dan"), "200 200 200 201 201"),
    (("user", "set", "dan", "--role", "viewer"), "200 200 200 403 403"),
    (("user", "set", "dan", "--disable"), "401 401 401 401 401"),
    (("user", "set", "dan", "--enable", "--role", "member"), "200 200 200 201 201"),
    (("user", "unlink", "daniel", "dan"), "200 404 200 201 201"),
    (("project", "set", "atoms", "--remove", "dan"), "404 404 200 201 403"),
    (("user", "limits", "dan", "--jobs-queued", "0"), "404 404 200 429 403"),
    (("user", "limits", "dan", "--jobs-queued", "none"), "404 404 200 201 403"),
    (("user", "set", "dan", "--role", "operator"), "200 200 200 201 201"),
    (("user", "set", "dan", "--role", "member"), "404 404 200 201 403"),
    (("token", "revoke", "TOKEN"), "401 401 401 401 401"),
)


def test_what_a_command_says_of_a_user_holds_at_once(shared: FrontDoor, program: Program, tmp_path: Path) -> None:
    """For the next request, with the server that runs."""
    document = tmp_path / "job.json"
    document.write_text(json.dumps(SPIN))
    jobs = [
        shared.submit("alice", project="atoms"),
        program.said("submit", "singlequdit", str(document), "--user", "daniel", "--no-check").strip(),
        shared.submit("dan"),
    ]
    (token,) = shared.directory.tokens(user="dan")
    body = {"backend": "singlequdit", "document": SPIN}
    for command, expected in TOLD:
        if command:
            program.said(*(token.token.token_id if word == "TOKEN" else word for word in command))
        looks = [shared.ask("dan", "GET", f"/v1/jobs/{job_id}") for job_id in jobs]
        sent = [shared.ask("dan", "POST", "/v1/jobs", json=body | more) for more in ({}, {"project": "atoms"})]
        assert (command, " ".join(str(each.status_code) for each in looks + sent)) == (command, expected)
