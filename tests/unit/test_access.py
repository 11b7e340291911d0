"""Who may do what: users, things and acts as expected sets, stated by hand."""

from itertools import product

import pytest

from models.identity.access import LABORATORY, NEEDS, Act, Caller, Thing, is_visible, why_not
from models.identity.facts import SCOPES

ALL = frozenset(SCOPES)
CALLERS = {
    "owner": Caller("alice", "member", ALL, {"lab": "member", "gone": "viewer"}),
    "mate": Caller("bob", "member", ALL, {"lab": "member"}),
    "watcher": Caller("carol", "member", ALL, {"lab": "viewer"}),
    "stranger": Caller("dave", "member", ALL, {"other": "member"}),
    "linked": Caller("erin", "member", ALL, names=frozenset({"alice-pc", "erin"})),
    "looker": Caller("frank", "viewer", ALL, {"lab": "member"}),
    "operator": Caller("olga", "operator", ALL),
    "nobody": Caller("", "member", ALL),
    "engine": Caller("", device="rydberg"),
    "other engine": Caller("", device="fermions"),
}
DEVICES_ALONE = "the token of a device is for serving its own jobs, and no other one is"
NOBODY: set[str] = set()
OPERATOR = {"operator"}
OWNER = {"owner", "operator"}
PROJECT = {"owner", "mate", "watcher", "looker", "operator"}
LINKED = {"linked", "operator"}
HANDLE = ("cancel", "retry", "rerun", "hide", "label")


def rights(
    see: set[str], submit: set[str], handle: set[str], administer: set[str], serve: set[str]
) -> dict[str, set[str]]:
    """Return who may do what, by act."""
    return {
        "see": see,
        "export": see,
        "archive": handle,
        "submit": submit,
        **dict.fromkeys(HANDLE, handle),
        "administer": administer,
        "serve": serve,
        "pause": OPERATOR,
    }


THINGS = {
    "a job of the owner in the project": (
        Thing.job("alice", "api", "lab", backend="rydberg"),
        rights(PROJECT, OWNER, OWNER, OPERATOR, {"engine"}),
    ),
    "a job of the owner alone": (
        Thing.job("alice", "api", "", backend="fermions"),
        rights(OWNER, OWNER, OWNER, OPERATOR, {"other engine"}),
    ),
    "a job that its owner has put away": (
        Thing.job("alice", "api", "lab", is_hidden=True, backend="rydberg"),
        rights(OPERATOR, OPERATOR, OPERATOR, OPERATOR, {"engine"}),
    ),
    "a job of the owner in a project where he only looks": (
        Thing.job("alice", "api", "gone"),
        rights(OWNER, OPERATOR, OWNER, OPERATOR, NOBODY) | {"rerun": OPERATOR},
    ),
    "a job of the owner in a project that he has left": (
        Thing.job("alice", "api", "left"),
        rights(OWNER, OPERATOR, OWNER, OPERATOR, NOBODY) | {"rerun": OPERATOR},
    ),
    "a job of a viewer, from before he was one": (
        Thing.job("frank", "api", ""),
        rights({"looker", "operator"}, OPERATOR, OPERATOR, OPERATOR, NOBODY) | {"archive": {"looker", "operator"}},
    ),
    "a job under a linked name": (
        Thing.job("alice-pc", "inbox", "lab"),
        rights(LINKED, OPERATOR, OPERATOR, OPERATOR, NOBODY),
    ),
    "a job under a linked name that is the user's own": (
        Thing.job("erin", "inbox", ""),
        rights(LINKED, OPERATOR, OPERATOR, OPERATOR, NOBODY),
    ),
    "a job in the owner's name that no token has proven": (
        Thing.job("alice", "inbox", "lab"),
        rights(OPERATOR, OPERATOR, OPERATOR, OPERATOR, NOBODY),
    ),
    "a job from the command line": (
        Thing.job("alice", "cli", "lab", backend="rydberg"),
        rights(OPERATOR, OPERATOR, OPERATOR, OPERATOR, {"engine"}),
    ),
    "a job of nobody": (
        Thing.job("", "prefect", ""),
        rights(OPERATOR, OPERATOR, OPERATOR, OPERATOR, NOBODY),
    ),
    "a payload of the owner": (
        Thing.payload("alice"),
        rights(OWNER, OWNER, OWNER, OPERATOR, NOBODY),
    ),
    "a token of the owner": (
        Thing.token("alice"),
        rights(OWNER, OWNER, OWNER, OWNER, NOBODY),
    ),
    "a token of a viewer": (
        Thing.token("frank"),
        rights({"looker", "operator"}, OPERATOR, OPERATOR, {"looker", "operator"}, NOBODY)
        | {"archive": {"looker", "operator"}},
    ),
    "the account of the owner": (
        Thing.account("alice"),
        rights(OWNER, OWNER, OWNER, OPERATOR, NOBODY),
    ),
    "the project": (
        Thing.of_project("lab"),
        rights(PROJECT, OPERATOR, OPERATOR, OPERATOR, NOBODY),
    ),
    "a project of others": (
        Thing.of_project("other"),
        rights({"stranger", "operator"}, OPERATOR, OPERATOR, OPERATOR, NOBODY),
    ),
    "the laboratory": (LABORATORY, rights(OPERATOR, OPERATOR, OPERATOR, OPERATOR, NOBODY)),
}


