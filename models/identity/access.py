"""Who may do what: one pure function, which the API asks before each call, and nobody decides elsewhere.

An operator may do everything, within the scopes of the token that he shows. A user sees and handles the jobs that he
has handed in by a token. Into those that came without one anybody can have written his name: he sees them if an
operator has linked the name to him. Members and viewers of a project see and export what was handed in for it by token.
An archive proves itself, so it holds histories whole, with the names of workers: the owner of a job may have one, and
operators.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Self

from models.identity.facts import ProjectRole, Role, Scope

PROVEN_SOURCE = "api"
"""The source of the jobs whose user is that of a token."""


class Act(StrEnum):
    """What somebody wants to do with a thing."""

    SEE = "see"
    EXPORT = "export"
    ARCHIVE = "archive"
    SUBMIT = "submit"
    CANCEL = "cancel"
    RETRY = "retry"
    RERUN = "rerun"
    HIDE = "hide"
    LABEL = "label"
    ADMINISTER = "administer"
    SERVE = "serve"
    PAUSE = "pause"


NEEDS: Mapping[Act, Scope] = {
    Act.SEE: "read",
    Act.EXPORT: "read",
    Act.ARCHIVE: "read",
    Act.SUBMIT: "submit",
    Act.CANCEL: "submit",
    Act.RETRY: "submit",
    Act.RERUN: "submit",
    Act.HIDE: "submit",
    Act.LABEL: "submit",
    Act.ADMINISTER: "admin",
    Act.PAUSE: "admin",
}
"""The scope that a user's token needs. `SERVE` has none: it is for the tokens of devices."""


@dataclass(frozen=True)
class Caller:
    """Who asks, as his token says.

    Attributes:
        user: his name; empty for a device.
        scopes: of the token.
        projects: name -> role of the user in it.
        names: names that an operator has linked to him.
        device: the backend that the caller serves; empty for a user.
        is_local: he may come from the machine of the server alone.
    """

    user: str
    role: Role = "member"
    scopes: frozenset[Scope] = frozenset()
    projects: Mapping[str, ProjectRole] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    device: str = ""
    token_id: str = ""
    is_local: bool = False


ThingKind = Literal["job", "payload", "token", "account", "project", "laboratory"]


@dataclass(frozen=True)
class Thing:
    """What is asked about.

    Attributes:
        kind: what it is; an account is what operators say of a user, the laboratory what belongs to nobody.
        user: whose it is; empty for a project and for the laboratory.
        is_proven: whether a token has said whose it is.
        project: what a job belongs to, or the project itself.
        is_hidden: whether the owner of a job has put it away.
        backend: that runs the job; only a job has one.
        scopes: of a token that is to be issued.
    """

    kind: ThingKind
    user: str = ""
    is_proven: bool = True
    project: str = ""
    is_hidden: bool = False
    backend: str = ""
    scopes: frozenset[Scope] = frozenset()

    @classmethod
    def job(cls, user: str, source: str, project: str, *, is_hidden: bool = False, backend: str = "") -> Self:
        """Return a job in the words of its events. To hand one in is asked of the job as it would be."""
        return cls("job", user, source == PROVEN_SOURCE, project, is_hidden, backend)

    @classmethod
    def payload(cls, user: str) -> Self:
        """Return an input that a user has stored."""
        return cls("payload", user)

    @classmethod
    def token(cls, user: str, scopes: frozenset[Scope] = frozenset()) -> Self:
        """Return a token of a user, with the scopes that it would get."""
        return cls("token", user, scopes=scopes)

    @classmethod
    def account(cls, user: str) -> Self:
        """Return what an operator says of a user: role, limits, linked names."""
        return cls("account", user)

    @classmethod
    def of_project(cls, name: str) -> Self:
        """Return a project: its members and limits."""
        return cls("project", project=name)


LABORATORY = Thing("laboratory")
"""What belongs to nobody: all users and projects, health, metrics."""


def is_visible(caller: Caller, thing: Thing) -> bool:
    """Return whether the caller may know that the thing exists; one that he may not is answered as missing (404).

    The scopes of his token do not matter here: what it lacks is said to him.
    """
    if caller.device:
        return thing.backend == caller.device
    if caller.role == "operator":
        return True
    if thing.is_hidden:
        return False
    if not thing.is_proven:
        return thing.user in caller.names
    return thing.user == caller.user != "" or thing.project in caller.projects


def why_not(caller: Caller, act: Act, thing: Thing) -> str:  # noqa: C901, PLR0911 - one line for each rule
    """Return why the caller may not do this with the thing, in a clause; empty where he may."""
    if caller.device or act is Act.SERVE:
        serves = act is Act.SERVE and caller.device != "" and is_visible(caller, thing)
        return "" if serves else "the token of a device is for serving its own jobs, and no other one is"
    if NEEDS[act] not in caller.scopes:
        return f"the token lacks the scope {NEEDS[act]}"
    if act is Act.PAUSE and caller.role != "operator":
        return "only operators may"
    if not is_visible(caller, thing):
        return "it is not the caller's"
    if not thing.scopes <= caller.scopes:
        return "a token gives no scope that it does not have itself"
    if caller.role == "operator" or act in {Act.SEE, Act.EXPORT}:
        return ""
    if not thing.is_proven or thing.user != caller.user:
        return "only its owner and operators may"
    if act is Act.ARCHIVE:
        return ""
    if act is Act.ADMINISTER:
        return "" if thing.kind == "token" else "only operators may"
    if caller.role == "viewer":
        return "a viewer may only look"
    if act in {Act.SUBMIT, Act.RERUN} and thing.project and caller.projects.get(thing.project) != "member":
        return "only members of a project may hand in jobs for it"
    return ""
