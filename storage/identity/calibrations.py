"""The ledger of each backend's configurations and calibrations: recorded in its stream, read from the views."""

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, select

from models.calibrations import (
    MAX_REASON,
    NO_CALIBRATIONS,
    Calibration,
    CalibrationReinstated,
    CalibrationWithdrawn,
    Ledger,
    Period,
    UnknownCalibration,
    Version,
)
from models.errors import InputError, LogError, printable
from models.identity.errors import NotChanged
from models.identity.facts import ControlFact
from models.identity.people import BackendRecord, Fold
from models.identity.streams import backend_stream
from models.names import MAX_NAMED, id_meant
from storage.identity.backend_records import record_of
from storage.identity.calibration_rows import CALIBRATION, PERIOD, calibration_of, read
from storage.identity.directory import Directory
from storage.log.database import reading
from storage.log.standing import backend_on, results_begin_with

_LOG = logging.getLogger("quledger.calibrations")


Judge = Callable[[Ledger], bool]


class Found(NamedTuple):
    """A version, and whose it is."""

    backend: str
    calibration: Calibration


class Calibrations:
    """The ledgers of one log.

    What this process has recorded is remembered: machines that differ say so once each, and not at every look.
    """

    def __init__(self, directory: Directory, actor: str) -> None:
        self._directory, self._actor = directory, actor
        self._published: dict[str, str] = {}
        self._known: set[tuple[str, str]] = set()

    @property
    def _engine(self) -> Engine:
        return self._directory.engine

    def publish(self, backend: str, version: Version) -> None:
        """Record that a version holds from now on, unless it does; a log that does not answer is asked again later."""
        if self._published.get(backend) == version.sha256:
            return
        if self._record(backend, version, lambda ledger: ledger.current != version.sha256):
            self._published[backend] = version.sha256

    def knows(self, backend: str, sha256: str) -> bool:
        """Return whether this process has seen to it that the version is in the ledger."""
        return (backend, sha256) in self._known

    def ensure(self, backend: str, version: Version) -> None:
        """Record a version that a result stands on, unless it is known: it was read before the next publication."""
        self._record(backend, version, lambda ledger: version.sha256 not in ledger.versions)

    def _record(self, backend: str, version: Version, is_needed: Judge) -> bool:
        def decide(fold: Fold | None) -> Sequence[ControlFact]:
            ledger = fold.ledger if isinstance(fold, BackendRecord) else NO_CALIBRATIONS
            return (ledger.fact_of(version),) if is_needed(ledger) else ()

        try:
            stream, about = backend_stream(backend), {version.sha256}
            with reading(self._engine) as connection:
                found = record_of(connection, stream, about)
            if decide(found):
                self._directory.change(stream, decide, actor=self._actor, about=about)
        except (LogError, NotChanged) as error:
            _LOG.warning("calibration_unrecorded action=try_again backend=%s: %s", backend, error)
            return False
        self._known.add((backend, version.sha256))
        return True

    def withdraw(self, text: str, reason: str, *, by: str) -> Found:
        """Say that results which stand on a version are not to be relied on; the first time counts.

        Args:
            text: its hash, or the beginning of it; of results that are older than the ledger, that of a configuration.

        Raises:
            UnknownCalibration: there is none, and no result names it.
            BadName: several begin so.
            InputError: the reason is too long, or none.
        """
        _check_reason(reason)
        sha256 = self.hash_of(text)
        with reading(self._engine) as connection:
            query = select(CALIBRATION.c.backend).where(CALIBRATION.c.sha256 == sha256)
            backends = [*connection.scalars(query)] or backend_on(connection, sha256)
        for backend in backends:
            fact = CalibrationWithdrawn(sha256=sha256, reason=reason)
            self._directory.append(backend_stream(backend), fact, actor=by)
        return self.find(sha256)

    def reinstate(self, text: str, reason: str, *, by: str) -> Found:
        """Take back the withdrawal of a version.

        Args:
            text: its hash, or the beginning of it.

        Raises:
            UnknownCalibration: there is none.
            BadName: several begin so.
            NotChanged: it was not withdrawn.
            InputError: the reason is too long, or none.
        """
        _check_reason(reason)
        sha256 = self.hash_of(text)
        fact = CalibrationReinstated(sha256=sha256, reason=reason)

        def decide(fold: Fold | None) -> Sequence[ControlFact]:
            found = fold.ledger.versions.get(sha256) if isinstance(fold, BackendRecord) else None
            return (fact,) if found and found.withdrawn_at else ()

        query = select(CALIBRATION.c.backend).where(CALIBRATION.c.sha256 == sha256, CALIBRATION.c.withdrawn_at != "")
        with reading(self._engine) as connection:
            backends = connection.scalars(query).all()
        if not backends:
            raise NotChanged(f"the calibration {sha256[:16]} was not withdrawn")
        for backend in backends:
            self._directory.change(backend_stream(backend), decide, actor=by, about={sha256})
        return self.find(sha256)

    def hash_of(self, text: str) -> str:
        """Return the whole hash of a version that there is, or that a result names.

        Raises:
            UnknownCalibration: there is none.
            BadName: several begin so.
        """
        if not text.isalnum():
            raise UnknownCalibration(text)
        with reading(self._engine) as connection:
            column = CALIBRATION.c.sha256
            query = select(column).where(column >= text, column < f"{text}~").distinct().limit(MAX_NAMED + 1)
            found = {*connection.scalars(query), *results_begin_with(connection, text)}
        if (sha256 := id_meant(text, found)) is None:
            raise UnknownCalibration(text)
        return sha256

    def find(self, sha256: str) -> Found:
        """Return a version by its whole hash.

        Raises:
            UnknownCalibration: the ledger has none.
        """
        with reading(self._engine) as connection:
            query = select(CALIBRATION).where(CALIBRATION.c.sha256 == sha256).limit(1)
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise UnknownCalibration(sha256)
        return Found(row["backend"], calibration_of(row))

    def withdrawn(self, among: Collection[str] | None = None) -> dict[str, Calibration]:
        """Return the versions that were withdrawn by their hashes, of all or of some."""
        query = select(CALIBRATION).where(CALIBRATION.c.withdrawn_at != "").order_by(CALIBRATION.c.withdrawn_at)
        if among is not None:
            query = query.where(CALIBRATION.c.sha256.in_([*among]))
        with reading(self._engine) as connection:
            return {row["sha256"]: calibration_of(row) for row in connection.execute(query).mappings()}

    def ledger(self, backend: str, *, with_text: bool = True) -> Ledger:
        """Return the ledger of a backend, an empty one where nothing was recorded."""
        columns = [each for each in CALIBRATION.c if with_text or each is not CALIBRATION.c.content]
        with reading(self._engine) as connection:
            found = connection.execute(select(*columns).where(CALIBRATION.c.backend == backend)).mappings()
            versions = {row["sha256"]: calibration_of({"content": "", **row}) for row in found}
            held = connection.execute(select(PERIOD).where(PERIOD.c.backend == backend).order_by(PERIOD.c.number))
            periods = tuple(
                Period(sha256=row["sha256"], since=datetime.fromisoformat(row["since"]), until=read(row["until"]))
                for row in held.mappings()
            )
        return Ledger(versions=versions, periods=periods)


def _check_reason(reason: str) -> None:
    if not 0 < len(reason) <= MAX_REASON or reason != printable(reason, MAX_REASON):
        raise InputError(f"the reason has 1 to {MAX_REASON} characters that can be seen")
