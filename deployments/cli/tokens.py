"""`quledger token`: what users and devices show to the API. Only `new` prints one, and only once."""

import sys
from datetime import timedelta
from typing import Any, Literal

from deployments.cli import render
from deployments.cli.existing import existing
from deployments.cli.operator import actor, each_of
from deployments.cli.output import Json, print_output
from deployments.cli.tables import Cell, Column, ColumnKind, Row, show_table
from models import clock
from models.clock import to_text
from models.errors import BadName, echo
from models.identity.errors import UnknownToken
from models.identity.facts import SCOPES, Scope
from models.identity.people import TokenState
from models.identity.streams import device_stream, parts, user_stream
from models.identity.tokens import PREFIX
from models.names import id_meant
from storage.identity.directory_reader import ListedToken
from tasks.backends import registry
from tasks.services import current

USUAL_DAYS = 90
"""So long a token of a user is good. That of a device, which nobody renews by hand, has no end if none is given."""

MAX_DAYS = 36500
USUAL_SCOPES = ("read", "submit")
_COLOURS: dict[TokenState, str] = {"good": "green", "expired": "yellow", "revoked": "red"}
COLUMNS = (
    Column("token"),
    Column("of", ColumnKind.NAME),
    Column("state"),
    Column("scopes"),
    Column("expires (UTC)"),
    Column("last used (UTC)", ColumnKind.DETAIL),
    Column("note", ColumnKind.TEXT),
)


def new(  # noqa: PLR0913 - one parameter an option
    user: str = "",
    *,
    device: str = "",
    days: float | Literal["never"] | None = None,
    scope: list[str] | None = None,
    note: str = "",
    as_json: Json = False,
) -> int:
    """Make a token and print it, alone on standard output; it is shown this once and kept nowhere.

    Args:
        user: Whose it is.
        device: Instead of a user: the backend that an engine of your own serves, with this as its key.
        days: So long it is good, or `never` for no end; 90 for a user and `never` for a device if left out.
        scope: What it is good for: read, submit and admin, with commas between them; read,submit if left out.
            With admin its user makes tokens of his own, and an operator administers.
        note: What it is for.
    """
    if bool(user) is bool(device):
        raise BadName("say whose token it is: the name of a user, or --device NAME")
    scopes = _scopes(scope)
    if device:
        if scope:
            raise BadName("--scope is for the tokens of users; one of a device is good for serving it alone")
        if device not in registry.names():
            raise registry.unknown(device)
        if why := registry.why_run_here(device):
            print(f"quledger: an engine with this key is refused: {why}", file=sys.stderr)
    if days is None:
        days = "never" if device else USUAL_DAYS
    stream = device_stream(device) if device else user_stream(user)
    expires_at = None if isinstance(days, str) else clock.now() + timedelta(days=_days(days))
    made = current().directory.issue(stream, () if device else scopes, expires_at=expires_at, note=note, actor=actor())
    value = {
        "token": made.text,
        "token_id": made.token_id,
        "expires_at": to_text(expires_at) if expires_at else None,
    }
    print_output(value, lambda: print(made.text), as_json=as_json)
    return 0


def list_tokens(user: str = "", *, device: str = "", as_json: Json = False) -> int:
    """List tokens by their ids; what is kept of each is a hash, so that none can be shown again.

    Args:
        user: Only of this user.
        device: Only of this device.
    """
    directory = existing().directory
    if user:
        directory.user(user)
    found = directory.tokens(user=user, device=device)
    rows = [_row(listed) for listed in found]
    if as_json or found:
        print_output(
            [_value(listed) for listed in found], lambda: show_table(render.console, COLUMNS, rows), as_json=as_json
        )
    else:
        print("There are no such tokens. Make one: quledger token new USER")
    return 0


def revoke(token_id: str, *, as_json: Json = False) -> int:
    """Revoke a token: it lets nobody in any more, at once and for ever.

    Args:
        token_id: Its id, or the beginning of it; `quledger token list` shows the ids.
    """
    directory = existing().directory
    # Whoever has pasted the whole token is not shown its secret again.
    token_id = token_id.removeprefix(f"{PREFIX}_").partition("_")[0]
    meant = id_meant(token_id, [listed.token.token_id for listed in directory.tokens()])
    if meant is None:
        raise UnknownToken(token_id)
    token = directory.revoke(meant, actor=actor())
    text = f"the token {meant} of the {' '.join(parts(token.stream))} is revoked"
    print_output({"token_id": meant, "state": "revoked"}, lambda: print(text), as_json=as_json)
    return 0


def _scopes(given: list[str] | None) -> tuple[Scope, ...]:
    asked = each_of(given) or list(USUAL_SCOPES)
    if unknown := [scope for scope in asked if scope not in SCOPES]:
        raise BadName(f"--scope: {', '.join(map(echo, unknown))}: there are {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in asked)


def _days(days: float) -> float:
    if not 0 < days <= MAX_DAYS:
        raise BadName(f"--days: say a number above 0, of at most {MAX_DAYS}, or never")
    return days


def _state(listed: ListedToken) -> TokenState:
    return listed.token.state(clock.now())


def _row(listed: ListedToken) -> Row:
    token, state = listed.token, _state(listed)
    kind, name = parts(token.stream)
    return (
        token.token_id,
        name if kind == "user" else f"{kind} {name}",
        Cell(state, _COLOURS[state]),
        " ".join(token.scopes) or "-",
        to_text(token.expires_at)[:16].replace("T", " ") if token.expires_at else "never",
        to_text(listed.last_used_at)[:16].replace("T", " ") if listed.last_used_at else "never",
        token.note,
    )


def _value(listed: ListedToken) -> dict[str, Any]:
    token = listed.token
    kind, name = parts(token.stream)
    return {
        "token_id": token.token_id,
        kind: name,
        "state": _state(listed),
        "scopes": list(token.scopes),
        "note": token.note,
        "issued_at": to_text(token.issued_at),
        "expires_at": to_text(token.expires_at) if token.expires_at else None,
        "revoked_at": to_text(token.revoked_at) if token.revoked_at else None,
        "last_used_at": to_text(listed.last_used_at) if listed.last_used_at else None,
    }
