"""What the events of a control stream add up to: a user, a project, a device or a backend, each with its end."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from models.calibrations import (
    NO_CALIBRATIONS,
    CalibrationRecorded,
    CalibrationReinstated,
    CalibrationWithdrawn,
    Ledger,
)
from models.errors import echo
from models.events import GENESIS
from models.identity.control_events import ControlEvent
from models.identity.facts import (
    BackendPaused,
    BackendResumed,
    ControlFact,
    DeviceAdded,
    DeviceReported,
    DeviceStatus,
    LimitsSet,
    MemberRemoved,
    MemberSet,
    NameLinked,
    NameUnlinked,
    Origin,
    ProjectAdded,
    ProjectRole,
    Role,
    Scope,
    TokenIssued,
    TokenRevoked,
    UserAdded,
    UserDisabled,
    UserEnabled,
    UserRoleSet,
)
from models.identity.limits import NO_LIMITS, Limits
from models.identity.streams import parts
from models.pauses import Pause

TokenState = Literal["good", "expired", "revoked"]


class Token(BaseModel):
    """A token as its stream tells it.

    Attributes:
        stream: of the user or device that has it.
        sha256: of its text.
        expires_at: None if it never does.
        revoked_at: None if it was not.
    """

    model_config = ConfigDict(frozen=True)

    stream: str
    token_id: str
    sha256: str
    scopes: tuple[Scope, ...]
    note: str = ""
    issued_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> TokenState:
        """Return whether it still lets its user in."""
        if self.revoked_at is not None:
            return "revoked"
        return "good" if self.expires_at is None or now < self.expires_at else "expired"


class _Fold(BaseModel):
    """The fold of a stream.

    Attributes:
        name: of whom the stream is about.
        seq: of its last event.
        last_hash: of the same.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    added_at: datetime
    seq: int = 0
    last_hash: str = GENESIS

    @property
    def tokens(self) -> dict[str, Token]:
        """Its tokens by their ids."""
        return {}

    def after(self, event: ControlEvent) -> Self:
        """Return it after one more event.

        Raises:
            ValueError: the event may not follow; the text says why.
        """
        changes = self._changes(event.fact, event)
        return self.model_copy(update=changes | {"seq": event.seq, "last_hash": event.hash})

    def _changes(self, fact: ControlFact, event: ControlEvent) -> dict[str, object]:
        msg = f"{fact.kind} may not follow in {event.stream}"
        raise ValueError(msg)


class _Holder(_Fold):
    """A fold that has tokens."""

    issued: dict[str, Token] = {}

    @property
    def tokens(self) -> dict[str, Token]:
        """Its tokens by their ids."""
        return self.issued

    def _changes(self, fact: ControlFact, event: ControlEvent) -> dict[str, object]:
        match fact:
            case TokenIssued():
                _refuse(fact.token_id in self.issued, f"there is a token {fact.token_id} already")
                fields = fact.model_dump(exclude={"kind", "version", "origin"})
                token = Token(stream=event.stream, issued_at=event.recorded_at, **fields)
            case TokenRevoked():
                _refuse(fact.token_id not in self.issued, f"there is no token {fact.token_id}")
                token = self.issued[fact.token_id]
                # The first revocation counts.
                token = token.model_copy(update={"revoked_at": token.revoked_at or event.recorded_at})
            case _:
                return super()._changes(fact, event)
        return {"issued": self.issued | {token.token_id: token}}


class Person(_Holder):
    """A user.

    Attributes:
        names: names without a token that an operator has linked to him.
    """

    role: Role
    origin: Origin = ""
    is_enabled: bool = True
    names: tuple[str, ...] = ()
    limits: Limits = NO_LIMITS

    def _changes(self, fact: ControlFact, event: ControlEvent) -> dict[str, object]:
        match fact:
            case UserRoleSet(role=role):
                return {"role": role}
            case UserDisabled() | UserEnabled():
                return {"is_enabled": isinstance(fact, UserEnabled)}
            case NameLinked(name=name):
                return {"names": tuple(sorted({*self.names, name}))}
            case NameUnlinked(name=name):
                _refuse(name not in self.names, f"the name {echo(name)} is not linked to this user")
                return {"names": tuple(each for each in self.names if each != name)}
            case LimitsSet(limits=limits):
                return {"limits": limits}
            case _:
                return super()._changes(fact, event)


