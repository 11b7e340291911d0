"""Everything that repeats the log, compared with the log: its own chain, the views, the documents, Prefect.

Nothing is changed, and a drain may go on meanwhile: a job that differs is read again, until it stands still, and what a
worker may be about to bring right is looked at once more a little later.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from sqlalchemy import Engine, text

from models import clock
from models.audit import Finding, Run, check_history, contradiction
from models.claims import Lease, judge_lease
from models.errors import (
    StorageError,
    StorageInactive,
    StorageRefused,
    StorageUnavailable,
    UnknownJob,
)
from models.job import FINAL, Job, Phase
from storage.audit.documents import DocumentAudit
from storage.audit.foreign_documents import ForeignDocuments
from storage.audit.not_yet import SECOND_LOOK
from storage.audit.signatures import audit_signatures
from storage.audit.views import Record, record_of, view_faults
from storage.documents.marks import rolled_back
from storage.identity.audit import control_faults
from storage.log import usage
from storage.log.database import reading
from storage.log.histories import histories, history_of, row_of, tolerate_corruption
from storage.providers.protocol import StorageProvider
from storage.providers.stores import Stores
from storage.signatures.public_keys import PublicKeys
from storage.signatures.signing import Signatures

BATCH = 200
"""Jobs about which Prefect is asked at once."""

PATIENCE = 5.0
"""So long, in seconds, a worker may take to write the documents of a job that has ended, and to end its run."""

MAY_PASS = frozenset({"behind", "prefect"})
"""What a worker brings right that is just at work on the job."""

STEP, MANY = 0.5, 1000
"""So often what may pass is looked at, unless it is of so many jobs."""

RunsOf = Callable[[list[str]], list[Run]]
"""Returns Prefect's runs of these jobs."""

SignaturesOf = Callable[[str], Signatures]
"""Returns what checks the signatures in the storage of this name."""

_ORPHANS = (
    "SELECT job_id FROM {} AS view WHERE NOT EXISTS (SELECT 1 FROM event WHERE event.job_id = view.job_id)"
    " ORDER BY job_id"
)


# Nobody would ever claim them.
_UNQUEUED = text(
    "SELECT job_id FROM job WHERE phase = 'waiting'"
    " AND NOT EXISTS (SELECT 1 FROM held WHERE held.job_id = job.job_id) AND NOT EXISTS (SELECT 1 FROM queue"
    ' WHERE queue.backend = job.backend AND queue.storage = job.storage AND queue."user" = job."user"'
    " AND (queue.received_at < '~' OR queue.again_at <> '')) ORDER BY job_id"
)


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
        *,
        patience: float = 0.0,
    ) -> None:
        """Compare what stands in these.

        Args:
            patience: how long, in seconds, a difference that may pass has to last; 0 where nobody else is at work.
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
        self._patience = patience
        # Of the jobs that differed in what may pass; and since when the first of them has (steady clock).
        self._doubtful: dict[str, None] = {}
        self._since = 0.0
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
        yield from self._lasting(self._differences(record))
        yield from self._look_again()

    def all(self) -> Iterator[Finding]:
        """Yield what differs of any job and of any control stream, and every document that belongs to none."""
        waiting: list[Job] = []
        with reading(self._engine) as connection, tolerate_corruption(connection):
            for job_id, rows in histories(connection):
                yield from self._lasting(self._compare_until_stable(record_of(connection, job_id, rows)))
                if (
                    self._runs_of is not None
                    and (job := check_history(job_id, rows).job) is not None
                    and job.state in FINAL
                ):
                    waiting.append(job)
                if len(waiting) == BATCH:
                    yield from self._lasting(self._ask_prefect(waiting))
                    waiting = []
            for table in ("job", "mirror"):
                for job_id in connection.scalars(text(_ORPHANS.format(table))):
                    yield Finding(job_id=job_id, what="view", message=f"`{table}` has a row, and there are no events")
            for job_id in connection.scalars(_UNQUEUED):
                yield Finding(job_id=job_id, what="view", message="`queue` does not know that the job waits")
            for message in usage.differences(connection):
                yield Finding(job_id="", what="view", message=message)
        yield from control_faults(self._engine)
        yield from self._lasting(self._ask_prefect(waiting))
        for name in self._stores.names:
            if name not in self.left_out:
                yield from self._storage_faults(name)
        yield from self._look_again()

    def _differences(self, record: Record) -> Iterator[Finding]:
        yield from self._compare_until_stable(record)
        job = check_history(record.job_id, record.rows).job
        yield from self._ask_prefect([job] if job else [])

    def _lasting(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """Yield what is no different a little later, and note the jobs of the rest."""
        for finding in findings:
            if self._patience and finding.what in MAY_PASS:
                if not self._doubtful:
                    self._since = time.monotonic()
                self._doubtful[finding.job_id] = None
            else:
                yield finding

    def _look_again(self) -> Iterator[Finding]:
        """Yield what still differs of those jobs, once it has had its time."""
        end = self._since + self._patience
        while self._doubtful:
            left = max(0.0, end - time.monotonic())
            time.sleep(left if len(self._doubtful) > MANY else min(STEP, left))
            is_over = time.monotonic() >= end
            for job_id in list(self._doubtful):
                findings = list(self._differences(self._read(job_id)))
                self.jobs -= 1  # it was counted when it was first compared
                if is_over or not findings:
                    del self._doubtful[job_id]
                    yield from findings

    def _storage_faults(self, name: str) -> Iterator[Finding]:
        """Yield what differs of a storage beyond the documents of the jobs."""
        try:
            storage = self._stores.of(name)
            names = {name, ""} if name == self._stores.full("") else {name}
            yield from rolled_back(self._engine, storage)
            yield from ForeignDocuments(self._engine, storage, names).all()
            yield from self._signature_faults(storage, name)
        except (StorageUnavailable, StorageRefused) as error:
            self._leave_out(name, error)

    def _signature_faults(self, storage: StorageProvider, name: str) -> list[Finding]:
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
            return record_of(connection, job_id, rows)

    def _compare_until_stable(self, record: Record) -> list[Finding]:
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
        for message in view_faults(job, record):
            yield Finding(job_id=job_id, what="view", message=message)
        cursor = record.cursor
        if cursor is None:
            return  # nobody can say what the storage should hold by now
        if self._stores.full(job.storage) in self.left_out:
            return
        try:
            documents = DocumentAudit(self._stores.of(job.storage), lambda: self._signatures(job.storage))
            for what, message in documents.compare(job, events, cursor):
                if what == "behind" and self._patience and self._is_at_work(job):
                    continue
                yield Finding(job_id=job_id, what=what, message=message)
        except (StorageUnavailable, StorageRefused) as error:
            self._leave_out(job.storage, error)

    def _is_at_work(self, job: Job) -> bool:
        """Say whether the mirror may be behind for longer: a worker has the job, or nobody has ever taken it."""
        if job.phase is Phase.WAITING:
            return job.source == "inbox" and job.attempt == 0
        with reading(self._engine) as connection:
            lease = row_of(connection, "lease", job.job_id)
        renewed = lease["lease_until"] if lease is not None and lease["attempt"] == job.attempt else None
        until = datetime.fromisoformat(renewed) if renewed else None
        return job.phase is Phase.RUNNING and judge_lease(job, until, clock.now()) is Lease.GOOD

    def _signatures(self, name: str) -> Signatures:
        full = self._stores.full(name)
        if full not in self._checks:
            self._checks[full] = self._signatures_of(full)
        return self._checks[full]

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
