"""The whole log made again from the mirrored histories, or not at all."""

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, insert, text

from models.audit import judge
from models.errors import BadName, LogNotEmpty, MirrorBroken, echo
from models.events import Event, compact
from models.job import Job
from models.names import check_display_name, is_job_id
from models.tables import EventRow, JobRow, MirrorRow
from storage import layout
from storage.database import writing
from storage.event_log import event_row, job_row
from storage.job_documents import HISTORY_VERSION
from storage.provider import StorageProvider

BATCH = 200
"""Jobs that are written at once; no more than that many are in memory ..."""

BATCH_BYTES = 16_000_000
"""... and no more than so many bytes of histories, with the last one on top."""

_TABLES = ("event", "job", "mirror", "lease")
_ADD_EVENT = insert(EventRow.__table__)  # type: ignore[attr-defined]
_ADD_JOB = insert(JobRow.__table__)  # type: ignore[attr-defined]
_ADD_CURSOR = insert(MirrorRow.__table__)  # type: ignore[attr-defined]


def restore(engine: Engine, *storages: StorageProvider) -> dict[str, int]:
    """Put every history that lies in these mirrors into an empty log, in one transaction.

    Each job's documents count as behind afterwards: nothing says that the mirror was whole but for its
    histories, or that the log will go on with this storage.

    Returns:
        How many jobs and events there are.

    Raises:
        LogNotEmpty: the log holds something.
        MirrorBroken: names everything that is wrong with the mirrors.
    """
    with writing(engine, alone=True) as connection:
        for table in _TABLES:
            if connection.execute(text(f"SELECT 1 FROM {table} LIMIT 1")).first():  # noqa: S608 - our own names
                raise LogNotEmpty
        jobs = events = 0
        for storage in storages:
            restoration = _Restoration(connection, storage)
            restoration.run()
            if restoration.faults:
                raise MirrorBroken(storage.url, sorted(restoration.faults))
            jobs, events = jobs + restoration.jobs, events + restoration.events
        if not jobs:
            raise MirrorBroken(", ".join(storage.url for storage in storages), ["events/: there are no histories"])
    return {"jobs": jobs, "events": events}


class _Restoration:
    """One pass over the mirror; good histories are written as they come, so that a second one is noticed."""

    def __init__(self, connection: Connection, storage: StorageProvider) -> None:
        self._connection = connection
        self._storage = storage
        self._batch: dict[str, tuple[Job, list[Event], str]] = {}
        self._batch_bytes = 0
        self.faults: list[str] = []
        self.jobs = 0
        self.events = 0

    def run(self) -> None:
        """Read all histories of all backends."""
        for backend in self._backends():
            for entry in self._storage.entries(f"events/{backend}"):
                if entry.name.startswith("."):
                    continue  # half a document of a writer that was killed
                path = f"events/{backend}/{entry.name}"
                job_id = entry.name.removesuffix(".json")
                if not entry.regular or job_id == entry.name or not is_job_id(job_id):
                    self._fault(path, "it is no history of a job")
                else:
                    self._read(path, backend, job_id)
        self._flush()

    def _backends(self) -> Iterator[str]:
        for entry in self._storage.entries("events"):
            try:
                check_display_name(entry.name)
            except BadName:
                known = entry.name.startswith(".") and entry.regular
            else:
                known = not entry.regular
                if known:
                    yield entry.name
            if not known:
                self._fault(f"events/{entry.name}", "it is no folder of a backend")

    def _read(self, path: str, backend: str, job_id: str) -> None:
        content = self._storage.get(path)
        try:
            rows = _rows(content, job_id)
        except (ValueError, RecursionError) as error:
            self._fault(path, str(error) if type(error) is ValueError else "it is not JSON")
            return
        judged = judge(job_id, rows)
        if judged.job is None or judged.fault is not None:
            self._fault(path, judged.fault or "it has no events")
        elif judged.job.backend != backend:
            self._fault(path, f"the job is of the backend {judged.job.backend}")
        else:
            self.jobs += 1
            self.events += len(judged.events)
            if job_id in self._batch:
                self._flush()
            self._batch[job_id] = (judged.job, judged.events, path)
            self._batch_bytes += len(content)
            if len(self._batch) == BATCH or self._batch_bytes > BATCH_BYTES:
                self._flush()

    def _flush(self) -> None:
        """Write the batch, but for what is there already."""
        for job_id, (_, _, path) in list(self._batch.items()):
            if self._connection.execute(text("SELECT 1 FROM job WHERE job_id = :id"), {"id": job_id}).first():
                self._fault(path, "another history has the same job id")
                del self._batch[job_id]
        if not self._batch:
            return
        found = self._batch.values()
        self._connection.execute(_ADD_EVENT, [event_row(event) for _, events, _ in found for event in events])
        self._connection.execute(_ADD_JOB, [job_row(job) for job, _, _ in found])
        self._connection.execute(_ADD_CURSOR, [self._cursor(job) for job, _, _ in found])
        self._batch = {}
        self._batch_bytes = 0

    def _cursor(self, job: Job) -> dict[str, Any]:
        """Return a cursor at the beginning, which knows where the job document was left."""
        usual = layout.place(job)
        lies = (path for path in (usual, *layout.places(job)) if self._storage.exists(path))
        return {"job_id": job.job_id, "seq": -1, "place": next(lies, ""), "behind": True}

    def _fault(self, path: str, why: str) -> None:
        self.faults.append(f"{echo(path)[1:-1]}: {why}")


def _rows(content: bytes, job_id: str) -> list[dict[str, Any]]:
    """Return the events of a mirrored history as the log stores them.

    Raises:
        ValueError: it is no history of this job.
    """
    document: Any = json.loads(content)
    if not isinstance(document, dict) or "version" not in document or "events" not in document:
        msg = "it is no history of a job"
        raise ValueError(msg)
    if document["version"] != HISTORY_VERSION:
        msg = f"it is a history of version {echo(document['version'])}, and this Quledger knows {HISTORY_VERSION}"
        raise ValueError(msg)
    if document.get("job_id") != job_id:
        msg = f"it is the history of another job, {echo(document.get('job_id'))}"
        raise ValueError(msg)
    lines = document["events"]
    if not isinstance(lines, list) or not all(isinstance(line, dict) and "data" in line for line in lines):
        msg = "its events are no list of events"
        raise ValueError(msg)
    return [line | {"data": compact(line["data"])} for line in lines]
