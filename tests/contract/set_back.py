"""A log that is set back to an older copy of itself, and what a process sees of it that begins then."""

from sqlalchemy import text

from storage.audit.rebuild import rebuild
from storage.audit.rollback import Rollback
from storage.documents.marks import Marks
from storage.documents.relay import Relay
from storage.log.database import writing
from tests.contract.log_fixture import LogFixture

AHEAD = "its mirrored history goes on to event 6, and the log ends at event 0"


UNKNOWN = "its history is in the mirror, and the log does not know the job"


def set_back(log_fixture: LogFixture, job_id: str, seq: int, *, mark: int | None = None) -> None:
    """Make the database an older copy of itself: nothing after that event has ever been."""
    log_fixture.tamper()
    with writing(log_fixture.log.engine) as connection:
        connection.execute(text("DELETE FROM event WHERE job_id = :id AND seq > :seq"), {"id": job_id, "seq": seq})
        if mark is not None:
            connection.execute(text("UPDATE log_mark SET mark = :mark"), {"mark": mark})
    rebuild(log_fixture.log.engine)
    with writing(log_fixture.log.engine) as connection:
        connection.execute(
            text("UPDATE mirror SET seq = -1, place = '', behind = true WHERE job_id = :id"), {"id": job_id}
        )


def finished(log_fixture: LogFixture, job_id: str = "j") -> None:
    """Run a job to its end, mirrored."""
    log_fixture.submit(job_id)
    log_fixture.relay.update(job_id)
    log_fixture.finish(log_fixture.take())
    log_fixture.relay.update(job_id)


def anew(log_fixture: LogFixture) -> tuple[Relay, Rollback, Marks]:
    """Return what a process has that begins now."""
    marks = Marks(log_fixture.log.engine, log_fixture.stores)
    return (
        Relay(log_fixture.log, log_fixture.cursor, log_fixture.stores, marks=marks),
        Rollback(log_fixture.log, log_fixture.stores, marks),
        marks,
    )


def contents(log_fixture: LogFixture) -> dict[str, bytes]:
    """Return every document but those that only show that somebody was there."""
    return {path: log_fixture.storage.get(path) for path in log_fixture.files() if not path.startswith("staged/.")}
