"""Everything that repeats the log, compared with the log: its own chain, the views, the documents, Prefect.

Nothing is changed, and a drain may go on meanwhile: a job that differs is read again, until it stands still.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from sqlalchemy import Engine, bindparam, select, text

from models.audit import Finding, Run, What, contradiction, judge
from models.documents import same_value
from models.errors import BadName, DocumentMissing, UnknownJob, echo
from models.events import Event, Submitted
from models.job import FINAL, Job, State, status_document
from models.names import check_display_name, is_job_id
from storage import layout
from storage.database import reading
from storage.event_log import job_row
from storage.histories import EVENT, Row, histories, lenient, row_of
from storage.mirror import history_document
from storage.provider import Entry, StorageProvider

BATCH = 200
"""Jobs about which Prefect, and documents about which the log, is asked at once."""

RunsOf = Callable[[list[str]], list[Run]]
"""Returns Prefect's runs of these jobs."""

_ONE = select(EVENT).where(EVENT.c.job_id == bindparam("job_id")).order_by(EVENT.c.seq)
_ORPHANS = (
    "SELECT job_id FROM {} AS view WHERE NOT EXISTS (SELECT 1 FROM event WHERE event.job_id = view.job_id)"
    " ORDER BY job_id"
)
_BACKEND_FOLDERS = ("events", "status", "results", "jobs/queued", "jobs/finished")
_SHARED_FOLDERS = (layout.RUNNING, layout.DELETED)


class Record(NamedTuple):
    """What the database holds of one job: its events, its row of the view, its cursor of the mirror."""

    job_id: str
    rows: list[Row]
    view: Row | None
    cursor: Row | None


