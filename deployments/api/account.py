"""What callers ask about themselves: who they are here, and their tokens."""

from datetime import timedelta
from typing import Any

from models import clock
from models.clock import to_text
from models.identity.access import Act, Caller, Thing, is_visible, why_not
from models.identity.errors import NotPermitted, UnknownToken
from models.identity.facts import Scope
from models.identity.limits import Limits
from models.identity.people import Token
from models.identity.streams import parts, user_stream
from models.usage import Used
from storage.identity.directory import Directory
from storage.identity.limits import limits_of
from storage.log import usage


class Account:
    """The calls about the caller himself; they block."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._engine = directory, directory.engine

    def me(self, caller: Caller) -> dict[str, Any]:
        """Return who the caller is."""
        return {
            "user": caller.user,
            "role": caller.role,
            "scopes": sorted(caller.scopes),
            "projects": dict(caller.projects),
            "names": sorted(caller.names),
            "token_id": caller.token_id,
            "limits": self._limits(caller),
        }

    def _limits(self, caller: Caller) -> list[dict[str, Any]]:
        """Return each limit of the caller and of his projects, with what is used of it."""
        limits, now = limits_of(self._engine, [caller.user], caller.projects), clock.now()
        rows = _rows("you", limits.get(f"user/{caller.user}"), usage.used(self._engine, caller.user, "", now)[0])
        for name in sorted(caller.projects):
            rows += _rows(name, limits.get(f"project/{name}"), usage.used(self._engine, "", name, now)[1])
        return rows

    def tokens(self, caller: Caller) -> list[dict[str, Any]]:
        """Return the caller's tokens."""
        _permit(caller, Act.SEE, Thing.token(caller.user))
        return [
            _shown(each.token) | {"last_used_at": each.last_used_at and to_text(each.last_used_at)}
            for each in self._directory.tokens(user=caller.user)
        ]

    def new_token(
        self, caller: Caller, valid: timedelta | None, scopes: tuple[Scope, ...] | None, note: str
    ) -> dict[str, Any]:
        """Make a token for the caller.

        Args:
            valid: how long it is good for; None for ever.
            scopes: None for those of the token that the caller shows.

        Raises:
            NotPermitted: it would give more than that token does.
        """
        wanted = caller.scopes if scopes is None else frozenset(scopes)
        _permit(caller, Act.ADMINISTER, Thing.token(caller.user, wanted))
        expires_at = None if valid is None else clock.now() + valid
        made = self._directory.issue(
            user_stream(caller.user), sorted(wanted), expires_at=expires_at, note=note, actor=caller.user
        )
        return _shown(self._directory.token(made.token_id)) | {"last_used_at": None, "token": made.text}

    def revoke_token(self, caller: Caller, token_id: str) -> None:
        """Revoke a token.

        Raises:
            UnknownToken: there is none of this id, or the caller may not know of it.
            NotPermitted: the caller may not.
        """
        kind, name = parts(self._directory.token(token_id).stream)
        thing = Thing.token(name if kind == "user" else "")
        if not is_visible(caller, thing):
            raise UnknownToken(token_id)
        _permit(caller, Act.ADMINISTER, thing)
        self._directory.revoke(token_id, actor=caller.user)


def _rows(whose: str, limits: Limits | None, used: Used) -> list[dict[str, Any]]:
    amounts = {
        "jobs_queued": used.jobs_queued,
        "shots_a_day": used.shots_today,
        "seconds_a_day": used.seconds_today,
        "bytes": used.bytes,
    }
    return [
        {"of": whose, "name": name, "most": limits and getattr(limits, name), "used": amount}
        for name, amount in amounts.items()
    ]


def _shown(token: Token) -> dict[str, Any]:
    return {
        "token_id": token.token_id,
        "scopes": list(token.scopes),
        "note": token.note,
        "issued_at": to_text(token.issued_at),
        "expires_at": token.expires_at and to_text(token.expires_at),
        "state": token.state(clock.now()),
    }


def _permit(caller: Caller, act: Act, thing: Thing) -> None:
    if why := why_not(caller, act, thing):
        raise NotPermitted(why)
