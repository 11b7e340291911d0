"""The documents of one job in its storage, compared with its events."""

import hashlib
import json
from collections.abc import Callable, Iterator

from models.audit import What
from models.documents import same_value
from models.errors import NotAuthentic
from models.events import Event, document_of, hashes, standing, uploaded_at
from models.job import FINAL, Job, State
from models.status import status_document
from storage import layout
from storage.audit.not_yet import too_early
from storage.documents.job_documents import history_document, mirrored_hashes
from storage.log.histories import Row
from storage.providers.protocol import StorageProvider, get_or_none
from storage.signatures.signing import Signatures


class DocumentAudit:
    """Compares jobs with the documents in one storage.

    Args:
        signatures: returns what checks the signatures in it.
    """

    def __init__(self, storage: StorageProvider, signatures: Callable[[], Signatures]) -> None:
        self._storage = storage
        self._signatures = signatures

    def compare(self, job: Job, events: list[Event], cursor: Row) -> Iterator[tuple[What, str]]:
        """Yield what differs in the storage of the job."""
        history = get_or_none(self._storage, layout.events(job.backend, job.job_id))
        stands = standing(mirrored_hashes(history or b""), hashes(events))
        if stands.why:
            # Its other documents follow the mirror's history; they are not compared with ours.
            yield "ahead", f"{stands.why}; run `quledger restore`"
        elif cursor["behind"]:
            yield "behind", f"the storage waits for events up to {job.seq}; run `quledger reconcile`"
            yield from self._early(job, events, cursor["seq"])
        else:
            yield from self._documents(job, events, history, cursor["place"])

    def _early(self, job: Job, events: list[Event], mirrored: int) -> Iterator[tuple[What, str]]:
        """Yield what may not be there yet; of a job that has ended the relay removes what may not be there any more."""
        if job.state not in FINAL:
            staged, signatures = layout.all_staged(events), self._signatures()
            yield from too_early(self._storage, job, events, staged, signatures, mirrored=mirrored)

    def _documents(
        self, job: Job, events: list[Event], history: bytes | None, known: str
    ) -> Iterator[tuple[What, str]]:
        """Yield what differs between the job and its documents, of which each is a function of its events."""
        path = layout.events(job.backend, job.job_id)
        if history is None:
            yield "history", f"{path} is missing"
        elif history != history_document(job, events):
            yield "history", f"{path} does not hold exactly the events of the log"
        if job.state is State.WITHDRAWN:
            # Its other documents are somebody else's.
            yield from self._staged(job, events)
            return
        yield from self._place(job, events, known)
        if job.state not in FINAL:
            yield from self._early(job, events, job.seq)
            return
        path = layout.status(job.backend, job.job_id)
        content = get_or_none(self._storage, path)
        if content is None:
            yield "status", f"{path} is missing"
        elif not _says(content, job):
            yield "status", f"{path} does not say that the job is {job.state} as the log does"
        yield from self._result(job, events)
        yield from self._staged(job, events)

    def _place(self, job: Job, events: list[Event], known: str) -> Iterator[tuple[What, str]]:
        place, taken = layout.place(job, known), layout.taken(job.job_id)
        content = get_or_none(self._storage, place)
        # Its worker has just taken it, or died when it had; a storage that copies may hold both then.
        on_its_way = job.state not in FINAL and job.attempt > 0
        between = get_or_none(self._storage, taken) if on_its_way else None
        if content is None:
            content = between
        if content is None:
            yield "place", f"the job document is missing at {place}"
        elif job.document_sha256 and not _is_submitted(self._storage, content, job, events):
            yield "place", f"the job document at {place} is not the one that was submitted"
        elif between is not None and job.document_sha256 and not _is_submitted(self._storage, between, job, events):
            yield "place", f"the job document at {taken} is not the one that was submitted"
        for path in layout.places(job):
            if path != place and not (path == taken and on_its_way) and self._storage.exists(path):
                yield "place", f"a job document lies at {path}, and it belongs at {place}"

    def _result(self, job: Job, events: list[Event]) -> Iterator[tuple[What, str]]:
        path = layout.result(job.backend, job.job_id)
        if job.state is not State.DONE or job.uploaded is None:
            if self._storage.exists(path):
                yield "result", f"{path} is there, and the job is {job.state}"
            return
        content = get_or_none(self._storage, path)
        if job.is_result_removed:
            if content is not None:
                yield "result", f"{path} is there, and the log says that it was removed"
            return
        if content is None:
            yield "result", f"{path} is missing"
        elif hashlib.sha256(content).hexdigest() != job.uploaded.sha256:
            yield "result", f"{path} is not the result that was accepted"
        if content is not None and job.uploaded.kid is not None:
            try:
                # When it was signed is the log's word: that of whoever has stolen the key counts for nothing.
                self._signatures().check(content, job.uploaded.kid, uploaded_at(events))
            except NotAuthentic as error:
                yield "signature", f"{path}: {error}"

    def _staged(self, job: Job, events: list[Event]) -> Iterator[tuple[What, str]]:
        for path in layout.left_over(job, events):
            if self._storage.exists(path):
                yield "staged", f"{path} is left over, and the job is {job.state}"
        if job.state is State.ERROR and job.executed is not None:
            # Kept for another chance; where it is missing, that one runs the job again.
            content = get_or_none(self._storage, job.executed.staged)
            if content is not None and hashlib.sha256(content).hexdigest() != job.executed.result_sha256:
                yield "staged", f"{job.executed.staged} is not the result that was executed; a retry would run again"


def _says(content: bytes, job: Job) -> bool:
    """Say whether a status says of a job what the log does; of one that was adopted in whatever spelling."""
    expected = json.dumps(status_document(job).model_dump()).encode("utf-8")
    return content == expected or (job.adopted is not None and same_value(expected, content))


def _is_submitted(storage: StorageProvider, content: bytes, job: Job, events: list[Event]) -> bool:
    """Say whether this is the document that was submitted, as far as the storage keeps it."""
    if hashlib.sha256(content).hexdigest() == job.document_sha256:
        return True
    raw = document_of(events)
    return not storage.abilities.exact_bytes and raw is not None and same_value(raw, content)
