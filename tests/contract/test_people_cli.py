"""`quledger user`, `project` and `token`, as the operator gives them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from models.identity.access import Caller
from storage.log.database import writing
from tests.program import Program


@pytest.fixture
def program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """A laboratory with the users alice, an operator, and bob."""
    program = Program(tmp_path / "home", capsys)
    assert program.said("user", "add", "alice", "--role", "operator") == (
        "the user alice is added (operator)\nNext: quledger token new alice\n"
    )
    program.said("user", "add", "bob")
    return program


def caller_of(program: Program, token: str) -> Caller:
    """Return who shows a token."""
    with program.services() as services:
        return services.directory.caller_of(token)


def test_users(program: Program):
    """They are added, listed, changed, linked and limited."""
    assert program.said("user", "set", "bob", "--role", "viewer", "--disable") == (
        "the user bob is disabled, and a viewer\n"
    )
    program.said("user", "link", "Bob's PC", "bob")
    program.said("user", "link", "lab-server", "bob")
    assert "sees the jobs of 'lab-server' any more" not in program.said("user", "link", "lab-server", "bob")
    program.said("user", "unlink", "lab-server", "bob")
    assert program.json("user", "limits", "bob", "--jobs-queued", "5", "--bytes", "7") == {
        "jobs_queued": 5,
        "shots_a_day": None,
        "seconds_a_day": None,
        "bytes": 7,
        "requests_a_minute": None,
    }
    assert program.json("user", "limits", "bob", "--bytes", "none")["bytes"] is None
    assert program.json("user", "limits", "bob")["jobs_queued"] == 5
    alice, bob = program.json("user", "list")
    assert (alice["name"], alice["role"], alice["is_enabled"], alice["tokens"]) == ("alice", "operator", True, 0)
    assert (bob["role"], bob["is_enabled"], bob["names"]) == ("viewer", False, ["Bob's PC"])
    assert "bob    viewer    disabled  0       Bob's PC      jobs queued 5" in program.said("user", "list")


def test_projects(program: Program):
    """They have members and viewers, which are changed by name; limits as users have."""
    assert program.said("project", "add", "lab", "--members", "alice,bob") == (
        "the project lab has 2 members: alice (member), bob (member)\n"
    )
    program.said("project", "set", "lab", "--viewer", "alice", "--remove", "bob")
    program.said("project", "limits", "lab", "--shots-a-day", "1000")
    (lab,) = program.json("project", "list")
    assert (lab["name"], lab["members"], lab["limits"]["shots_a_day"]) == ("lab", {"alice": "viewer"}, 1000)
    program.said("project", "add", "empty")
    assert "lab      -        alice    shots a day 1,000" in program.said("project", "list")


def test_a_token_is_printed_alone_and_once(program: Program):
    """Standard output has the token and nothing else; lists have its id, and never its text or hash."""
    token = program.said("token", "new", "bob", "--note", "my laptop").removesuffix("\n")
    _, token_id, secret = token.split("_")
    assert caller_of(program, token) == Caller("bob", "member", frozenset({"read", "submit"}), token_id=token_id)
    listed, shown = program.json("token", "list"), program.said("token", "list", "bob")
    (found,) = listed
    assert (found["token_id"], found["user"], found["state"], found["note"]) == (token_id, "bob", "good", "my laptop")
    lasts = datetime.fromisoformat(found["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89, hours=23) < lasts < timedelta(days=90)
    assert token_id in shown
    assert "sha256" not in found
    assert secret not in str(listed) + shown
    assert program.said("token", "revoke", token_id[:6]) == f"the token {token_id} of the user bob is revoked\n"
    assert program.said("token", "revoke", token) == f"the token {token_id} of the user bob is revoked\n"
    assert program.json("token", "list", "bob")[0]["state"] == "revoked"
    assert program.json("token", "list", "alice") == []


def test_a_token_is_what_was_asked_for(program: Program):
    """Scopes, days, no end; that of a device is for serving it alone."""
    token = program.json("token", "new", "alice", "--scope", "admin,read", "--days", "never")
    assert token["expires_at"] is None
    assert caller_of(program, token["token"]).scopes == {"read", "admin"}
    soon = program.json("token", "new", "alice", "--days", "0.5")
    assert datetime.fromisoformat(soon["expires_at"]) - datetime.now(UTC) < timedelta(hours=12)
    code, key, err = program("token", "new", "--device", "rydberg")
    assert (code, "the jobs of rydberg are run here" in err) == (0, True)
    key = key.strip()
    assert caller_of(program, key) == Caller("", device="rydberg", token_id=key.split("_")[1])
    assert program.json("token", "list", "--device", "rydberg")[0]["device"] == "rydberg"
    assert "device rydberg  good" in program.said("token", "list")


def test_a_token_of_a_device_whose_description_is_broken(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made, for the description may be put right; what is wrong is said, and not that its jobs run here."""
    (tmp_path / "kawasaki.json").write_text("{")
    monkeypatch.setenv("QULEDGER_DEVICES", str(tmp_path))
    code, _, err = program("token", "new", "--device", "kawasaki")
    assert "refused: the device kawasaki: " in err
    assert code == 0
    assert "run here" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("user add alice", "there is a user 'alice' already"),
        ("user add /etc/passwd", "cannot be the name of a user"),
        ("user add carol --role king", "king"),
        ("user set alice", "say what is to be changed"),
        ("user set alice --disable --enable", "not both"),
        ("user set carol --disable", "no user is called 'carol'"),
        ("user link pc carol", "no user is called 'carol'"),
        ("user unlink pc bob", "is not linked to this user"),
        ("user limits bob --bytes -1 --shots-a-day -1", "--shots-a-day, --bytes: say a whole number from 0 to 2^53"),
        ("user limits bob --bytes much", "much"),
        ("project add lab --members alice,carol --viewers dave", "no user is called 'carol', 'dave'"),
        ("project add lab --members alice --viewers alice", "say of each user one thing: 'alice'"),
        ("project add .lab", "cannot be the name of a project"),
        ("project set lab --member alice", "no project is called 'lab'"),
        ("project set lab", "say what is to be changed"),
        ("project limits lab --bytes 1", "no project is called 'lab'"),
        ("token new", "say whose token it is"),
        ("token new bob --device rydberg", "say whose token it is"),
        ("token new carol", "no user is called 'carol'"),
        ("token new --device rydburg", "no backend is called 'rydburg'"),
        ("token new --device rydberg --scope read", "--scope is for the tokens of users"),
        ("token new bob --scope read,write,fly", "--scope: 'write', 'fly': there are read, submit, admin"),
        ("token new bob --days 0", "--days: say a number above 0"),
        ("token new bob --days nan", "--days: say a number above 0"),
        ("token new bob --days 1e9", "--days: say a number above 0"),
        ("token list carol", "no user is called 'carol'"),
        ("token revoke qlg_0123456789ab_secret", "no token has the id '0123456789ab'"),
    ],
)
def test_a_wrong_call_says_what_is_wrong_and_changes_nothing(program: Program, arguments: str, said: str):
    """In one sentence, with code 2."""
    refusal = program.refused(*arguments.split())
    assert said in refusal
    assert "secret" not in refusal
    assert [user["name"] for user in program.json("user", "list")] == ["alice", "bob"]
    assert program.json("project", "list") == program.json("token", "list") == []


