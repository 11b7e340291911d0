"""Errors about users, projects and tokens; each is an `InputError` of the tree in `models/errors.py`.

The text of `NotSignedIn` and `NotPermitted` is shown to whoever asks; that of the others to operators, and to users
about what is theirs.
"""

from typing import Literal

from models.errors import InputError, echo

BadToken = Literal["missing", "unknown", "expired", "revoked", "disabled", "elsewhere"]
"""Why a token lets nobody in."""

_WHY: dict[BadToken, str] = {
    "missing": "a token is needed: Authorization: Bearer TOKEN",
    "unknown": "this token is not known here",
    "expired": "this token has expired; ask the laboratory for a new one",
    "revoked": "this token was revoked; ask the laboratory for a new one",
    "disabled": "the user of this token is disabled; ask the laboratory",
    "elsewhere": "this token is good on the machine of the server alone",
}


class UnknownUser(InputError):
    """No user has this name."""

    def __init__(self, *names: str) -> None:
        which = ", ".join(map(echo, names))
        super().__init__(f"no user is called {which}; `quledger user list` shows the users")


class UserExists(InputError):
    """There is a user of this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a user {echo(name)} already; `quledger user set` changes it")


class UnknownProject(InputError):
    """No project has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no project is called {echo(name)}; `quledger project list` shows the projects")


class ProjectExists(InputError):
    """There is a project of this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a project {echo(name)} already; `quledger project set` changes it")


class UnknownDevice(InputError):
    """No device of this name has ever had a token."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the device {echo(name)} has no token; `quledger token new --device` makes one")


class UnknownToken(InputError):
    """No token has this id."""

    def __init__(self, token_id: str) -> None:
        super().__init__(f"no token has the id {echo(token_id)}; `quledger token list` shows the tokens")


class NotChanged(InputError):
    """A user, project or device cannot be changed so; the text says why, and nothing was changed."""


class NotSignedIn(InputError):
    """A token lets nobody in.

    Attributes:
        reason: why, for programs.
    """

    def __init__(self, reason: BadToken) -> None:
        super().__init__(_WHY[reason])
        self.reason = reason


class NotPermitted(InputError):
    """Whoever asks may see this, but not do it; `why` is a clause of `models.identity.access.why_not`."""

    def __init__(self, why: str) -> None:
        super().__init__(f"this is not permitted: {why}")
        self.why = why
