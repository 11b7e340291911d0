"""Everything that repeats the log, compared with the log: its own chain, the views, the documents, Prefect.

Nothing is changed, and a drain may go on meanwhile: a job that differs is read again, until it stands still.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sqlalchemy import Engine, text

from models.audit import Finding, Run, What, check_history, contradiction
from models.documents import same_value
from models.errors import (
    DocumentMissing,
    NotAuthentic,
    StorageError,
    StorageInactive,
    StorageRefused,
    StorageUnavailable,
    UnknownJob,
    echo,
)
from models.events import Event, hashes, standing
from models.facts import Submitted
from models.job import FINAL, Job, State, uploaded_at
from models.status import status_document
from storage import layout
from storage.audit.foreign_documents import ForeignDocuments
from storage.audit.not_yet import SECOND_LOOK, too_early
from storage.audit.signatures import audit_signatures
from storage.documents.job_documents import history_document
from storage.documents.marks import rolled_back
from storage.documents.mirrored import chain
from storage.log.database import reading
from storage.log.event_log import job_row
from storage.log.histories import Row, histories, history_of, row_of, tolerate_corruption
from storage.providers.protocol import StorageProvider
from storage.providers.stores import Stores
from storage.signatures.public_keys import PublicKeys
from storage.signatures.signing import Signatures

BATCH = 200
"""Jobs about which Prefect is asked at once."""

RunsOf = Callable[[list[str]], list[Run]]
"""Returns Prefect's runs of these jobs."""

SignaturesOf = Callable[[str], Signatures]
"""Returns what checks the signatures in the storage of this name."""

_ORPHANS = (
    "SELECT job_id FROM {} AS view WHERE NOT EXISTS (SELECT 1 FROM event WHERE event.job_id = view.job_id)"
    " ORDER BY job_id"
)


class Record(NamedTuple):
    """What the database holds of one job: its events, its row of the view, its cursor of the mirror."""

    job_id: str
    rows: list[Row]
    view: Row | None
    cursor: Row | None


