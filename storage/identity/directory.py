"""Who may use this laboratory: facts about users, projects and devices are appended here, and tokens looked up.

Whoever appends has the turn for it: what one fact says depends on other streams too, such as whether there is a member.
The unique key (stream, seq) stands behind that. Who looks up a token takes no lock at all.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, RowMapping, bindparam, literal, select, union_all, update

from models import clock
from models.clock import to_text
from models.errors import echo, printable
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
    LimitsSet,
    MemberSet,
    NameLinked,
    ProjectAdded,
    Scope,
    TokenIssued,
    TokenRevoked,
    UserAdded,
)
from models.identity.people import Fold, Person, Project, Token
from models.identity.streams import device_stream, parts, project_stream, user_stream
from models.identity.tokens import MOST_SECRET, NewToken, new_token, token_sha256
from storage.identity import streams
from storage.identity.views import ACCOUNT, MEMBERSHIP, NAME_LINK, TOKEN
from storage.log.database import reading, writing
from storage.log.dialects import Turn, dialect_of

USED_AGAIN = timedelta(minutes=1)
"""The use of a token is written no sooner than so long after the last one that was."""

Decide = Callable[[Fold | None], Sequence[ControlFact]]
"""Says what is to be appended to a stream that stands so; None where there is none yet."""

_WHO = (
    select(TOKEN, ACCOUNT.c.role, ACCOUNT.c.is_enabled)
    .select_from(TOKEN.outerjoin(ACCOUNT, ACCOUNT.c.name == TOKEN.c.user))
    .where(TOKEN.c.sha256 == bindparam("sha256"))
)
_MORE = union_all(
    select(literal("project").label("what"), MEMBERSHIP.c.project.label("name"), MEMBERSHIP.c.role).where(
        MEMBERSHIP.c.user == bindparam("user")
    ),
    select(literal("name"), NAME_LINK.c.name, literal("")).where(NAME_LINK.c.user == bindparam("user")),
)
_NOT_TOUCHED = select(TOKEN.c.token_id).where(
    TOKEN.c.token_id.in_(bindparam("token_ids", expanding=True)), TOKEN.c.last_used_at < bindparam("before")
)
_TOUCH = (
    update(TOKEN)
    .where(TOKEN.c.token_id.in_(bindparam("token_ids", expanding=True)), TOKEN.c.last_used_at < bindparam("before"))
    .values(last_used_at=bindparam("used_at"))
)
_IS_USER = select(ACCOUNT.c.name).where(ACCOUNT.c.name == bindparam("name"))
_LINKED_TO = select(NAME_LINK.c.user).where(NAME_LINK.c.name == bindparam("name"))
_IS_KNOWN = select(TOKEN.c.token_id).where(TOKEN.c.sha256 == bindparam("sha256"))
_MISSING: dict[str, type[UnknownUser | UnknownProject | UnknownDevice]] = {
    "user": UnknownUser,
    "project": UnknownProject,
    "device": UnknownDevice,
}


class ListedToken(NamedTuple):
    """A token, and when it was last used, to the minute; None if never."""

    token: Token
    last_used_at: datetime | None


class Directory:
    """The users, projects and devices of one log; safe to use from several threads and processes at once."""

    def __init__(self, engine: Engine, now: Callable[[], datetime] = clock.now) -> None:
        self.engine = engine
        self._now = now

    def append(self, stream: str, *facts: ControlFact, actor: str) -> Fold:
        """Append facts to a stream, all or none; those that change nothing are not written.

        Raises:
            UserExists, ProjectExists: it is begun already.
            UnknownUser, UnknownProject, UnknownDevice: it was not begun, or a member is no user.
            NotChanged: a fact may not follow; the text says why.
        """
        return self.change(stream, lambda _fold: facts, actor=actor)

    def change(self, stream: str, decide: Decide, *, actor: str) -> Fold:
        """Append what `decide` says, while nobody else appends to any stream; else as `append`."""
        with writing(self.engine) as connection:
            dialect_of(connection).in_turn(connection, Turn.CONTROL)
            fold = streams.fold_of(connection, stream)
            for fact in decide(fold):
                _check(connection, stream, fold, fact)
                try:
                    fold = streams.write(connection, stream, fold, fact, actor=actor, now=self._now())
                except ValueError as error:
                    raise NotChanged(f"{stream.replace('/', ' ', 1)} cannot be changed so: {error}") from None
            if fold is None:
                raise _missing(stream)
            return fold

    def issue(
        self,
        stream: str,
        scopes: Collection[Scope] = (),
        *,
        expires_at: datetime | None = None,
        note: str = "",
        actor: str,
    ) -> NewToken:
        """Give a user or a device one more token. The first one of a device adds it.

        Raises:
            UnknownUser: there is none.
        """
        new = new_token()
        issued = TokenIssued(
            token_id=new.token_id, sha256=new.sha256, scopes=tuple(scopes), expires_at=expires_at, note=printable(note)
        )

        def decide(fold: Fold | None) -> Sequence[ControlFact]:
            is_new = fold is None and parts(stream)[0] == "device"
            return (DeviceAdded(), issued) if is_new else (issued,)

        self.change(stream, decide, actor=actor)
        return new

    def revoke(self, token_id: str, *, actor: str) -> Token:
        """Let a token let nobody in any more; one that was revoked before stays so.

        Raises:
            UnknownToken: there is none.
        """
        token = self.token(token_id)
        return self.append(token.stream, TokenRevoked(token_id=token_id), actor=actor).tokens[token_id]

    def set_limits(self, stream: str, changes: Mapping[str, int | None], *, actor: str) -> Fold:
        """Set those limits of a user or a project that are named, and leave the others.

        Raises:
            UnknownUser, UnknownProject: there is none.
        """

        def decide(fold: Fold | None) -> Sequence[ControlFact]:
            if not isinstance(fold, Person | Project):
                raise _missing(stream)
            return (LimitsSet(limits=fold.limits.changed(changes)),)

        return self.change(stream, decide, actor=actor)

    def caller_of(self, token: str) -> Caller:
        """Return who shows this token; it reads twice, by indexes, and waits for nobody who writes.

        Raises:
            NotSignedIn: it lets nobody in; `reason` says why.
        """
        if not 0 < len(token) <= MOST_SECRET:
            raise NotSignedIn("unknown")
        with reading(self.engine) as connection:
            row = connection.execute(_WHO, {"sha256": token_sha256(token)}).mappings().one_or_none()
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
        )

    def touch(self, token_ids: Collection[str]) -> None:
        """Remember that these tokens were used; that takes the write lock only where it was not done for a minute."""
        now = self._now()
        values: dict[str, Any] = {"token_ids": sorted(set(token_ids)), "before": to_text(now - USED_AGAIN)}
        with reading(self.engine) as connection:
            values["token_ids"] = sorted(connection.scalars(_NOT_TOUCHED, values))
        if values["token_ids"]:
            with writing(self.engine) as connection:
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

    def projects(self) -> list[Project]:
        """Return all projects, by name."""
        with reading(self.engine) as connection:
            return [fold for fold in streams.folds(connection, "project") if isinstance(fold, Project)]

    def tokens(self, *, user: str = "", device: str = "") -> list[ListedToken]:
        """Return the tokens of a user, of a device, or all of them, in the order in which they were issued."""
        query = select(TOKEN).order_by(TOKEN.c.issued_at, TOKEN.c.token_id)
        if user:
            query = query.where(TOKEN.c.user == user)
        if device:
            query = query.where(TOKEN.c.device == device)
        with reading(self.engine) as connection:
            return [_listed(row) for row in connection.execute(query).mappings()]

    def token(self, token_id: str) -> Token:
        """Return a token.

        Raises:
            UnknownToken: there is none.
        """
        with reading(self.engine) as connection:
            row = connection.execute(select(TOKEN).where(TOKEN.c.token_id == token_id)).mappings().one_or_none()
        if row is None:
            raise UnknownToken(token_id)
        return _listed(row).token


def _check(connection: Connection, stream: str, fold: Fold | None, fact: ControlFact) -> None:
    """Refuse a fact by what other streams say, or by whether its own was begun."""
    _, name = parts(stream)
    match fact:
        case UserAdded() if fold is not None:
            raise UserExists(name)
        case ProjectAdded() if fold is not None:
            raise ProjectExists(name)
        case UserAdded() | ProjectAdded() | DeviceAdded():
            return
        case MemberSet(user=user) if connection.scalar(_IS_USER, {"name": user}) is None:
            raise UnknownUser(user)
        case NameLinked(name=linked):
            owner = connection.scalar(_LINKED_TO, {"name": linked})
            if owner not in (None, name):
                raise NotChanged(f"the name {echo(linked)} is linked to the user {echo(owner)}; unlink it first")
        case TokenIssued(sha256=sha256) if connection.scalar(_IS_KNOWN, {"sha256": sha256}) is not None:
            raise NotChanged("this token is known already")
    if fold is None:
        raise _missing(stream)


def _missing(stream: str) -> UnknownUser | UnknownProject | UnknownDevice:
    kind, name = parts(stream)
    return _MISSING[kind](name)


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
