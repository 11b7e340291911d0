"""Users, projects and tokens in the database: what is appended, who is let in, and what is refused."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.event import listen
from sqlalchemy.exc import DatabaseError

from models.errors import BadName
from models.identity.access import Caller
from models.identity.errors import (
    NotChanged,
    NotSignedIn,
    ProjectExists,
    UnknownDevice,
    UnknownProject,
    UnknownToken,
    UnknownUser,
    UserExists,
)
from models.identity.facts import (
    ControlFact,
    DeviceAdded,
    MemberRemoved,
    MemberSet,
    NameLinked,
    NameUnlinked,
    ProjectAdded,
    TokenIssued,
    UserAdded,
    UserDisabled,
    UserEnabled,
    UserRoleSet,
)
from models.identity.limits import Limits
from models.identity.streams import device_stream, project_stream, user_stream
from models.identity.tokens import token_sha256
from storage.identity.directory import Directory
from storage.log.database import reading, writing
from tests.contract.databases import Databases, on

START = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
ALICE, BOB, LAB, RYDBERG = user_stream("alice"), user_stream("bob"), project_stream("lab"), device_stream("rydberg")


class Clock:
    """A clock that a test sets forward."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at the start of the test."""
    return Clock()


@pytest.fixture
def directory(tmp_path: Path, databases: Databases, clock: Clock) -> Directory:
    """A directory with the users alice and bob, and the project lab, of which alice is a member."""
    directory = Directory(databases.open(databases.new(tmp_path)), clock)
    directory.append(ALICE, UserAdded(), actor="op")
    directory.append(BOB, UserAdded(role="viewer"), actor="op")
    directory.append(LAB, ProjectAdded(), MemberSet(user="alice", role="member"), actor="op")
    return directory


def why_out(directory: Directory, token: str) -> str:
    """Return why a token lets nobody in."""
    with pytest.raises(NotSignedIn) as refusal:
        directory.caller_of(token)
    assert token not in str(refusal.value) or not token
    return refusal.value.reason


def events(directory: Directory) -> list[tuple[str, int, str]]:
    """Return what stands in all streams."""
    with reading(directory.engine) as connection:
        found = connection.execute(text("SELECT stream, seq, kind FROM control_event ORDER BY stream, seq"))
        return [tuple(row) for row in found]


def test_a_token_says_who_asks(directory: Directory):
    """The caller has the user's role, projects and linked names, and the token's scopes."""
    directory.append(ALICE, NameLinked(name="alice-pc"), NameLinked(name="Älice"), actor="op")
    new = directory.issue(ALICE, ("read", "submit"), note="my laptop", actor="op")
    assert directory.caller_of(new.text) == Caller(
        user="alice",
        role="member",
        scopes=frozenset({"read", "submit"}),
        projects={"lab": "member"},
        names=frozenset({"alice-pc", "Älice"}),
        token_id=new.token_id,
    )
    bobs = directory.issue(BOB, ("read",), actor="op")
    assert directory.caller_of(bobs.text) == Caller("bob", "viewer", frozenset({"read"}), token_id=bobs.token_id)


def test_a_device_has_a_token_and_nothing_else(directory: Directory):
    """Its first token adds it; it is no user, even of the same name."""
    directory.append(user_stream("rydberg"), UserAdded(role="operator"), actor="op")
    first, second = (directory.issue(RYDBERG, actor="op") for _ in range(2))
    for new in (first, second):
        assert directory.caller_of(new.text) == Caller("", device="rydberg", token_id=new.token_id)
    ids = {listed.token.token_id for listed in directory.tokens(device="rydberg")}
    assert ids == {first.token_id, second.token_id}
    assert directory.tokens(user="rydberg") == []


