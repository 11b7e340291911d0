"""A store that another spooler has served is taken over, job by job; the other spooler has to be stopped before."""

import contextlib
import hashlib
import json
from collections.abc import Collection, Iterator
from typing import NamedTuple

from models import clock
from models.adoption import Found, Plan, plan_for
from models.errors import (
    AppendConflict,
    DocumentMissing,
    IdempotencyConflict,
    JobHeld,
    MirrorAhead,
    StorageError,
)
from models.facts import Adopted, AdoptedError, Fact, Submitted
from models.job import Job
from models.names import dated_id
from models.signing import named_key
from models.status import DETAIL_DONE, StatusDocument
from storage import layout
from storage.documents.job_documents import JobDocuments
from storage.documents.store_survey import Place, Survey
from storage.log.adopted import begin_ended
from storage.providers.protocol import StorageProvider, get_or_none
from tasks.backends import registry
from tasks.services import Services


class Adoption(NamedTuple):
    """What becomes of a job of a store, or has become of it."""

    job_id: str
    backend: str
    storage: str
    plan: Plan
    why: str


class Adopter:
    """Takes over the jobs of one storage that the log does not know.

    Attributes:
        known: how many it has met that the log knows.
    """

    def __init__(self, services: Services, name: str, wanted: Collection[str] = ()) -> None:
        self._services, self._name = services, services.stores.full(name)
        self._storage: StorageProvider = services.stores.of(name)
        self.known = 0
        self._survey = Survey(self._storage, registry.usable(), wanted)

    def plans(self) -> Iterator[tuple[Found, Adoption]]:
        """Yield what is to be done with each job; nothing is changed."""
        for found in self._survey.jobs():
            if self._services.log.known([found.job_id]):
                self.known += 1
            else:
                plan, why = plan_for(found)
                yield found, Adoption(found.job_id, found.backend, self._name, plan, why)

    def run(self) -> Iterator[Adoption]:
        """Take over each job, and yield what has become of it; it may be done again after it was killed anywhere."""
        for found, adoption in self.plans():
            if adoption.plan is Plan.LEFT:
                yield adoption
                continue
            try:
                self._adopt(found, adoption.plan)
            except (AppendConflict, IdempotencyConflict, JobHeld, MirrorAhead, StorageError) as error:
                yield adoption._replace(plan=Plan.LEFT, why=str(error))
            else:
                yield adoption
        self._services.relay.update_late(wait=True)

    def _adopt(self, found: Found, plan: Plan) -> None:
        end = self._end(found, plan)
        # Moved before the log knows of it: killed in between, the job is met again as one that lies there.
        place = self._put(found, "queued" if end is None else "deleted" if plan is Plan.ERROR else "finished")
        fact = self._submission(found, self._storage.get(place))
        if end is None:
            self._drop_result(found)
            self._services.log.submit(found.job_id, fact, self._services.worker)
            return
        job = begin_ended(self._services.log.engine, found.job_id, fact, end, self._services.worker)
        if plan is not Plan.FINISH:
            self._begin_mirror(job, place)
        else:
            with contextlib.suppress(StorageError):  # else the next drain does it
                self._services.relay.update(job.job_id)

    def _submission(self, found: Found, raw: bytes) -> Submitted:
        dated = dated_id(found.job_id)
        return Submitted.of(
            raw,
            keep_up_to=self._services.settings.max_document_bytes,
            backend=found.backend,
            user=dated.user if dated else "",
            source="inbox",
            storage=self._name,
            received_at=dated.submitted_at if dated else min(found.since, clock.now()),
        )

    def _end(self, found: Found, plan: Plan) -> Fact | None:
        """Return the fact that the job has ended; None for one that is to be run."""
        if plan is Plan.RUN:
            return None
        status = self._survey.status(found.backend, found.job_id)
        if plan is Plan.ERROR:
            status = status or StatusDocument(job_id=found.job_id, status="ERROR")
            return AdoptedError(detail=status.detail, error_message=status.error_message)
        content = self._survey.result(found.backend, found.job_id)
        if content is None:
            raise DocumentMissing(layout.result(found.backend, found.job_id))
        if status is None or status.status != "DONE":
            status = StatusDocument(job_id=found.job_id, status="DONE", detail=DETAIL_DONE)
        document = json.loads(content)
        return Adopted(
            detail=status.detail,
            error_message=status.error_message,
            path=layout.result(found.backend, found.job_id),
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            kid=named_key(document),
        )

    def _put(self, found: Found, place: Place) -> str:
        """Put the document to its place, and nothing anywhere else; return its path."""
        target = self._path(found, place)
        if place not in found.places:
            self._storage.move(self._path(found, found.places[0]), target)
        for other in found.places if place in found.places else found.places[1:]:
            if other != place:
                self._storage.delete(self._path(found, other))
        return target

    def _drop_result(self, found: Found) -> None:
        """Remove what nobody can read and the run would not expect."""
        result = layout.result(found.backend, found.job_id)
        if get_or_none(self._storage, result) is not None:
            self._storage.delete(result)

    def _begin_mirror(self, job: Job, place: str) -> None:
        """Write the history, and nothing else: all other documents are as the log says."""
        self._services.marks.before_writing(job.storage)
        with self._services.relay.exclusive(job.job_id):
            events = self._services.log.history(job.job_id)
            if JobDocuments(self._services.log, self._storage).begin_history(job, events):
                self._services.cursor.advance(job.job_id, job.seq, place)

    @staticmethod
    def _path(found: Found, place: str) -> str:
        match place:
            case "queued":
                return layout.queued(found.backend, found.job_id)
            case "running":
                return layout.running(found.job_id)
            case "finished":
                return layout.finished(found.backend, found.job_id)
        return layout.deleted(found.job_id)
