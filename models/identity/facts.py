"""The facts about users, projects, devices and backends, one frozen class each; `control_events.py` places them.

None of them names whom it is about: that is the stream that it stands in.
"""

import json
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from models.calibrations import CalibrationRecorded, CalibrationReinstated, CalibrationWithdrawn
from models.clock import UtcDatetime
from models.fact_model import FactModel
from models.identity.limits import Limits
from models.pauses import MAX_REASON

Role = Literal["member", "operator", "viewer"]
"""Of a user, everywhere: a member hands in jobs, a viewer only looks, an operator may do everything."""

ProjectRole = Literal["member", "viewer"]
"""Of a user in a project: both see its jobs, and a member may hand in jobs that belong to it."""

Scope = Literal["read", "submit", "admin"]
"""What a token is good for at most, whoever its user is."""

SCOPES: tuple[Scope, ...] = ("read", "submit", "admin")

Origin = Literal["", "qlued"]
"""Where users and tokens come from; empty for ours."""


DeviceStatus = Literal["available", "unavailable"]
"""Of a device, as its engine says."""

MAX_DEVICE_INFO = 1_000_000
"""Characters of a calibration."""


class _Fact(FactModel):
    version: Literal[1] = 1


class UserAdded(_Fact):
    """There is a user of this name from now on."""

    kind: Literal["user_added"] = "user_added"
    role: Role = "member"
    origin: Origin = ""


class UserRoleSet(_Fact):
    """The user has another role."""

    kind: Literal["user_role_set"] = "user_role_set"
    role: Role


class UserDisabled(_Fact):
    """No token of the user lets anybody in."""

    kind: Literal["user_disabled"] = "user_disabled"


class UserEnabled(_Fact):
    """The tokens of the user are good again."""

    kind: Literal["user_enabled"] = "user_enabled"


class NameLinked(_Fact):
    """Jobs that came in under this name without a token are the user's to see."""

    kind: Literal["name_linked"] = "name_linked"
    name: str = Field(min_length=1)


class NameUnlinked(_Fact):
    """They no longer are."""

    kind: Literal["name_unlinked"] = "name_unlinked"
    name: str


class ProjectAdded(_Fact):
    """There is a project of this name from now on."""

    kind: Literal["project_added"] = "project_added"


class MemberSet(_Fact):
    """A user belongs to the project, or has another role in it."""

    kind: Literal["member_set"] = "member_set"
    user: str
    role: ProjectRole


class MemberRemoved(_Fact):
    """A user does not belong to the project any more."""

    kind: Literal["member_removed"] = "member_removed"
    user: str


class LimitsSet(_Fact):
    """From now on these are all limits of the user or project."""

    kind: Literal["limits_set"] = "limits_set"
    limits: Limits


class DeviceAdded(_Fact):
    """An engine outside serves the backend of this name."""

    kind: Literal["device_added"] = "device_added"


class DeviceReported(_Fact):
    """The engine of a device says how it stands; what it does not say stays as it was, and is left out of the JSON.

    Attributes:
        device_info: its calibration, as JSON text.
        calibrated_at: when that was measured.
    """

    kind: Literal["device_reported"] = "device_reported"
    status: Annotated[DeviceStatus | None, Field(exclude_if=lambda value: value is None)] = None
    n_qubits: Annotated[int | None, Field(ge=1, le=1_000_000, exclude_if=lambda value: value is None)] = None
    device_info: Annotated[str | None, Field(max_length=MAX_DEVICE_INFO, exclude_if=lambda value: value is None)] = None
    calibrated_at: Annotated[UtcDatetime | None, Field(exclude_if=lambda value: value is None)] = None


class TokenIssued(_Fact):
    """The user or device has one more token.

    Attributes:
        sha256: of its text, which nobody keeps but its user.
        scopes: none for a device, whose token is good for serving it alone.
        expires_at: None if it never does.
        note: what it is for, in its user's words.
    """

    kind: Literal["token_issued"] = "token_issued"
    token_id: str = Field(pattern=r"^[0-9a-f]{12}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...] = ()
    expires_at: UtcDatetime | None = None
    note: str = Field(default="", max_length=200)
    origin: Origin = ""


class TokenRevoked(_Fact):
    """The token lets nobody in any more, for ever."""

    kind: Literal["token_revoked"] = "token_revoked"
    token_id: str


class BackendPaused(_Fact):
    """Nothing of the backend begins from now on; see `models/pauses.py`.

    Attributes:
        until: it is over then by itself; None if somebody has to resume.
    """

    kind: Literal["backend_paused"] = "backend_paused"
    drain_down: bool = False
    reason: str = Field(default="", max_length=MAX_REASON)
    until: UtcDatetime | None = None


class BackendResumed(_Fact):
    """The backend is served again."""

    kind: Literal["backend_resumed"] = "backend_resumed"


ControlFact = Annotated[
    UserAdded
    | UserRoleSet
    | UserDisabled
    | UserEnabled
    | NameLinked
    | NameUnlinked
    | ProjectAdded
    | MemberSet
    | MemberRemoved
    | LimitsSet
    | DeviceAdded
    | DeviceReported
    | TokenIssued
    | TokenRevoked
    | BackendPaused
    | BackendResumed
    | CalibrationRecorded
    | CalibrationWithdrawn
    | CalibrationReinstated,
    Field(discriminator="kind"),
]
_FACT: TypeAdapter[ControlFact] = TypeAdapter(ControlFact)


def control_fact_from_json(text: str) -> ControlFact:
    """Return the fact in stored JSON.

    Raises:
        ValueError: the JSON is no fact that is known here.
    """
    return _FACT.validate_python(json.loads(text), strict=False)
