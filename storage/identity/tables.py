"""The tables of control streams. `control_event` is the truth; all others can be made again from it, but one column.

Nothing of them is ever mirrored into a storage.
"""

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from storage.log.tables import words


class ControlEventRow(SQLModel, table=True):
    """One event, as `models.identity.control_events.ControlEvent`. Database triggers refuse UPDATE and DELETE."""

    __tablename__ = "control_event"

    stream: str = Field(primary_key=True, sa_type=words(200))
    seq: int = Field(primary_key=True)
    kind: str = Field(sa_type=words(40))
    data: str = Field(sa_type=Text)
    recorded_at: str = Field(sa_type=words(40))
    actor: str = Field(sa_type=words(200))
    prev_hash: str = Field(sa_type=words(64))
    hash: str = Field(sa_type=words(64))


class AccountRow(SQLModel, table=True):
    """A user; `limits` is `models.identity.limits.Limits` as JSON."""

    __tablename__ = "account"

    name: str = Field(primary_key=True, sa_type=words(100))
    role: str = Field(sa_type=words(10))
    is_enabled: bool
    added_at: str = Field(sa_type=words(40))
    limits: str = Field(sa_type=Text)


class ProjectRow(SQLModel, table=True):
    """A project; `limits` as those of a user."""

    __tablename__ = "project"

    name: str = Field(primary_key=True, sa_type=words(100))
    added_at: str = Field(sa_type=words(40))
    limits: str = Field(sa_type=Text)


class MembershipRow(SQLModel, table=True):
    """That a user belongs to a project."""

    __tablename__ = "membership"

    project: str = Field(primary_key=True, sa_type=words(100))
    user: str = Field(primary_key=True, sa_type=words(100))
    role: str = Field(sa_type=words(10))


class DeviceRow(SQLModel, table=True):
    """A device that an engine outside serves, as the engine says it stands; what it has not said is empty or NULL."""

    __tablename__ = "device"

    name: str = Field(primary_key=True, sa_type=words(100))
    status: str = Field(sa_type=words(20))
    n_qubits: int | None = Field(default=None)
    device_info: str = Field(sa_type=Text)
    calibrated_at: str = Field(sa_type=words(40))


class NameLinkRow(SQLModel, table=True):
    """That jobs which came in under a name without a token are a user's to see."""

    __tablename__ = "name_link"

    name: str = Field(primary_key=True, sa_type=words(200))
    user: str = Field(sa_type=words(100))


class TokenRow(SQLModel, table=True):
    """A token, of a user or of a device; the other one of the two is empty, as are times that there are not.

    Attributes:
        scopes: with a blank between them.
        last_used_at: the one thing here that no event says, to the minute; empty before the first use.
    """

    __tablename__ = "token"

    token_id: str = Field(primary_key=True, sa_type=words(20))
    sha256: str = Field(sa_type=words(64))
    user: str = Field(sa_type=words(100))
    device: str = Field(sa_type=words(100))
    scopes: str = Field(sa_type=words(40))
    note: str = Field(sa_type=words(200))
    issued_at: str = Field(sa_type=words(40))
    expires_at: str = Field(sa_type=words(40))
    revoked_at: str = Field(sa_type=words(40))
    last_used_at: str = Field(sa_type=words(40))


class CalibrationRow(SQLModel, table=True):
    """A version of a backend, as `models.calibrations.Calibration`; what there is not is empty.

    Attributes:
        content: its text.
    """

    __tablename__ = "calibration"

    backend: str = Field(primary_key=True, sa_type=words(100))
    sha256: str = Field(primary_key=True, sa_type=words(64))
    config_sha256: str = Field(sa_type=words(64))
    content: str = Field(sa_type=Text)
    recorded_at: str = Field(sa_type=words(40))
    withdrawn_at: str = Field(sa_type=words(40))
    withdrawn_by: str = Field(sa_type=words(200))
    reason: str = Field(sa_type=words(500))


class CalibrationPeriodRow(SQLModel, table=True):
    """A time for which a version held, by its place among those of the backend; `until` is empty while it does."""

    __tablename__ = "calibration_period"

    backend: str = Field(primary_key=True, sa_type=words(100))
    number: int = Field(primary_key=True)
    sha256: str = Field(sa_type=words(64))
    since: str = Field(sa_type=words(40))
    until: str = Field(sa_type=words(40))
