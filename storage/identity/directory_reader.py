"""Who may use this laboratory, as the views and control streams tell it; nothing here appends an event.

Who looks up a token takes no lock at all.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Engine, RowMapping, Select, bindparam, literal, or_, select, union_all, update

from models import clock
from models.clock import to_text
from models.identity.access import Caller
from models.identity.errors import NotSignedIn, UnknownProject, UnknownToken, UnknownUser
from models.identity.people import Person, Project, Token
from models.identity.streams import device_stream, is_name, project_stream, user_stream
from models.identity.tokens import LOCAL_NOTE, MOST_SECRET, is_token_id, token_sha256
from storage.identity import streams
from storage.identity.views import ACCOUNT, MEMBERSHIP, NAME_LINK, TOKEN
from storage.log.database import reading, writing
from storage.log.dialects import Turn, dialect_of

USED_AGAIN = timedelta(minutes=1)
"""The use of a token is written no sooner than so long after the last one that was."""

_WHO = select(TOKEN, ACCOUNT.c.role, ACCOUNT.c.is_enabled).select_from(
    TOKEN.outerjoin(ACCOUNT, ACCOUNT.c.name == TOKEN.c.user)
)
_WHO_SHOWS = _WHO.where(TOKEN.c.sha256 == bindparam("key"))
_WHO_HAS = _WHO.where(TOKEN.c.token_id == bindparam("key"))
_MORE = union_all(
    select(literal("project").label("what"), MEMBERSHIP.c.project.label("name"), MEMBERSHIP.c.role).where(
        MEMBERSHIP.c.user == bindparam("user")
    ),
    select(literal("name"), NAME_LINK.c.name, literal("")).where(NAME_LINK.c.user == bindparam("user")),
)
_GOOD = (
    select(TOKEN.c.token_id)
    .select_from(TOKEN.outerjoin(ACCOUNT, ACCOUNT.c.name == TOKEN.c.user))
    .where(TOKEN.c.token_id.in_(bindparam("token_ids", expanding=True)), TOKEN.c.revoked_at == "")
    .where(or_(TOKEN.c.expires_at == "", TOKEN.c.expires_at > bindparam("now")))
    .where(or_(TOKEN.c.device != "", ACCOUNT.c.is_enabled))
)
_NOT_TOUCHED = select(TOKEN.c.token_id).where(
    TOKEN.c.token_id.in_(bindparam("token_ids", expanding=True)), TOKEN.c.last_used_at < bindparam("before")
)
_TOUCH = (
    update(TOKEN)
    .where(TOKEN.c.token_id.in_(bindparam("token_ids", expanding=True)), TOKEN.c.last_used_at < bindparam("before"))
    .values(last_used_at=bindparam("used_at"))
)


class ListedToken(NamedTuple):
    """A token, and when it was last used, to the minute; None if never."""

    token: Token
    last_used_at: datetime | None


class DirectoryReader:
    """What may be asked of the directory of one log."""

    def __init__(self, engine: Engine, now: Callable[[], datetime] = clock.now) -> None:
        self.engine = engine
        self._now = now

    def caller_of(self, token: str) -> Caller:
        """Return who shows this token; it reads twice, by indexes, and waits for nobody who writes.

        Raises:
            NotSignedIn: it lets nobody in; `reason` says why.
        """
        if not 0 < len(token) <= MOST_SECRET:
            raise NotSignedIn("unknown")
        return self._caller(_WHO_SHOWS, token_sha256(token))

    def caller_with(self, token_id: str) -> Caller:
        """Return who has shown the token with this id before, as when a session began; else as `caller_of`."""
        if not is_token_id(token_id):
            raise NotSignedIn("unknown")
        return self._caller(_WHO_HAS, token_id)

    def _caller(self, query: Select[Any], key: str) -> Caller:
        with reading(self.engine) as connection:
            row = connection.execute(query, {"key": key}).mappings().one_or_none()
            if row is None:
                raise NotSignedIn("unknown")
            if row["revoked_at"]:
                raise NotSignedIn("revoked")
            if row["expires_at"] and row["expires_at"] <= to_text(self._now()):
                raise NotSignedIn("expired")
            if row["device"]:
                return Caller(user="", role="member", device=row["device"], token_id=row["token_id"])
            if not row["is_enabled"]:
                raise NotSignedIn("disabled")
            more = connection.execute(_MORE, {"user": row["user"]}).all()
        return Caller(
            user=row["user"],
            role=row["role"],
            scopes=frozenset(row["scopes"].split()),
            projects={name: role for what, name, role in more if what == "project"},
            names=frozenset(name for what, name, _ in more if what == "name"),
            token_id=row["token_id"],
            is_local=row["note"] == LOCAL_NOTE,
        )

    def good_tokens(self, token_ids: Collection[str]) -> set[str]:
        """Return which of these tokens, by their ids, let somebody in now."""
        with reading(self.engine) as connection:
            found = connection.execute(_GOOD, {"token_ids": sorted(token_ids), "now": to_text(self._now())})
            return set(found.scalars())

    def touch(self, token_ids: Collection[str]) -> None:
        """Remember that these tokens were used; that takes the write lock only where it was not done for a minute."""
        now = self._now()
        values: dict[str, Any] = {"token_ids": sorted(set(token_ids)), "before": to_text(now - USED_AGAIN)}
        with reading(self.engine) as connection:
            values["token_ids"] = sorted(connection.scalars(_NOT_TOUCHED, values))
        if values["token_ids"]:
            with writing(self.engine) as connection:
                # Two that lock the same rows in another order would wait for each other.
                dialect_of(connection).in_turn(connection, Turn.CONTROL)
                connection.execute(_TOUCH, values | {"used_at": to_text(now)})

    def user(self, name: str) -> Person:
        """Return a user.

        Raises:
            UnknownUser: there is none.
        """
        with reading(self.engine) as connection:
            fold = streams.fold_of(connection, user_stream(name))
        if not isinstance(fold, Person):
            raise UnknownUser(name)
        return fold

    def project(self, name: str) -> Project:
        """Return a project.

        Raises:
            UnknownProject: there is none.
        """
        with reading(self.engine) as connection:
            fold = streams.fold_of(connection, project_stream(name))
        if not isinstance(fold, Project):
            raise UnknownProject(name)
        return fold

    def users(self) -> list[Person]:
        """Return all users, by name."""
        with reading(self.engine) as connection:
            return [fold for fold in streams.folds(connection, "user") if isinstance(fold, Person)]

    def unknown_users(self, names: Collection[str]) -> list[str]:
        """Return which of these are the names of no users."""
        possible = [name for name in names if is_name(name)]
        with reading(self.engine) as connection:
            known = set(connection.scalars(select(ACCOUNT.c.name).where(ACCOUNT.c.name.in_(possible))))
        return [name for name in names if name not in known]

    def projects(self) -> list[Project]:
        """Return all projects, by name."""
        with reading(self.engine) as connection:
            return [fold for fold in streams.folds(connection, "project") if isinstance(fold, Project)]

    def tokens(self, *, user: str = "", device: str = "") -> list[ListedToken]:
        """Return the tokens of a user, of a device, or all of them, in the order in which they were issued.

        Raises:
            BadName: nobody can have this name.
        """
        query = select(TOKEN).order_by(TOKEN.c.issued_at, TOKEN.c.token_id)
        if user:
            user_stream(user)
            query = query.where(TOKEN.c.user == user)
        if device:
            device_stream(device)
            query = query.where(TOKEN.c.device == device)
        with reading(self.engine) as connection:
            return [_listed(row) for row in connection.execute(query).mappings()]

    def token(self, token_id: str) -> Token:
        """Return a token.

        Raises:
            UnknownToken: there is none.
        """
        row = None
        if is_token_id(token_id):
            with reading(self.engine) as connection:
                row = connection.execute(select(TOKEN).where(TOKEN.c.token_id == token_id)).mappings().one_or_none()
        if row is None:
            raise UnknownToken(token_id)
        return _listed(row).token


def _listed(row: RowMapping) -> ListedToken:
    stream = device_stream(row["device"]) if row["device"] else user_stream(row["user"])
    token = Token(
        stream=stream,
        token_id=row["token_id"],
        sha256=row["sha256"],
        scopes=row["scopes"].split(),
        note=row["note"],
        issued_at=row["issued_at"],
        expires_at=row["expires_at"] or None,
        revoked_at=row["revoked_at"] or None,
    )
    return ListedToken(token, datetime.fromisoformat(row["last_used_at"]) if row["last_used_at"] else None)