class Verifier:
    """Compares one log with one storage and, where somebody can be asked, with Prefect.

    Attributes:
        jobs: how many were compared so far.
    """

    def __init__(self, engine: Engine, storage: StorageProvider, runs_of: RunsOf | None = None) -> None:
        self._engine = engine
        self._storage = storage
        self._runs_of = runs_of
        self.jobs = 0

    def job(self, job_id: str) -> Iterator[Finding]:
        """Yield what differs of one job.

        Raises:
            UnknownJob: neither the log nor a view knows it.
        """
        record = self._read(job_id)
        if not record.rows and record.view is None and record.cursor is None:
            raise UnknownJob(job_id)
        yield from self._settled(record)
        job = judge(job_id, record.rows).job
        yield from self._ask_prefect([job] if job else [])

    def all(self) -> Iterator[Finding]:
        """Yield what differs of any job, and every document that belongs to none."""
        waiting: list[Job] = []
        with reading(self._engine) as connection, lenient(connection):
            for job_id, rows in histories(connection):
                record = Record(job_id, rows, row_of(connection, "job", job_id), row_of(connection, "mirror", job_id))
                yield from self._settled(record)
                if self._runs_of is not None and (job := judge(job_id, rows).job) is not None and job.state in FINAL:
                    waiting.append(job)
                if len(waiting) == BATCH:
                    yield from self._ask_prefect(waiting)
                    waiting = []
            for table in ("job", "mirror"):
                for job_id in connection.scalars(text(_ORPHANS.format(table))):
                    yield Finding(job_id=job_id, what="view", message=f"`{table}` has a row, and there are no events")
        yield from self._ask_prefect(waiting)
        yield from self._foreign()

    def _read(self, job_id: str) -> Record:
        with reading(self._engine) as connection, lenient(connection):
            rows = [dict(row) for row in connection.execute(_ONE, {"job_id": job_id}).mappings()]
            return Record(job_id, rows, row_of(connection, "job", job_id), row_of(connection, "mirror", job_id))

    def _settled(self, record: Record) -> list[Finding]:
        """Compare until the job stands still: what a worker wrote between two looks is no difference."""
        self.jobs += 1
        findings = list(self._compare(record))
        while findings and (newer := self._read(record.job_id)) != record and newer.rows:
            record = newer
            findings = list(self._compare(record))
        return findings

    def _compare(self, record: Record) -> Iterator[Finding]:
        job_id = record.job_id
        job, events, fault = judge(job_id, record.rows)
        if job is None or fault is not None:
            # Nothing can be compared with a history that is not true.
            yield Finding(job_id=job_id, what="chain", message=fault or "it has no events")
            return
        for message in _views(job, record):
            yield Finding(job_id=job_id, what="view", message=message)
        cursor = record.cursor
        if cursor is None:
            return  # nobody can say what the storage should hold by now
        if cursor["behind"]:
            message = f"the storage waits for events up to {job.seq}; run `quledger reconcile`"
            yield Finding(job_id=job_id, what="behind", message=message)
            return
        for what, message in self._documents(job, events, cursor["place"]):
            yield Finding(job_id=job_id, what=what, message=message)

    def _documents(self, job: Job, events: list[Event], known: str) -> Iterator[tuple[What, str]]:
        """Yield what differs between the job and its documents, of which each is a function of its events."""
        path = layout.events(job.backend, job.job_id)
        content = self._get(path)
        if content is None:
            yield "history", f"{path} is missing"
        elif content != history_document(job, events):
            yield "history", f"{path} does not hold exactly the events of the log"
        if job.state is State.WITHDRAWN:
            return  # its other documents are somebody else's
        yield from self._place(job, events[0], known)
        if job.state not in FINAL:
            return
        path = layout.status(job.backend, job.job_id)
        content = self._get(path)
        if content is None:
            yield "status", f"{path} is missing"
        elif content != json.dumps(status_document(job).model_dump()).encode("utf-8"):
            yield "status", f"{path} does not say that the job is {job.state} as the log does"
        yield from self._result(job)
        yield from self._staged(job)

    def _place(self, job: Job, first: Event, known: str) -> Iterator[tuple[What, str]]:
        place, taken = layout.place(job, known), layout.taken(job.job_id)
        content = self._get(place)
        if content is None and job.state not in FINAL and job.attempt:
            content = self._get(taken)  # its worker has just taken it, or died when it had
        if content is None:
            yield "place", f"the job document is missing at {place}"
        elif job.document_sha256 and not self._is_submitted(content, job, first):
            yield "place", f"the job document at {place} is not the one that was submitted"
        for path in layout.places(job):
            if path not in (place, taken) and self._storage.exists(path):
                yield "place", f"a job document lies at {path}, and it belongs at {place}"

    def _is_submitted(self, content: bytes, job: Job, first: Event) -> bool:
        """Say whether this is the document that was submitted, as far as the storage keeps it."""
        if hashlib.sha256(content).hexdigest() == job.document_sha256:
            return True
        raw = first.fact.raw if isinstance(first.fact, Submitted) else None
        return not self._storage.abilities.exact_bytes and raw is not None and same_value(raw, content)

    def _result(self, job: Job) -> Iterator[tuple[What, str]]:
        path = layout.result(job.backend, job.job_id)
        if job.state is not State.DONE or job.uploaded is None:
            if self._storage.exists(path):
                yield "result", f"{path} is there, and the job is {job.state}"
            return
        content = self._get(path)
        if content is None:
            yield "result", f"{path} is missing"
        elif hashlib.sha256(content).hexdigest() != job.uploaded.sha256:
            yield "result", f"{path} is not the result that was accepted"

    def _staged(self, job: Job) -> Iterator[tuple[What, str]]:
        # A job in ERROR keeps its result: revived, it need not run again.
        kept = job.executed.staged if job.state is State.ERROR and job.executed else ""
        for path in layout.all_staged(job):
            if path != kept and self._storage.exists(path):
                yield "staged", f"{path} is left over, and the job is {job.state}"

    def _get(self, path: str) -> bytes | None:
        try:
            return self._storage.get(path)
        except DocumentMissing:
            return None

    def _ask_prefect(self, jobs: list[Job]) -> Iterator[Finding]:
        if self._runs_of is None or not jobs:
            return
        runs: dict[str, list[Run]] = {}
        for run in self._runs_of([job.job_id for job in jobs]):
            runs.setdefault(run.job_id, []).append(run)
        for job in jobs:
            message = contradiction(job, runs.get(job.job_id, []))
            if message is not None:
                yield Finding(job_id=job.job_id, what="prefect", message=message)

    def _foreign(self) -> Iterator[Finding]:
        """Yield each document that no job of the log accounts for."""
        for top in _BACKEND_FOLDERS:
            for entry in self._storage.entries(top):
                if entry.regular or not _is_display_name(entry.name):
                    yield from _stranger(f"{top}/{entry.name}", entry)
                else:
                    yield from self._folder(f"{top}/{entry.name}", entry.name)
        for folder in _SHARED_FOLDERS:
            yield from self._folder(folder, None)
        for batch in _batches(self._storage.entries(layout.STAGED)):
            known = self._backends_of(layout.staged_for(entry.name) for entry in batch)
            for entry in batch:
                if layout.staged_for(entry.name) not in known:
                    yield from _stranger(f"{layout.STAGED}/{entry.name}", entry)

    def _folder(self, folder: str, backend: str | None) -> Iterator[Finding]:
        """Yield what is foreign in one folder; in a folder of a backend, jobs of other backends are."""
        for batch in _batches(self._storage.entries(folder)):
            known = self._backends_of(entry.name.removesuffix(".json") for entry in batch)
            for entry in batch:
                path = f"{folder}/{entry.name}"
                job_id = entry.name.removesuffix(".json")
                if not entry.regular or job_id == entry.name or not is_job_id(job_id):
                    yield from _stranger(path, entry)
                elif job_id in known:
                    if backend is not None and known[job_id] not in (backend, None):
                        message = f"{path} is there, and the job is of the backend {known[job_id]}"
                        yield Finding(job_id=job_id, what="foreign", message=message)
                elif not self._is_new(folder, backend, job_id):
                    yield Finding(
                        job_id=job_id, what="foreign", message=f"{path} is of a job that the log does not know"
                    )

    def _is_new(self, folder: str, backend: str | None, job_id: str) -> bool:
        """Say whether a front end has just handed in the job: it waits in the inbox, perhaps with its status."""
        if backend is None or folder.partition("/")[0] not in ("jobs", "status") or folder.startswith("jobs/finished"):
            return False
        # While we looked it may have been taken into the log.
        return self._storage.exists(layout.queued(backend, job_id)) or bool(self._backends_of([job_id]))

    def _backends_of(self, job_ids: Any) -> dict[str, str | None]:
        """Return those of the ids that the log knows, with their backend where the view has it."""
        query = text(
            "SELECT DISTINCT event.job_id, job.backend FROM event LEFT JOIN job ON job.job_id = event.job_id"
            " WHERE event.job_id IN :ids"
        ).bindparams(bindparam("ids", expanding=True))
        wanted = [job_id for job_id in job_ids if is_job_id(job_id)]
        if not wanted:
            return {}
        with reading(self._engine) as connection, lenient(connection):
            return {job_id: backend for job_id, backend in connection.execute(query, {"ids": wanted})}  # noqa: C416


