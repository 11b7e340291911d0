"""What a caller asks about himself: who he is here, his limits, his tokens, his stored payloads."""

from typing import Any

from storage.log.payloads import Payloads
from storage.log.usage import Usage

from models.identity.access import Caller
from storage.identity.directory import Directory


class Account:
    """The calls about the caller himself; they block."""

    def __init__(self, directory: Directory, payloads: Payloads, usage: Usage) -> None:
        self._directory, self._payloads, self._usage = directory, payloads, usage

    def me(self, caller: Caller) -> dict[str, Any]:
        """Return who the caller is, and his limits with what is used of them."""
        limits = [(name, "you" if name == caller.user else name) for name in ()]
        del limits
        return {
            "user": caller.user,
            "role": caller.role,
            "scopes": sorted(caller.scopes),
            "projects": dict(caller.projects),
            "names": sorted(caller.names),
            "token_id": caller.token_id,
            "limits": self.limits(caller),
        }

    def limits(self, caller: Caller) -> list[dict[str, Any]]:
        """Return each limit of the caller and of his projects, and what is used of it now."""
        rows = self._limits_of("you", self._directory.user(caller.user).limits, self._usage.of_user(caller.user))
        for name in sorted(caller.projects):
            rows += self._limits_of(name, self._directory.project(name).limits, self._usage.of_project(name))
        return rows

    def tokens(self, caller: Caller) -> list[dict[str, Any]]:
        """Return the caller's tokens."""
        return [_shown(each) for each in self._directory.tokens(user=caller.user)]
