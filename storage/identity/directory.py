"""Who may use this laboratory: it alone appends facts about users, projects and devices, and writes their views.

Whoever appends has the turn for it: a fact depends on other streams too, such as whether a new member is a user.
The unique key (stream, seq) stands behind that.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from models.calibrations import CalibrationRecorded, CalibrationWithdrawn
from models.errors import echo, printable
from models.identity.errors import (
    NotChanged,
    ProjectExists,
    UnknownDevice,
    UnknownProject,
    UnknownUser,
    UserExists,
)
from models.identity.facts import (
    BackendPaused,
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
from models.identity.limits import NO_LIMITS, Limits
from models.identity.people import Fold, Person, Project, Token
from models.identity.streams import check_stream_name, is_name, parts
from models.identity.tokens import NewToken, new_token
from storage.identity import streams
from storage.identity.backend_records import is_of_backend, record_of, versions_in
from storage.identity.directory_reader import DirectoryReader
from storage.identity.views import ACCOUNT, NAME_LINK, TOKEN
from storage.log.database import writing
from storage.log.dialects import Turn, dialect_of

Decide = Callable[[Fold | None], Sequence[ControlFact]]
"""Says what is to be appended to a stream that stands so; None where there is none yet."""

_IS_USER = select(ACCOUNT.c.name).where(ACCOUNT.c.name == bindparam("name"))
_LINKED_TO = select(NAME_LINK.c.user).where(NAME_LINK.c.name == bindparam("name"))
_IS_KNOWN = select(TOKEN.c.token_id).where(TOKEN.c.sha256 == bindparam("sha256"))
_MISSING: dict[str, type[UnknownUser | UnknownProject | UnknownDevice]] = {
    "user": UnknownUser,
    "project": UnknownProject,
    "device": UnknownDevice,
}


class Directory(DirectoryReader):
    """The users, projects and devices of one log; safe to use from several threads and processes at once."""

    def append(self, stream: str, *facts: ControlFact, actor: str) -> Fold:
        """Append facts to a stream, all or none; those that change nothing are not written.

        Raises:
            UserExists, ProjectExists: it is begun already.
            UnknownUser, UnknownProject, UnknownDevice: it was not begun, or a member is no user.
            NotChanged: a fact may not follow; the text says why.
            BadName: the stream can have no such name.
        """
        return self.change(stream, lambda _fold: facts, actor=actor)

    def change(self, stream: str, decide: Decide, *, actor: str, about: Collection[str] = ()) -> Fold:
        """Append what `decide` says, while nobody else appends to any stream; else as `append`.

        Args:
            about: of the stream of a backend, hashes of the versions that `decide` has to know; the ledger that it is
                given holds no others.
        """
        check_stream_name(stream)
        with writing(self.engine) as connection:
            if is_of_backend(stream):
                # After the last claim that does not know of it, before the first that does.
                dialect_of(connection).in_turn(connection, Turn.CLAIM)
            dialect_of(connection).in_turn(connection, Turn.CONTROL)
            fold: Fold | None = self._fold_of(connection, stream, about)
            facts = decide(fold)
            if missing := versions_in(facts) - set(about):
                fold = self._fold_of(connection, stream, missing | set(about))
            for fact in facts:
                _check(connection, stream, fold, fact)
                try:
                    fold = streams.write(connection, stream, fold, fact, actor=actor, now=self._now())
                except ValueError as error:
                    raise NotChanged(f"{stream.replace('/', ' ', 1)} cannot be changed so: {error}") from None
            if fold is None:
                raise _missing(stream)
            return fold

    @staticmethod
    def _fold_of(connection: Connection, stream: str, about: Collection[str]) -> Fold | None:
        return record_of(connection, stream, about) if is_of_backend(stream) else streams.fold_of(connection, stream)

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

    def set_limits(self, stream: str, changes: Mapping[str, int | None], *, actor: str) -> Limits:
        """Set those limits of a user or a project that are named, and return all of them.

        Raises:
            UnknownUser, UnknownProject: there is none.
            pydantic.ValidationError: a limit has another name, or cannot be.
        """
        limits = NO_LIMITS

        def decide(fold: Fold | None) -> Sequence[ControlFact]:
            nonlocal limits
            if not isinstance(fold, Person | Project):
                raise _missing(stream)
            limits = fold.limits.changed(changes)
            return (LimitsSet(limits=limits),)

        self.change(stream, decide, actor=actor)
        return limits


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
        case BackendPaused() | CalibrationRecorded() | CalibrationWithdrawn():
            return
        case MemberSet(user=user) if not is_name(user) or connection.scalar(_IS_USER, {"name": user}) is None:
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