def _views(job: Job, record: Record) -> Iterator[str]:
    """Yield what is wrong with the rows that repeat the job's events."""
    if record.view is None:
        yield "`job` has no row"
    elif record.view != (expected := job_row(job)):
        wrong = ", ".join(name for name, value in expected.items() if record.view.get(name) != value)
        yield f"`job` differs from the events in {wrong}"
    cursor = record.cursor
    if cursor is None:
        yield "`mirror` has no row"
        return
    at_end = cursor["seq"] == job.seq and cursor["place"] == layout.place(job, cursor["place"])
    possible = cursor["seq"] in range(-1, job.seq + 1) and cursor["place"] in ("", *layout.places(job))
    if not (possible if cursor["behind"] else at_end):
        yield "`mirror` says what cannot be: " + ", ".join(f"{name} {echo(cursor[name])}" for name in ("seq", "place"))


def _stranger(path: str, entry: Entry) -> Iterator[Finding]:
    # What begins with a dot is half a document of a writer that was killed; no reader takes it for one.
    if not entry.name.startswith("."):
        yield Finding(job_id="", what="foreign", message=f"{echo(path)[1:-1]} is no document of Quledger")


def _is_display_name(name: str) -> bool:
    try:
        check_display_name(name)
    except BadName:
        return False
    return True


def _batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