def test_any_text_can_be_a_token(directory: Directory):
    """One of somebody else's making is found by its hash."""
    text_of = "0f" * 16
    fact = TokenIssued(token_id="0123456789ab", sha256=token_sha256(text_of), scopes=("read",), origin="qlued")
    directory.append(ALICE, fact, actor="op")
    assert directory.caller_of(text_of).user == "alice"
    with pytest.raises(NotChanged, match="known already"):
        directory.append(BOB, fact.model_copy(update={"token_id": "ba9876543210"}), actor="op")


def test_who_is_not_let_in(directory: Directory, clock: Clock):
    """A token that is unknown, revoked or expired lets nobody in, nor one of a disabled user, until he is enabled."""
    good = directory.issue(ALICE, ("read",), expires_at=START + timedelta(days=1), actor="op")
    bad = directory.issue(ALICE, ("read",), actor="op")
    assert directory.caller_with(bad.token_id) == directory.caller_of(bad.text)
    directory.revoke(bad.token_id, actor="op")
    assert why_out(directory, bad.text) == "revoked"
    with pytest.raises(NotSignedIn, match="revoked"):
        directory.caller_with(bad.token_id)
    with pytest.raises(NotSignedIn, match="not known"):
        directory.caller_with(bad.sha256)
    assert directory.caller_of(good.text).user == "alice"
    directory.append(ALICE, UserDisabled(), actor="op")
    assert why_out(directory, good.text) == "disabled"
    directory.append(ALICE, UserEnabled(), actor="op")
    clock.now = START + timedelta(days=1, microseconds=-1)
    assert directory.caller_of(good.text).user == "alice"
    clock.now = START + timedelta(days=1)
    assert why_out(directory, good.text) == "expired"
    strange = ["", "x", good.token_id, good.sha256, good.text + " ", good.text.upper(), "a" * 100_000, "\x00", "\ud800"]
    assert {why_out(directory, token) for token in strange} == {"unknown"}


