"""What results stand on: the hash of a calibration, by which an index holds the jobs that have run."""

from sqlalchemy import Connection, func, select

from models.names import MAX_NAMED
from storage.log.tables import CALIBRATED, JOB


def results_begin_with(connection: Connection, beginning: str) -> list[str]:
    """Return the hashes that begin so and that results stand on, a few at most."""
    found: list[str] = []
    least = JOB.c.calibration >= beginning
    # One step through the index for each hash, however many jobs stand on it.
    while len(found) <= MAX_NAMED:
        query = select(func.min(JOB.c.calibration)).where(CALIBRATED, least, JOB.c.calibration < f"{beginning}~")
        sha256 = connection.scalar(query)
        if sha256 is None:
            break
        found.append(sha256)
        least = JOB.c.calibration > sha256
    return found


def backend_on(connection: Connection, sha256: str) -> list[str]:
    """Return the backend whose results stand on this version; none where there are none."""
    query = select(JOB.c.backend).where(CALIBRATED, JOB.c.calibration == sha256).limit(1)
    return [*connection.scalars(query)]