def test_what_is_asked_about_is_a_thing():
    """Each kind with what is said of it; whose a job is, a token has proven if it came by the API."""
    assert Thing.job("u", "api", "p", is_hidden=True, backend="b") == Thing(
        kind="job", user="u", is_proven=True, project="p", is_hidden=True, backend="b"
    )
    assert Thing.job("u", "cli", "") == Thing(kind="job", user="u", is_proven=False)
    assert Thing.payload("u") == Thing(kind="payload", user="u")
    assert Thing.token("u") == Thing(kind="token", user="u")
    assert Thing.token("u", frozenset({"read"})) == Thing(kind="token", user="u", scopes=frozenset({"read"}))
    assert Thing.account("u") == Thing(kind="account", user="u")
    assert Thing.of_project("p") == Thing(kind="project", project="p")


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("act", list(Act))
def test_who_may(thing: str, act: Act):
    """Exactly these callers may; all others are told why not, in a clause without a name of anybody else."""
    what, expected = THINGS[thing]
    said = {name: why_not(caller, act, what) for name, caller in CALLERS.items()}
    assert {name for name, why in said.items() if not why} == expected[act.value]
    assert not any("alice" in why or "lab" in why for why in said.values())


@pytest.mark.parametrize(
    ("who", "act", "thing", "words"),
    [
        ("engine", "see", LABORATORY, DEVICES_ALONE),
        ("engine", "serve", Thing.job("alice", "api", "", backend="fermions"), DEVICES_ALONE),
        ("operator", "serve", Thing.job("alice", "api", "", backend="rydberg"), DEVICES_ALONE),
        ("owner", "pause", LABORATORY, "only operators may"),
        ("stranger", "see", Thing.job("alice", "api", "lab"), "it is not the caller's"),
        ("mate", "cancel", Thing.job("alice", "api", "lab"), "only its owner and operators may"),
        ("linked", "hide", Thing.job("alice-pc", "inbox", ""), "only its owner and operators may"),
        ("owner", "administer", Thing.account("alice"), "only operators may"),
        ("looker", "submit", Thing.job("frank", "api", ""), "a viewer may only look"),
        ("owner", "rerun", Thing.job("alice", "api", "gone"), "only members of a project may hand in jobs for it"),
    ],
)
def test_why_somebody_may_not(who: str, act: str, thing: Thing, words: str):
    """In a clause, after which an answer goes on."""
    assert why_not(CALLERS[who], Act(act), thing) == words


@pytest.mark.parametrize("thing", THINGS)
def test_what_may_be_seen_is_there(thing: str):
    """A thing is there for those who may see it with all scopes, and for the engine that serves it."""
    what, expected = THINGS[thing]
    assert {name for name, caller in CALLERS.items() if is_visible(caller, what)} == expected["see"] | expected["serve"]


@pytest.mark.parametrize(("act", "scope"), [*product(NEEDS, SCOPES)])
def test_a_token_is_good_for_its_scopes_alone(act: Act, scope: str):
    """Even an operator's token does only what it is for; what it lacks is named."""
    caller = Caller("olga", "operator", frozenset({scope}))
    why = why_not(caller, act, Thing.job("alice", "api", ""))
    needs = {
        "see": "read",
        "export": "read",
        "archive": "read",
        "submit": "submit",
        "cancel": "submit",
        "retry": "submit",
        "rerun": "submit",
        "hide": "submit",
        "label": "submit",
        "administer": "admin",
        "pause": "admin",
    }[act.value]
    assert why == ("" if needs == scope else f"the token lacks the scope {needs}")


def test_every_act_of_a_user_needs_a_scope():
    """No act was forgotten; only an engine needs none."""
    assert set(NEEDS) == set(Act) - {Act.SERVE}


def test_a_token_gives_no_more_than_it_has():
    """Whoever issues a token may give it the scopes that his own has, and none else; an operator's too."""
    for role in ("member", "operator"):
        caller = Caller("alice", role, frozenset({"read", "admin"}))
        assert why_not(caller, Act.ADMINISTER, Thing.token("alice", frozenset({"read", "admin"}))) == ""
        why = why_not(caller, Act.ADMINISTER, Thing.token("alice", frozenset({"submit"})))
        assert why == "a token gives no scope that it does not have itself"


def test_a_device_is_no_user_of_its_name():
    """A backend and a user may share a name, and an engine has no rights of that user, whatever its token says."""
    engine = Caller("", "operator", ALL, {"lab": "member"}, frozenset({"alice-pc", ""}), device="alice")
    for what, _ in THINGS.values():
        assert all(why_not(engine, act, what) for act in Act)
