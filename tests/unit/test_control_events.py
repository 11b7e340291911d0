"""Facts about users, projects and devices: their chain, and what they add up to."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from models.errors import BadName
from models.identity.checking import check_stream
from models.identity.control_events import ControlEvent, seal
from models.identity.facts import (
    ControlFact,
    DeviceAdded,
    LimitsSet,
    MemberRemoved,
    MemberSet,
    NameLinked,
    NameUnlinked,
    ProjectAdded,
    TokenIssued,
    TokenRevoked,
    UserAdded,
    UserDisabled,
    UserEnabled,
    UserRoleSet,
)
from models.identity.limits import Limits
from models.identity.people import Device, Fold, Person, Project, apply
from models.identity.streams import device_stream, is_name, project_stream, user_stream
from models.identity.tokens import new_token, token_sha256

NOW = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
SHA = "ab" * 32
ISSUED = TokenIssued(token_id="0123456789ab", sha256=SHA, scopes=("read",), expires_at=NOW + timedelta(days=1))


def chain(stream: str, *facts: ControlFact) -> list[ControlEvent]:
    """Return the events that hold these facts, a second apart."""
    events: list[ControlEvent] = []
    for seq, fact in enumerate(facts):
        prev = events[-1].hash if events else "0" * 64
        at = NOW + timedelta(seconds=seq)
        events.append(seal(fact, stream=stream, seq=seq, recorded_at=at, actor="op", prev_hash=prev))
    return events


def folded(stream: str, *facts: ControlFact) -> Fold:
    """Return what these facts add up to."""
    fold: Fold | None = None
    for event in chain(stream, *facts):
        fold = apply(fold, event)
    assert fold is not None
    return fold


def rows(events: list[ControlEvent]) -> list[dict[str, object]]:
    """Return events as they are stored."""
    return [event.model_dump(mode="json") for event in events]


def test_the_hash_is_that_of_a_jobs_event():
    """It covers the same fields, with attempt 0 and no flow run; the list is written by hand."""
    event = chain("user/alice", UserAdded(role="operator"))[0]
    text = (
        '["user/alice",0,0,"{\\"version\\":1,\\"kind\\":\\"user_added\\",\\"role\\":\\"operator\\",\\"origin\\":\\"\\"}",'
        f'"2026-11-27T08:00:00.000000+00:00","op",null,"{"0" * 64}"]'
    )
    assert event.hash == event.digest() == hashlib.sha256(text.encode()).hexdigest()


def test_a_user():
    """A user has the role, names, limits and tokens of the last facts about them."""
    limits = Limits(jobs_queued=3)
    person = folded(
        "user/alice",
        UserAdded(role="viewer"),
        UserRoleSet(role="operator"),
        NameLinked(name="b"),
        NameLinked(name="a"),
        NameUnlinked(name="b"),
        LimitsSet(limits=limits),
        UserDisabled(),
        UserEnabled(),
        ISSUED,
        UserDisabled(),
    )
    assert isinstance(person, Person)
    assert (person.name, person.role, person.names, person.limits) == ("alice", "operator", ("a",), limits)
    assert not person.is_enabled
    assert (person.added_at, person.seq) == (NOW, 9)
    token = person.tokens["0123456789ab"]
    assert (token.stream, token.scopes, token.issued_at) == ("user/alice", ("read",), NOW + timedelta(seconds=8))


def test_a_project_and_a_device():
    """A project has members with a role each, a device has tokens."""
    facts = (MemberSet(user="a", role="member"), MemberSet(user="b", role="viewer"), MemberSet(user="a", role="viewer"))
    project = folded("project/lab", ProjectAdded(), *facts, MemberRemoved(user="b"))
    assert isinstance(project, Project)
    assert project.members == {"a": "viewer"}
    device = folded("device/rydberg", DeviceAdded(), ISSUED)
    assert isinstance(device, Device)
    assert list(device.tokens) == ["0123456789ab"]


def test_the_state_of_a_token():
    """It is good until the moment it expires; a revocation is for ever, and the first one counts."""
    revoked = TokenRevoked(token_id="0123456789ab")
    good = folded("user/a", UserAdded(), ISSUED).tokens["0123456789ab"]
    edge = NOW + timedelta(days=1)
    assert [good.state(edge - timedelta(microseconds=1)), good.state(edge)] == ["good", "expired"]
    bad = folded("user/a", UserAdded(), ISSUED, revoked, revoked).tokens["0123456789ab"]
    assert (bad.state(NOW), bad.revoked_at) == ("revoked", NOW + timedelta(seconds=2))


@pytest.mark.parametrize(
    ("stream", "facts", "said"),
    [
        ("user/a", [UserRoleSet(role="viewer")], "user_role_set may not begin user/a"),
        ("user/a", [ProjectAdded()], "project_added may not begin user/a"),
        ("user/a", [UserAdded(), UserAdded()], "user_added may not follow in user/a"),
        ("user/a", [UserAdded(), MemberSet(user="a", role="viewer")], "member_set may not follow in user/a"),
        ("user/a", [UserAdded(), TokenRevoked(token_id="none")], "there is no token none"),
        ("user/a", [UserAdded(), ISSUED, ISSUED], "there is a token 0123456789ab already"),
        ("user/a", [UserAdded(), NameUnlinked(name="b")], "the name 'b' is not linked to this user"),
        ("project/p", [ProjectAdded(), ISSUED], "token_issued may not follow in project/p"),
        ("project/p", [ProjectAdded(), MemberRemoved(user="b")], "'b' is not in the project"),
        ("device/d", [DeviceAdded(), LimitsSet(limits=Limits())], "limits_set may not follow in device/d"),
        ("device/d", [DeviceAdded(), DeviceAdded()], "device_added may not follow in device/d"),
    ],
)
def test_what_may_not_follow(stream: str, facts: list[ControlFact], said: str):
    """A fact that cannot be is refused when it is written, and found when it stands there."""
    with pytest.raises(ValueError, match="^" + said.replace("'", ".") + "$"):
        folded(stream, *facts)
    assert check_stream(stream, rows(chain(stream, *facts))).fault == f"event {len(facts) - 1} was not allowed: {said}"


@pytest.mark.parametrize("field", ["stream", "seq", "kind", "data", "recorded_at", "actor", "prev_hash", "hash"])
def test_every_changed_field_is_found(field: str):
    """Whatever is changed in a stored event, its stream does not check any more."""
    stored = rows(chain("user/alice", UserAdded(), UserDisabled(), UserEnabled()))
    assert check_stream("user/alice", stored).fault is None
    other = {
        "seq": 7,
        "kind": "user_enabled",
        "data": '{"version":1,"kind":"user_enabled"}',
        "recorded_at": "2026-11-27T08:00:01+00:00",
        "stream": "user/bob",
    }
    stored[1] |= {field: other.get(field, "ff" * 32)}
    fault = check_stream("user/alice", stored).fault
    assert fault is not None
    assert "event 1" in fault


def test_an_event_that_was_put_in_is_found():
    """One whose own hash is right does not fit into a chain or a stream that it was not written for."""
    stored = rows(chain("user/alice", UserAdded(), UserDisabled()))
    other = {"stream": "user/alice", "seq": 1, "recorded_at": NOW, "actor": "op"}
    put_in = seal(UserEnabled(), **other, prev_hash="ff" * 32)
    fault = check_stream("user/alice", [stored[0], *rows([put_in])]).fault
    assert fault == "event 1 does not carry the hash of the one before it"
    assert check_stream("user/bob", stored).fault == "event 0 belongs to 'user/alice'"


def test_a_missing_event_is_found():
    """A gap is named; that the end is missing no chain can say."""
    stored = rows(chain("user/alice", UserAdded(), UserDisabled(), UserEnabled()))
    assert check_stream("user/alice", stored[1:]).fault == "event 0 is missing"
    assert check_stream("user/alice", [stored[0], stored[2]]).fault == "event 1 is missing"
    assert check_stream("user/alice", []).fault == "it has no events"


def test_new_tokens_tell_nothing_and_are_kept_as_a_hash():
    """A token has its id in it, is found by the SHA-256 of the whole text, and no two are alike."""
    one, other = new_token(), new_token()
    prefix, token_id, secret = one.text.split("_")
    assert (prefix, token_id, len(secret)) == ("qlg", one.token_id, 48)
    assert one.sha256 == token_sha256(one.text) == hashlib.sha256(one.text.encode()).hexdigest()
    assert not {one.text, one.token_id, one.sha256} & {other.text, other.token_id, other.sha256}
    assert TokenIssued(token_id=one.token_id, sha256=one.sha256).token_id == one.token_id


@pytest.mark.parametrize("name", ["alice", "A.B@lab-1_x", "@", "_", "0", "a" * 100])
def test_good_names(name: str):
    """What may be a name makes a stream of that name."""
    assert is_name(name)
    assert (user_stream(name), project_stream(name)) == (f"user/{name}", f"project/{name}")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "-a", ".a", "a/b", "a b", "a\n", "ä", "\u0435", "a" * 101, "a\x00", "a+b", "%61"]
)
def test_bad_names(name: str):
    """Whatever looks like another name, an option or a path is none."""
    for stream in (user_stream, project_stream, device_stream):
        with pytest.raises(BadName):
            stream(name)


def test_limits():
    """A limit is a whole number from 0 on, or none; some may be set anew without the others."""
    limits = Limits(jobs_queued=1, bytes=0)
    assert limits.changed({"jobs_queued": None, "shots_a_day": 5}) == Limits(bytes=0, shots_a_day=5)
    for wrong in ({"jobs_queued": -1}, {"bytes": 2**53 + 1}, {"jobs": 1}):
        with pytest.raises(ValidationError):
            limits.changed(wrong)
