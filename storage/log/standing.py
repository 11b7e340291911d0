"""What results stand on: the hash of a calibration, by which an index holds the jobs that have run."""

from typing import Any

from sqlalchemy import Connection, func, select

from models.names import MAX_NAMED
from storage.log.tables import CALIBRATED, JobRow

_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]


def results_begin_with(connection: Connection, beginning: str) -> list[str]:
    """Return the hashes that begin so and that results stand on, a few at most."""
    found: list[str] = []
    least = _JOB.c.calibration >= beginning
    # One step through the index for each hash, however many jobs stand on it.
    while len(found) <= MAX_NAMED:
        query = select(func.min(_JOB.c.calibration)).where(CALIBRATED, least, _JOB.c.calibration < f"{beginning}~")
        sha256 = connection.scalar(query)
        if sha256 is None:
            break
        found.append(sha256)
        least = _JOB.c.calibration > sha256
    return found


def backend_on(connection: Connection, sha256: str) -> list[str]:
    """Return the backend whose results stand on this version; none where there are none."""
    query = select(_JOB.c.backend).where(CALIBRATED, _JOB.c.calibration == sha256).limit(1)
    return [*connection.scalars(query)]