STRANGE = ("\udcff", "\x1b[2J", "\u202e", "x" * 100_000, "a/b", "%s", "'; DROP TABLE account")


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "add", "?"),
        ("user", "set", "?", "--disable"),
        ("user", "link", "pc", "?"),
        ("user", "limits", "?"),
        ("project", "add", "?"),
        ("project", "add", "lab", "--members", "?"),
        ("token", "new", "?"),
        ("token", "new", "--device", "?"),
        ("token", "list", "?"),
        ("token", "list", "--device", "?"),
        ("token", "revoke", "?"),
        ("user", "import-qlued", "?"),
    ],
)
def test_no_argument_is_too_strange(program: Program, arguments: tuple[str, ...]):
    """It is named in one line that any terminal shows."""
    for strange in STRANGE:
        refusal = program.refused(*(strange if each == "?" else each for each in arguments))
        assert refusal.rstrip("\n").isprintable()
        assert len(refusal) < 600


def test_a_name_that_cannot_be_seen_is_not_linked(program: Program):
    """What cannot be seen is refused; any other name may be linked, in its one spelling."""
    for strange in ("\udcff", "\x1b[2J", "\u202e", "x" * 201, "a\n"):
        assert "cannot be linked" in program.refused("user", "link", strange, "bob")
        assert "cannot be linked" in program.refused("user", "unlink", strange, "bob")
    program.said("user", "link", "Jo\u0308rg O'Neil; \u0645\u06cc\u200c\u062e 中", "bob")
    assert program.json("user", "list")[1]["names"] == ["J\u00f6rg O'Neil; \u0645\u06cc\u200c\u062e 中"]


def test_verify_and_rebuild(program: Program):
    """A role that somebody has written into the database is named, with code 3; a rebuild puts it right."""
    assert program("verify", "--no-prefect") == (0, "0 jobs verified: no differences\n", "")
    with program.services() as services, writing(services.log.engine) as connection:
        connection.execute(text("UPDATE account SET role = 'operator' WHERE name = 'bob'"))
    assert program("verify", "--no-prefect") == (
        3,
        "user/bob view: `account` differs from the events in role ('bob')\n0 jobs verified: 1 difference\n",
        "",
    )
    assert program.json("rebuild") == {"jobs": 0, "events": 0, "streams": 2}
    assert program("verify", "--no-prefect")[0] == 0


def test_an_empty_laboratory_says_how_to_begin(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Each list says which command adds the first."""
    program = Program(tmp_path, capsys)
    program.said("db", "upgrade")
    assert "quledger user add NAME --role operator" in program.said("user", "list")
    assert "quledger project add NAME" in program.said("project", "list")
    assert "quledger token new USER" in program.said("token", "list")