class Verifier:
    """Compares one log with its storages and, where somebody can be asked, with Prefect.

    Attributes:
        jobs: how many were compared so far.
        left_out: what was not compared because its storage is switched off or does not answer: name -> why.
        unanswered: those of them that nobody has switched off.
    """

    def __init__(
        self,
        engine: Engine,
        stores: Stores,
        runs_of: RunsOf | None = None,
        signatures_of: SignaturesOf | None = None,
    ) -> None:
        """Compare what stands in these.

        Args:
            signatures_of: checks signatures in a storage with the keys of this installation too; without it, with
                those in the storage alone.
        """
        self._engine = engine
        self._stores = stores
        self._signatures_of = signatures_of or (lambda name: Signatures(PublicKeys(stores.of(name)), {}))
        # They remember keys: each storage is asked once.
        self._checks: dict[str, Signatures] = {}
        self._kids: set[str] = set()
        self._runs_of = runs_of
        self.jobs = 0
        self.left_out: dict[str, str] = {}
        self.unanswered: set[str] = set()

    def job(self, job_id: str) -> Iterator[Finding]:
        """Yield what differs of one job.

        Raises:
            UnknownJob: neither the log nor a view knows it.
        """
        record = self._read(job_id)
        if not record.rows and record.view is None and record.cursor is None:
            raise UnknownJob(job_id)
        yield from self._settled(record)
        job = check_history(job_id, record.rows).job
        yield from self._ask_prefect([job] if job else [])

    def all(self) -> Iterator[Finding]:
        """Yield what differs of any job, and every document that belongs to none."""
        waiting: list[Job] = []
        with reading(self._engine) as connection, tolerate_corruption(connection):
            for job_id, rows in histories(connection):
                record = Record(job_id, rows, row_of(connection, "job", job_id), row_of(connection, "mirror", job_id))
                yield from self._settled(record)
                if (
                    self._runs_of is not None
                    and (job := check_history(job_id, rows).job) is not None
                    and job.state in FINAL
                ):
                    waiting.append(job)
                if len(waiting) == BATCH:
                    yield from self._ask_prefect(waiting)
                    waiting = []
            for table in ("job", "mirror"):
                for job_id in connection.scalars(text(_ORPHANS.format(table))):
                    yield Finding(job_id=job_id, what="view", message=f"`{table}` has a row, and there are no events")
        yield from self._ask_prefect(waiting)
        for name in self._stores.names:
            if name not in self.left_out:
                yield from self._whole(name)

    def _whole(self, name: str) -> Iterator[Finding]:
        """Yield what differs of a storage beyond the documents of the jobs."""
        try:
            storage = self._stores.of(name)
            names = {name, ""} if name == self._stores.full("") else {name}
            yield from rolled_back(self._engine, storage)
            yield from ForeignDocuments(self._engine, storage, names).all()
            yield from self._audited(storage, name)
        except (StorageUnavailable, StorageRefused) as error:
            self._leave_out(name, error)

    def _audited(self, storage: StorageProvider, name: str) -> list[Finding]:
        """Look twice where something is wrong: a key may just have been replaced, a configuration renewed."""
        findings = list(audit_signatures(storage, self._signatures(name), self._kids))
        if findings:
            time.sleep(SECOND_LOOK)
            self._checks.pop(self._stores.full(name))
            again = set(audit_signatures(storage, self._signatures(name), self._kids))
            findings = [finding for finding in findings if finding in again]
        return findings

    @property
    def notes(self) -> list[str]:
        """What was taken on trust so far, a sentence each."""
        return sorted({note for checks in self._checks.values() for note in checks.notes(self._kids)})

    def _leave_out(self, name: str, error: StorageError) -> None:
        """Note that a storage cannot be compared; where it is the only one, nothing can."""
        full = self._stores.full(name)
        switched_off = isinstance(error, StorageInactive)
        if not switched_off and self._stores.names == [full]:
            raise error
        self.left_out[full] = str(error) if switched_off else f"the storage {full}: {error}"
        if not switched_off:
            self.unanswered.add(full)

    def _read(self, job_id: str) -> Record:
        with reading(self._engine) as connection, tolerate_corruption(connection):
            rows = history_of(connection, job_id)
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
        job, events, fault = check_history(job_id, record.rows)
        if job is None or fault is not None:
            # Nothing can be compared with a history that is not true.
            yield Finding(job_id=job_id, what="chain", message=fault or "it has no events")
            return
        if job.uploaded is not None and job.uploaded.kid is not None:
            self._kids.add(job.uploaded.kid)
        for message in _views(job, record):
            yield Finding(job_id=job_id, what="view", message=message)
        cursor = record.cursor
        if cursor is None:
            return  # nobody can say what the storage should hold by now
        if self._stores.full(job.storage) in self.left_out:
            return
        try:
            for what, message in self._stored(self._stores.of(job.storage), job, events, cursor):
                yield Finding(job_id=job_id, what=what, message=message)
        except (StorageUnavailable, StorageRefused) as error:
            self._leave_out(job.storage, error)

    def _stored(
        self, storage: StorageProvider, job: Job, events: list[Event], cursor: Row
    ) -> Iterator[tuple[What, str]]:
        """Yield what differs in the storage of the job."""
        history = _get(storage, layout.events(job.backend, job.job_id))
        stands = standing(chain(history or b""), hashes(events))
        if stands.why:
            # Its other documents follow the mirror's history, and none of them is ours to judge.
            yield "ahead", f"{stands.why}; run `quledger restore`"
        elif cursor["behind"]:
            yield "behind", f"the storage waits for events up to {job.seq}; run `quledger reconcile`"
            yield from self._early(storage, job, events, cursor["seq"])
        else:
            yield from self._documents(storage, job, events, history, cursor["place"])

    def _early(
        self, storage: StorageProvider, job: Job, events: list[Event], mirrored: int
    ) -> Iterator[tuple[What, str]]:
        """Yield what may not be there yet; of a job that has ended the relay removes what may not be there any more."""
        if job.state not in FINAL:
            staged, signatures = layout.all_staged(events), self._signatures(job.storage)
            yield from too_early(storage, job, events, staged, signatures, mirrored=mirrored)

    def _documents(
        self, storage: StorageProvider, job: Job, events: list[Event], history: bytes | None, known: str
    ) -> Iterator[tuple[What, str]]:
        """Yield what differs between the job and its documents, of which each is a function of its events."""
        path = layout.events(job.backend, job.job_id)
        if history is None:
            yield "history", f"{path} is missing"
        elif history != history_document(job, events):
            yield "history", f"{path} does not hold exactly the events of the log"
        if job.state is State.WITHDRAWN:
            # Its other documents are somebody else's.
            yield from self._staged(storage, job, events)
            return
        yield from self._place(storage, job, events[0], known)
        if job.state not in FINAL:
            yield from self._early(storage, job, events, job.seq)
            return
        path = layout.status(job.backend, job.job_id)
        content = _get(storage, path)
        if content is None:
            yield "status", f"{path} is missing"
        elif content != json.dumps(status_document(job).model_dump()).encode("utf-8"):
            yield "status", f"{path} does not say that the job is {job.state} as the log does"
        yield from self._result(storage, job, events)
        yield from self._staged(storage, job, events)

    @staticmethod
    def _place(storage: StorageProvider, job: Job, first: Event, known: str) -> Iterator[tuple[What, str]]:
        place, taken = layout.place(job, known), layout.taken(job.job_id)
        content = _get(storage, place)
        # Its worker has just taken it, or died when it had; a storage that copies may hold both then.
        on_its_way = job.state not in FINAL and job.attempt > 0
        between = _get(storage, taken) if on_its_way else None
        if content is None:
            content = between
        if content is None:
            yield "place", f"the job document is missing at {place}"
        elif job.document_sha256 and not _is_submitted(storage, content, job, first):
            yield "place", f"the job document at {place} is not the one that was submitted"
        elif between is not None and job.document_sha256 and not _is_submitted(storage, between, job, first):
            yield "place", f"the job document at {taken} is not the one that was submitted"
        for path in layout.places(job):
            if path != place and not (path == taken and on_its_way) and storage.exists(path):
                yield "place", f"a job document lies at {path}, and it belongs at {place}"

    def _result(self, storage: StorageProvider, job: Job, events: list[Event]) -> Iterator[tuple[What, str]]:
        path = layout.result(job.backend, job.job_id)
        if job.state is not State.DONE or job.uploaded is None:
            if storage.exists(path):
                yield "result", f"{path} is there, and the job is {job.state}"
            return
        content = _get(storage, path)
        if content is None:
            yield "result", f"{path} is missing"
        elif hashlib.sha256(content).hexdigest() != job.uploaded.sha256:
            yield "result", f"{path} is not the result that was accepted"
        if content is not None and job.uploaded.kid is not None:
            try:
                # When it was signed is the log's word: that of whoever has stolen the key counts for nothing.
                self._signatures(job.storage).check(content, job.uploaded.kid, uploaded_at(events))
            except NotAuthentic as error:
                yield "signature", f"{path}: {error}"

    def _signatures(self, name: str) -> Signatures:
        full = self._stores.full(name)
        if full not in self._checks:
            self._checks[full] = self._signatures_of(full)
        return self._checks[full]

    @staticmethod
    def _staged(storage: StorageProvider, job: Job, events: list[Event]) -> Iterator[tuple[What, str]]:
        for path in layout.left_over(job, events):
            if storage.exists(path):
                yield "staged", f"{path} is left over, and the job is {job.state}"
        if job.state is State.ERROR and job.executed is not None:
            # Kept for another chance; where it is missing, that one runs the job again.
            content = _get(storage, job.executed.staged)
            if content is not None and hashlib.sha256(content).hexdigest() != job.executed.result_sha256:
                yield "staged", f"{job.executed.staged} is not the result that was executed; a retry would run again"

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
    at_end = cursor["seq"] == job.seq and layout.is_settled(job, cursor["place"])
    possible = cursor["seq"] in range(-1, job.seq + 1) and cursor["place"] in ("", *layout.places(job))
    if not (possible if cursor["behind"] else at_end):
        yield "`mirror` says what cannot be: " + ", ".join(f"{name} {echo(cursor[name])}" for name in ("seq", "place"))


def _is_submitted(storage: StorageProvider, content: bytes, job: Job, first: Event) -> bool:
    """Say whether this is the document that was submitted, as far as the storage keeps it."""
    if hashlib.sha256(content).hexdigest() == job.document_sha256:
        return True
    raw = first.fact.raw if isinstance(first.fact, Submitted) else None
    return not storage.abilities.exact_bytes and raw is not None and same_value(raw, content)


def _get(storage: StorageProvider, path: str) -> bytes | None:
    try:
        return storage.get(path)
    except DocumentMissing:
        return None
