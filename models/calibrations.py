"""What a backend is at a time: its configuration, and what was measured of it, kept by the hash of both.

A result names the version that it stands on. `Ledger` is the fold of what was recorded about one backend: which
versions there were, which of them held when, and which were withdrawn.
"""

import hashlib
import json
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from models.backend import JSON, BackendConfig
from models.errors import InputError, echo
from models.fact_model import FactModel

CHANGING = frozenset({"pending_jobs", "status_msg", "last_queue_check", "sign", "kid"})
"""Fields of a configuration that change from look to look and say nothing of what a job would meet."""

MAX_TEXT = 4_000_000
"""Of a longer version only the hash is kept."""

MAX_REASON = 500

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Version(NamedTuple):
    """A configuration together with what was measured.

    Attributes:
        text: both as JSON with sorted keys; `sha256` is of it.
        config_sha256: of the configuration alone, as results name it since they were first recorded.
    """

    sha256: str
    config_sha256: str
    text: str


def version_of(config: BackendConfig, calibration: JSON) -> Version:
    """Return the version of a backend.

    Args:
        calibration: what was measured of it; None if nothing was.

    Raises:
        ValueError, TypeError: the calibration is no JSON.
    """
    both = {"calibration": calibration, "config": config.model_dump(exclude={*CHANGING})}
    text = json.dumps(both, sort_keys=True, separators=(",", ":"), allow_nan=False)
    config_sha256 = hashlib.sha256(config.model_dump_json().encode()).hexdigest()
    return Version(sha256_of(text), config_sha256, text)


def sha256_of(text: str) -> str:
    """Return the hash by which a version is known."""
    return hashlib.sha256(text.encode()).hexdigest()


class _Fact(FactModel):
    version: Literal[1] = 1


class CalibrationRecorded(_Fact):
    """From now on the backend has this configuration and calibration.

    Attributes:
        text: of the version; None where it was recorded before, or is too long.
    """

    kind: Literal["calibration_recorded"] = "calibration_recorded"
    sha256: Sha256
    config_sha256: Sha256
    text: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None


class CalibrationWithdrawn(_Fact):
    """Results that stand on this version are not to be relied on."""

    kind: Literal["calibration_withdrawn"] = "calibration_withdrawn"
    sha256: Sha256
    reason: str = Field(min_length=1, max_length=MAX_REASON)


class CalibrationReinstated(_Fact):
    """The withdrawal of this version is taken back: results that stand on it are to be relied on after all."""

    kind: Literal["calibration_reinstated"] = "calibration_reinstated"
    sha256: Sha256
    reason: str = Field(min_length=1, max_length=MAX_REASON)


class Calibration(BaseModel):
    """A version as the stream of its backend tells it.

    Attributes:
        config_sha256, text, recorded_at: empty or None of one that was withdrawn and is older than the ledger.
        withdrawn_at: None where it was not.
    """

    model_config = ConfigDict(frozen=True)

    sha256: str
    config_sha256: str = ""
    text: str | None = None
    recorded_at: datetime | None = None
    withdrawn_at: datetime | None = None
    withdrawn_by: str = ""
    reason: str = ""

    @property
    def content(self) -> Any:
        """Configuration and calibration; None if they were not kept."""
        return None if self.text is None else json.loads(self.text)


class Period(BaseModel):
    """A time for which a version held; `until` is None for the one that holds now."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    since: datetime
    until: datetime | None = None


class Ledger(BaseModel):
    """The versions of one backend by their hash, and the times for which they held, in order.

    Attributes:
        first: place of the first of these times among all of the backend; more than 0 where older ones are left out.
    """

    model_config = ConfigDict(frozen=True)

    versions: dict[str, Calibration] = {}
    periods: tuple[Period, ...] = ()
    first: int = 0

    @property
    def current(self) -> str:
        """The hash of the version that holds now; empty before the first one."""
        return self.periods[-1].sha256 if self.periods else ""

    def after(
        self, fact: CalibrationRecorded | CalibrationWithdrawn | CalibrationReinstated, at: datetime, by: str
    ) -> "Ledger":
        """Return the ledger after one more fact; else as those below."""
        match fact:
            case CalibrationRecorded():
                return self.after_record(fact, at)
            case CalibrationWithdrawn():
                return self.after_withdrawal(fact, at, by)
            case CalibrationReinstated():
                return self.after_reinstatement(fact)

    def after_record(self, fact: CalibrationRecorded, at: datetime) -> "Ledger":
        """Return the ledger after a version was recorded; the same one again changes nothing.

        Raises:
            ValueError: the text is another version's.
        """
        if fact.text is not None and sha256_of(fact.text) != fact.sha256:
            msg = "the text of the calibration has another hash"
            raise ValueError(msg)
        if fact.sha256 == self.current:
            return self
        old = self.versions.get(fact.sha256) or Calibration(sha256=fact.sha256)
        new = {
            "config_sha256": fact.config_sha256,
            "text": old.text if fact.text is None else fact.text,
            "recorded_at": old.recorded_at or at,
        }
        ended = (*self.periods[:-1], *(period.model_copy(update={"until": at}) for period in self.periods[-1:]))
        versions = self.versions | {fact.sha256: old.model_copy(update=new)}
        return self.model_copy(update={"versions": versions, "periods": (*ended, Period(sha256=fact.sha256, since=at))})

    def after_reinstatement(self, fact: CalibrationReinstated) -> "Ledger":
        """Return the ledger after a withdrawal was taken back; without one nothing changes."""
        old = self.versions.get(fact.sha256)
        if old is None or old.withdrawn_at is None:
            return self
        new = old.model_copy(update={"withdrawn_at": None, "withdrawn_by": "", "reason": ""})
        return self.model_copy(update={"versions": self.versions | {fact.sha256: new}})

    def after_withdrawal(self, fact: CalibrationWithdrawn, at: datetime, by: str) -> "Ledger":
        """Return the ledger after a version was withdrawn; the first time counts."""
        old = self.versions.get(fact.sha256) or Calibration(sha256=fact.sha256)
        if old.withdrawn_at is not None:
            return self
        new = old.model_copy(update={"withdrawn_at": at, "withdrawn_by": by, "reason": fact.reason})
        return self.model_copy(update={"versions": self.versions | {fact.sha256: new}})

    def fact_of(self, version: Version) -> CalibrationRecorded:
        """Return the fact that a version holds now; its text is said once."""
        known = self.versions.get(version.sha256)
        is_new = (known is None or known.text is None) and len(version.text) <= MAX_TEXT
        return CalibrationRecorded(
            sha256=version.sha256, config_sha256=version.config_sha256, text=version.text if is_new else None
        )


NO_CALIBRATIONS = Ledger()


class UnknownCalibration(InputError):
    """No version has this hash."""

    def __init__(self, text: str) -> None:
        super().__init__(f"no calibration has the hash {echo(text)}; `quledger backends history BACKEND` lists them")