@pytest.mark.parametrize(
    ("stream", "fact", "error"),
    [
        (ALICE, UserAdded(), UserExists),
        (LAB, ProjectAdded(), ProjectExists),
        (RYDBERG, NameLinked(name="x"), UnknownDevice),
        (user_stream("carol"), UserRoleSet(role="viewer"), UnknownUser),
        (project_stream("other"), MemberSet(user="alice", role="viewer"), UnknownProject),
        (LAB, MemberSet(user="carol", role="viewer"), UnknownUser),
        (LAB, MemberRemoved(user="bob"), NotChanged),
        (ALICE, NameUnlinked(name="x"), NotChanged),
        (ALICE, NameLinked(name="bobs"), NotChanged),
        (ALICE, DeviceAdded(), NotChanged),
        (ALICE, MemberSet(user="alice", role="viewer"), NotChanged),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    directory: Directory, stream: str, fact: ControlFact, error: type[Exception]
):
    """Whatever comes before it in the same call is not written either."""
    directory.append(BOB, NameLinked(name="bobs"), actor="op")
    before = events(directory)
    facts = (fact,) if isinstance(fact, UserAdded | ProjectAdded) else (UserRoleSet(role="operator"), fact)
    with pytest.raises(error):
        directory.append(stream, *(facts if stream.startswith("user/") else (fact,)), actor="op")
    assert events(directory) == before
    assert directory.user("alice").role == "member"


def test_what_changes_nothing_is_no_event(directory: Directory):
    """To say what is so already is no fact."""
    directory.append(ALICE, UserRoleSet(role="member"), UserEnabled(), actor="op")
    directory.append(LAB, MemberSet(user="alice", role="member"), actor="op")
    assert events(directory) == [
        ("project/lab", 0, "project_added"),
        ("project/lab", 1, "member_set"),
        ("user/alice", 0, "user_added"),
        ("user/bob", 0, "user_added"),
    ]


def test_limits_are_set_one_by_one(directory: Directory):
    """Those that are not named stay; users and projects have them, and nobody else."""
    directory.set_limits(ALICE, {"jobs_queued": 5, "bytes": 10}, actor="op")
    directory.set_limits(ALICE, {"bytes": None}, actor="op")
    directory.set_limits(LAB, {"shots_a_day": 0}, actor="op")
    assert directory.user("alice").limits == Limits(jobs_queued=5)
    assert directory.project("lab").limits == Limits(shots_a_day=0)
    with pytest.raises(UnknownUser):
        directory.set_limits(user_stream("carol"), {"bytes": 1}, actor="op")


def test_lists(directory: Directory):
    """Users, projects and tokens are listed in order; what is unknown is said to be."""
    assert [user.name for user in directory.users()] == ["alice", "bob"]
    assert [(project.name, project.members) for project in directory.projects()] == [("lab", {"alice": "member"})]
    assert directory.tokens() == []
    for ask, error in (
        (lambda: directory.user("carol"), UnknownUser),
        (lambda: directory.project("other"), UnknownProject),
        (lambda: directory.token("none"), UnknownToken),
        (lambda: directory.revoke("none", actor="op"), UnknownToken),
        (lambda: directory.user("../etc"), BadName),
        (lambda: directory.append("user/../etc", UserAdded(), actor="op"), BadName),
        (lambda: directory.append("job/alice", UserAdded(), actor="op"), BadName),
    ):
        with pytest.raises(error):
            ask()


def test_the_last_use_is_kept_once_a_minute(directory: Directory, clock: Clock):
    """It is no event, unknown ids do no harm, and within the minute nothing is written."""
    new, other = (directory.issue(ALICE, ("read",), actor="op") for _ in range(2))
    before = events(directory)

    def last_used() -> list[datetime | None]:
        return [listed.last_used_at for listed in directory.tokens(user="alice")]

    assert last_used() == [None, None]
    directory.touch([new.token_id, new.token_id, "none"])
    clock.now = START + timedelta(seconds=59)
    directory.touch([new.token_id])
    assert sorted(map(str, last_used())) == sorted([str(START), "None"])
    clock.now = START + timedelta(seconds=61)
    directory.touch([new.token_id, other.token_id])
    directory.touch([])
    assert last_used() == [clock.now, clock.now]
    directory.append(ALICE, UserRoleSet(role="operator"), actor="op")
    directory.revoke(other.token_id, actor="op")
    assert last_used() == [clock.now, clock.now]
    assert len(events(directory)) == len(before) + 2


def test_nobody_who_reads_waits_for_who_writes(directory: Directory):
    """A token is looked up, and a recent use noted, while somebody holds the write lock."""
    new = directory.issue(ALICE, ("read",), actor="op")
    directory.touch([new.token_id])
    with writing(directory.engine) as connection:
        connection.execute(text("UPDATE account SET role = 'viewer'"))
        assert directory.caller_of(new.text).role == "member"
        directory.touch([new.token_id])
        assert [user.name for user in directory.users()] == ["alice", "bob"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE control_event SET actor = 'x'",
        "DELETE FROM control_event",
        "DELETE FROM control_event WHERE stream = 'user/bob'",
    ],
)
def test_the_database_refuses_changes_of_events(directory: Directory, statement: str):
    """Events of control streams are append-only, whoever tries."""
    before = events(directory)
    with pytest.raises(DatabaseError, match="events are append-only"), directory.engine.begin() as connection:
        connection.execute(text(statement))
    assert events(directory) == before


@on("sqlite")
def test_a_token_is_found_by_indexes(directory: Directory):
    """Nothing is scanned however many tokens and users there are."""
    asked: list[str] = []
    new = directory.issue(ALICE, ("read",), actor="op")
    listen(directory.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    directory.caller_of(new.text)
    queries = [query for query in asked if query.startswith("SELECT")]
    assert len(queries) == 2
    with reading(directory.engine) as connection:
        for query in queries:
            values = ("x",) * query.count("?")
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values)]
            assert plan
            assert not [step for step in plan if step.startswith("SCAN")]
