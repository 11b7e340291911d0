"""Users and tokens of qlued are taken over from its database file, as often as one likes."""

import sqlite3
from pathlib import Path

import pytest

from models.identity.errors import NotSignedIn
from tests import qlued_file
from tests.program import Program
from tests.qlued_file import ALICE, BOB, CAROL, add_token, add_user

COMMAND = ("user", "import-qlued")


@pytest.fixture
def program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """A laboratory without users."""
    return Program(tmp_path / "home", capsys)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file lies."""
    return tmp_path / "db ü?.sqlite3"


@pytest.fixture
def file(path: Path) -> sqlite3.Connection:
    """The file itself, open."""
    return qlued_file.make(path)


def let_in(program: Program, *tokens: str) -> list[str]:
    """Return whom these tokens let in, or why not."""
    found = []
    with program.services() as services:
        for token in tokens:
            try:
                found.append(services.directory.caller_of(token).user)
            except NotSignedIn as error:
                found.append(error.reason)
    return found


def test_first_it_says_what_it_would_do(program: Program, path: Path, file: sqlite3.Connection):
    """Without --apply nothing is changed, and no token is shown."""
    before = path.read_bytes()
    said = program.said(*COMMAND, str(path))
    assert said.splitlines() == [
        "alice: a new member, with 1 token",
        "bob: a new member, with 1 token",
        "carol: a new member, disabled as in qlued, with 1 token",
        "note: alice is a superuser of qlued; `quledger user set alice --role operator` says so here",
        "would add 3 users and 3 tokens; nothing was changed, and --apply does it",
    ]
    assert "there is no event log" in program.refused("user", "list")
    assert path.read_bytes() == before


def test_tokens_keep_working(program: Program, path: Path, file: sqlite3.Connection):
    """Clients keep theirs; a second time changes nothing, and what has changed here since stays so."""
    assert program.json(*COMMAND, str(path), "--apply") == {
        "applied": True,
        "users": ["alice", "bob", "carol"],
        "tokens": 3,
        "left_out": [],
        "notes": ["alice is a superuser of qlued; `quledger user set alice --role operator` says so here"],
    }
    assert let_in(program, ALICE, BOB, CAROL) == ["alice", "bob", "disabled"]
    assert [user["role"] for user in program.json("user", "list")] == ["member", "member", "member"]
    program.said("user", "set", "carol", "--enable")
    program.said("user", "set", "alice", "--role", "operator")
    program.said("token", "revoke", program.json("token", "list", "bob")[0]["token_id"])
    users, tokens = program.json("user", "list"), program.json("token", "list")
    again = program.json(*COMMAND, str(path), "--apply")
    assert (again["users"], again["tokens"], again["notes"]) == ([], 0, [])
    assert (program.json("user", "list"), program.json("token", "list")) == (users, tokens)
    assert let_in(program, ALICE, BOB, CAROL) == ["alice", "revoked", "carol"]
    add_token(file, 9, 2, "d" * 32)
    assert program.said(*COMMAND, str(path), "--apply").splitlines() == [
        "bob: is here already, and gets 1 token",
        "added no users and 1 token",
    ]
    assert let_in(program, "d" * 32) == ["bob"]


def test_odd_rows_are_named_and_left_out(program: Program, path: Path, file: sqlite3.Connection):
    """All of them at once, with code 1; the others are taken over."""
    file.execute("PRAGMA foreign_keys=OFF")
    add_user(file, 10, "jörg+lab")
    add_user(file, 11, b"\xff\xfe")
    add_user(file, 12, "dave")
    add_token(file, 10, 10, "e" * 32)
    add_token(file, 11, 12, "short")
    add_token(file, 12, 12, b"\x00\xff")
    add_token(file, 13, 99, "f" * 32)
    add_token(file, 14, 12, "9" * 32, is_active=0)
    code, out, err = program(*COMMAND, str(path), "--apply")
    assert (code, err) == (1, "")
    names = "a name here has at most 100 letters of A-Z and a-z, digits, '_', '.', '@' and '-'"
    assert [line for line in out.splitlines() if not line.startswith(("alice", "bob", "carol", "note: alice"))] == [
        "dave: a new member, with 0 tokens",
        f"left out: user 10, 'jörg+lab', with 1 token: {names}",
        f"left out: user 11, b'\\xff\\xfe', with 0 tokens: {names}",
        "left out: token 11 of dave: has less than 16 characters, so that it can be guessed",
        "left out: token 12 of dave: is no text",
        "left out: token 13: belongs to no user",
        "note: token 14 of dave is switched off in qlued, and left out; `quledger token new dave` makes one",
        "added 4 users and 3 tokens",
    ]
    assert let_in(program, ALICE, "e" * 32, "short", "f" * 32, "9" * 32) == ["alice", *["unknown"] * 4]


def test_a_token_of_somebody_else_is_left_out(program: Program, path: Path, file: sqlite3.Connection):
    """Where qlued has given it to another user meanwhile, it stays with the first one here."""
    program.said(*COMMAND, str(path), "--apply")
    file.execute("UPDATE qlued_token SET user_id = 1 WHERE id = 2")
    code, out, _ = program(*COMMAND, str(path), "--apply")
    assert code == 1
    assert "left out: token 2 of alice: is here already, and somebody else's" in out
    assert let_in(program, BOB) == ["bob"]


def test_the_tables_of_an_older_qlued(program: Program, path: Path, file: sqlite3.Connection):
    """Before it used a package for them, qlued kept users and tokens in its own tables."""
    file.execute("ALTER TABLE auth_user RENAME TO backends_user")
    file.execute("ALTER TABLE qlued_token RENAME TO backends_token")
    program.said(*COMMAND, str(path), "--apply")
    assert let_in(program, ALICE) == ["alice"]


@pytest.mark.parametrize("content", [b"", b"not a database, but a text of some length " * 100, None])
def test_what_is_no_file_of_qlueds_is_said(program: Program, path: Path, content: bytes | None):
    """In one sentence, without the folder."""
    if content is not None:
        path.write_bytes(content)
    said = program.refused(*COMMAND, str(path))
    assert "the file 'db ü?.sqlite3' cannot be read" in said
    assert str(path.parent) not in said
