"""A log, a folder and everything between them: what the tests of mirror, verify and restore stand on."""

import hashlib
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, text

from models.audit import check_history
from models.events import Event
from models.facts import Compiled as CompiledFact
from models.facts import Completed, Executed, Failed, Submitted, Uploaded, Validated
from models.job import Job
from storage import layout
from storage.documents.inbox import Inbox
from storage.documents.job_documents import history_rows
from storage.documents.relay import Relay
from storage.log.database import open_database, writing
from storage.log.event_log import EventLog
from storage.log.mirror_cursor import MirrorCursor
from storage.providers.folder import FolderStorage
from storage.providers.stores import Stores
from tests.contract.dump import dump

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LATER = datetime.now(UTC) + timedelta(hours=1)
DOCUMENT = b'{"a": 1}'
LOST = Failed(stage="lease", blame="infrastructure", faults=(), fault_count=0)
RESULT = b"{}"
RESULT_SHA256 = hashlib.sha256(RESULT).hexdigest()

UNGUARD = {
    "sqlite": ["DROP TRIGGER IF EXISTS event_no_update", "DROP TRIGGER IF EXISTS event_no_delete"],
    "postgresql": [
        "DROP TRIGGER IF EXISTS event_append_only ON event",
        "DROP TRIGGER IF EXISTS event_no_delete ON event",
    ],
}
"""What an intruder does first."""


def events_in(history: bytes, job_id: str) -> list[Event]:
    """Return the events of a mirrored history, as a restore reads them."""
    checked = check_history(job_id, history_rows(history, job_id))
    assert checked.fault is None
    return checked.events


class LogFixture:
    """A log, a folder and everything between them."""

    def __init__(self, folder: Path, engine: Engine | None = None) -> None:
        self.folder = folder / "store"
        self.log = EventLog(engine or open_database(f"sqlite:///{folder / 'log.db'}"))
        self.storage = FolderStorage(self.folder.as_uri())
        self.stores = Stores.single(self.storage)
        self.cursor = MirrorCursor(self.log.engine)
        self.relay = Relay(self.log, self.cursor, self.stores)
        self.inbox = Inbox(self.log, self.stores, max_bytes=1000, settle_seconds=5)

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def submit(self, job_id: str = "j", source: str = "cli") -> Job:
        fact = Submitted.of(DOCUMENT, keep_up_to=99, backend="rydberg", source=source, received_at=START)
        return self.log.submit(job_id, fact, "test")[0]

    def queue(self, name: str, content: bytes, *, age: float = 60) -> None:
        path = self.folder / "jobs" / "queued" / "rydberg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        then = datetime.now(UTC).timestamp() - age
        os.utime(path, (then, then))

    def executed(self, job: Job) -> Executed:
        """Stage the result of a job; return the fact."""
        staged = layout.staged(job.job_id, job.attempt)
        self.storage.put(staged, RESULT)
        return Executed(
            seconds=0.1,
            cpu_seconds=0.1,
            seed=5,
            versions={"python": "3.11"},
            backend_config_sha256="c",
            result_sha256=RESULT_SHA256,
            result_bytes=len(RESULT),
            staged=staged,
        )

    def uploaded(self, job: Job) -> Uploaded:
        """Put the result of a job where front ends look; return the fact."""
        path = layout.result(job.backend, job.job_id)
        self.storage.put(path, RESULT)
        return Uploaded(path=path, bytes=len(RESULT), sha256=RESULT_SHA256)

    def finish(self, job: Job) -> Job:
        facts = (
            Validated(experiments=1, shots=1),
            CompiledFact(program_sha256="p", program_bytes=1, seed=5),
            self.executed(job),
            self.uploaded(job),
            Completed(),
        )
        return self.log.append(job, *facts, attempt=job.attempt, actor="w")

    def claim(self) -> Job:
        job = self.log.claim(["rydberg"], "w", LATER)
        assert job is not None
        return job

    def take(self) -> Job:
        """Claim a job and take its document, as a worker does."""
        job = self.claim()
        assert self.relay.take(job)
        return job

    def read(self, path: str) -> object:
        return json.loads(self.storage.get(path))

    def tamper(self, *statements: str) -> None:
        """Change the database behind the log's back, as an intruder would."""
        with writing(self.log.engine) as connection:
            for statement in UNGUARD[self.log.engine.dialect.name]:
                connection.execute(text(statement))
            for statement in statements:
                assert connection.execute(text(statement)).rowcount == 1, statement

    def flip(self, path: str, at: int = -2) -> None:
        """Change one byte of a document."""
        file = self.folder / path
        content = bytearray(file.read_bytes())
        content[at] ^= 1
        file.write_bytes(content)


def dumped(log_fixture: LogFixture, *, cursors: bool = True) -> bytes:
    """Return the dump of a log_fixture's log."""
    return b"".join(dump(log_fixture.log.engine, cursors=cursors))
