"""The record of a backend as an append to its stream needs it: a few rows of the views, however long the stream is.

Whoever appends has the turn, for which claims wait too: years of calibrations are not read for a pause. The last event
is checked here; `verify` compares the views with all of them.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, bindparam, select

from models.calibrations import CalibrationRecorded, CalibrationReinstated, CalibrationWithdrawn, Ledger, Period
from models.errors import LogBroken
from models.identity.control_events import ControlEvent
from models.identity.facts import ControlFact
from models.identity.people import BackendRecord
from models.identity.streams import BACKEND, parts
from models.pauses import Pause
from storage.identity.calibration_rows import CALIBRATION, PERIOD, calibration_of, read
from storage.identity.streams import EVENT
from storage.identity.views import PAUSE

_LAST = select(EVENT).where(EVENT.c.stream == bindparam("stream")).order_by(EVENT.c.seq.desc()).limit(1)
_BEGAN = select(EVENT.c.recorded_at).where(EVENT.c.stream == bindparam("stream"), EVENT.c.seq == 0)
_PAUSED = select(PAUSE).where(PAUSE.c.backend == bindparam("backend"))
_HOLDS = select(PERIOD).where(PERIOD.c.backend == bindparam("backend")).order_by(PERIOD.c.number.desc()).limit(1)
_VERSIONS = select(CALIBRATION).where(
    CALIBRATION.c.backend == bindparam("backend"), CALIBRATION.c.sha256.in_(bindparam("about", expanding=True))
)


def record_of(connection: Connection, stream: str, about: Collection[str] = ()) -> BackendRecord | None:
    """Return the record of a backend; of its ledger what holds now, and some versions. None where nothing was recorded.

    Args:
        about: hashes of the versions.

    Raises:
        LogBroken: the last event is not what was written, or is not known here.
    """
    row = connection.execute(_LAST, {"stream": stream}).mappings().one_or_none()
    if row is None:
        return None
    last, backend = _checked(row), {"backend": parts(stream)[1]}
    began = connection.scalar(_BEGAN, {"stream": stream})
    if last is None or began is None:
        msg = f"the events of {stream} are damaged; run `quledger verify`"
        raise LogBroken(msg)
    held = connection.execute(_HOLDS, backend).mappings().one_or_none()
    paused = connection.execute(_PAUSED, backend).mappings().one_or_none()
    found = connection.execute(_VERSIONS, {**backend, "about": list(about)}).mappings() if about else ()
    return BackendRecord(
        name=backend["backend"],
        added_at=datetime.fromisoformat(began),
        seq=last.seq,
        last_hash=last.hash,
        pause=Pause.model_validate({**paused, "until": paused["until"] or None}) if paused else None,
        ledger=Ledger(
            versions={each["sha256"]: calibration_of(each) for each in found},
            periods=(_period(held),) if held else (),
            first=held["number"] if held else 0,
        ),
    )


def _checked(row: RowMapping) -> ControlEvent | None:
    """Return an event; None where it is not what was written."""
    try:
        event = ControlEvent.model_validate(dict(row))
    except ValueError:
        return None
    return event if event.digest() == event.hash and event.fact.kind == event.kind else None


def is_of_backend(stream: str) -> bool:
    """Return whether a stream is about a backend."""
    return parts(stream)[0] == BACKEND


def versions_in(facts: Sequence[ControlFact]) -> set[str]:
    """Return the hashes of the versions that facts are about."""
    kinds = CalibrationRecorded | CalibrationWithdrawn | CalibrationReinstated
    return {fact.sha256 for fact in facts if isinstance(fact, kinds)}


def _period(row: RowMapping) -> Period:
    return Period(sha256=row["sha256"], since=datetime.fromisoformat(row["since"]), until=read(row["until"]))