class Project(_Fold):
    """A project; its members by their names."""

    members: dict[str, ProjectRole] = {}
    limits: Limits = NO_LIMITS

    def _changes(self, fact: ControlFact, event: ControlEvent) -> dict[str, object]:
        match fact:
            case MemberSet(user=user, role=role):
                return {"members": self.members | {user: role}}
            case MemberRemoved(user=user):
                _refuse(user not in self.members, f"{echo(user)} is not in the project")
                return {"members": {name: role for name, role in self.members.items() if name != user}}
            case LimitsSet(limits=limits):
                return {"limits": limits}
            case _:
                return super()._changes(fact, event)


class Device(_Holder):
    """A backend that an engine outside serves.

    Attributes:
        status: as the engine said last; empty where it never did, as are the others.
        device_info: its calibration, as JSON text.
    """

    status: DeviceStatus | Literal[""] = ""
    n_qubits: int | None = None
    device_info: str = ""
    calibrated_at: datetime | None = None

    def _changes(self, fact: ControlFact, event: ControlEvent) -> dict[str, object]:
        if isinstance(fact, DeviceReported):
            said = fact.model_dump(include={"status", "n_qubits", "device_info"}, exclude_none=True)
            return said | ({} if fact.calibrated_at is None else {"calibrated_at": fact.calibrated_at})
        return super()._changes(fact, event)


class BackendRecord(_Fold):
    """What is recorded of a backend.

    Attributes:
        pause: as operators said it; None where there is none. It may be over by now.
        ledger: its configurations and calibrations.
    """

    pause: Pause | None = None
    ledger: Ledger = NO_CALIBRATIONS

    def _changes(self, fact: ControlFact, event: ControlEvent) -> dict[str, object]:
        match fact:
            case BackendPaused():
                said = fact.model_dump(exclude={"kind", "version"})
                if self.pause is not None and self.pause.model_dump(include=set(said)) == said:
                    return {}  # the same again is no other pause
                return {"pause": Pause(backend=self.name, since=event.recorded_at, by=event.actor, **said)}
            case BackendResumed():
                return {"pause": None}
            case CalibrationRecorded() | CalibrationWithdrawn() | CalibrationReinstated():
                return {"ledger": self.ledger.after(fact, event.recorded_at, event.actor)}
            case _:
                return super()._changes(fact, event)


Fold = Person | Project | Device | BackendRecord


def changes_anything(before: Fold | None, after: Fold) -> bool:
    """Return whether an event says anything new; one that does not need not be written."""
    return before is None or after.model_copy(update={"seq": before.seq, "last_hash": before.last_hash}) != before


def apply(fold: Fold | None, event: ControlEvent) -> Fold:
    """Return the fold after one more event of its stream.

    Args:
        fold: None for the first event.

    Raises:
        ValueError: the event may not follow; the text says why.
        LogBroken: its fact is not known here.
    """
    if fold is not None:
        return fold.after(event)
    kind, name = parts(event.stream)
    ends: dict[str, Any] = {"name": name, "added_at": event.recorded_at, "seq": event.seq, "last_hash": event.hash}
    match kind, event.fact:
        case "user", UserAdded(role=role, origin=origin):
            return Person(role=role, origin=origin, **ends)
        case "project", ProjectAdded():
            return Project(**ends)
        case "device", DeviceAdded():
            return Device(**ends)
        case "backend", BackendPaused() | CalibrationRecorded() | CalibrationWithdrawn():
            return BackendRecord(**ends).after(event)
    msg = f"{event.kind} may not begin {event.stream}"
    raise ValueError(msg)


def _refuse(is_wrong: bool, why: str) -> None:  # noqa: FBT001 - a condition
    if is_wrong:
        raise ValueError(why)
