"""What every dialect of the API calls: here alone the policy is asked, so that no dialect can forget it.

What is no coroutine blocks, and is called in a thread (`deployments/api/door.py`).
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from deployments.api.account import Account
from deployments.api.bulk import Bulk
from deployments.api.calibrations import CalibrationCalls
from deployments.api.checks import checked
from deployments.api.committer import Committer
from deployments.api.exports import Exports
from deployments.api.groups import Groups
from deployments.api.laboratory import Laboratory
from deployments.api.lists import own, seen_by, thing_of
from deployments.api.overview import Overview
from deployments.api.reads import Reads
from deployments.api.records import Records
from deployments.api.requests import JobRequest, repeated
from deployments.api.result_files import Form
from deployments.api.results import Results
from deployments.api.stored import NamedPayloads, StoredPayloads
from deployments.api.visits import Visits
from deployments.api.waits import Waits
from models.errors import IdempotencyConflict, JobRejected, QuledgerError, ResultMissing, UnknownJob
from models.events import Event
from models.identity.access import PROVEN_SOURCE, Act, Caller, Thing, is_visible, why_not
from models.identity.errors import NotPermitted
from models.job import FINAL, Job
from models.labels import LabelChanges
from models.names import MAX_NAMED, id_meant, is_job_id
from models.submissions import Begun, Submission
from models.why import Why
from storage.log import job_lists
from storage.log.job_lists import Page, Query
from tasks.jobs import labelling, submission
from tasks.jobs.checking import Checker, Verdict
from tasks.jobs.reruns import executed_of
from tasks.services import Services

Outcome = Begun | QuledgerError
Made = TypeVar("Made")

MANY = 2
"""So many calls at once make many documents of a few words: payloads by their hashes, sweeps by their templates."""


class Calls:
    """The laboratory as its users may see and use it. It belongs to one event loop.

    Attributes:
        many: held by whoever makes many documents of a few words, as long as they are in memory.
    """

    def __init__(
        self,
        services: Services,
        checker: Checker,
        committer: Committer[Submission, Outcome],
        waits: Waits,
        reads: Reads,
    ) -> None:
        self.reads, directory = reads, services.directory
        self.account, self.laboratory, self.waits = Account(directory), Laboratory(services), waits
        self.results, self.exports = Results(services), Exports(services)
        self.groups = Groups(services, self.results)
        self.bulk = Bulk(services)
        self.overview = Overview(services, directory, self.laboratory.checkups)
        self.calibrations, self.records = CalibrationCalls(services), Records(services, self.results)
        self._services, self._directory, self._checker, self._committer = services, directory, checker, committer
        self._log = services.log
        self.many = asyncio.Semaphore(MANY)
        self.visits = Visits(directory)
        self.payloads = StoredPayloads(services.log.engine)

    # Jobs come in

    async def submit(self, caller: Caller, requests: Sequence[JobRequest | QuledgerError]) -> list[Outcome]:
        """Hand in jobs: each is checked, and all that are good are appended together.

        Args:
            requests: or why one of them could not even be read.

        Returns:
            For each the job, and whether it is new, or why it was refused.
        """
        if sum(isinstance(each, JobRequest) and bool(each.payload) for each in requests) > 1:
            async with self.many:
                return await self._submit(caller, requests)
        return await self._submit(caller, requests)

    async def _submit(self, caller: Caller, requests: Sequence[JobRequest | QuledgerError]) -> list[Outcome]:
        named = NamedPayloads(self.payloads, caller)
        found = await asyncio.to_thread(lambda: [self._prepared(caller, each, named) for each in requests])
        good = [each for each in found if isinstance(each, Submission)]
        keep = [
            isinstance(request, JobRequest) and request.keep_faulty
            for request, each in zip(requests, found, strict=True)
            if isinstance(each, Submission)
        ]
        judged = [
            submission if kept and isinstance(verdict, JobRejected) else verdict
            for submission, kept, verdict in zip(good, keep, await checked(self._checker, good), strict=True)
        ]
        begun = await self._committer.put([each for each in judged if isinstance(each, Submission)])
        return _filled(_filled(found, judged), [_unless_hidden(each) for each in begun])

    async def check(self, caller: Caller, request: JobRequest) -> Submission | QuledgerError:
        """Return what would be handed in, or why it would be refused; nothing is stored."""
        found = await asyncio.to_thread(self._prepared, caller, request, NamedPayloads(self.payloads, caller))
        return found if isinstance(found, QuledgerError) else (await checked(self._checker, [found]))[0]

    async def verdict(self, backend: str, document: bytes) -> Verdict:
        """Return what becomes of a check of a document that is in the log already."""
        return await self._checker.check(backend, document)

    async def rerun(self, caller: Caller, job_id: str, key: str | None = None, *, exact: bool = False) -> Begun:
        """Hand in the document of a job again, as the caller's own job.

        Args:
            exact: with the seed that is on record.

        Raises:
            QuledgerError: it was refused.
        """
        request = await asyncio.to_thread(self._again, caller, job_id, key, exact=exact)
        outcome = (await self.submit(caller, [request]))[0]
        if isinstance(outcome, QuledgerError):
            raise outcome
        return outcome

    def _prepared(
        self, caller: Caller, request: JobRequest | QuledgerError, named: NamedPayloads
    ) -> Submission | QuledgerError:
        if isinstance(request, QuledgerError):
            return request
        try:
            self._permit(caller, Act.SUBMIT, Thing.job(caller.user, PROVEN_SOURCE, request.project))
            if request.derived_from:
                self.job(caller, request.derived_from)
            document = named.get(request.payload) if request.payload else request.document
        except QuledgerError as error:
            return error
        prepared = Submission(
            backend=request.backend,
            document=document,
            user=caller.user,
            project=request.project,
            priority=request.priority,
            key=request.key,
            storage=request.storage,
            source="api",
            job_id=request.job_id,
            derived_from=request.derived_from,
            labels=request.labels,
            group=request.group,
            parameters=request.parameters,
            seed=request.seed,
        )
        return submission.why_refused(self._services, prepared) or prepared

    def _again(self, caller: Caller, job_id: str, key: str | None, *, exact: bool) -> JobRequest:
        job = self.job(caller, job_id, Act.RERUN)
        return repeated(job, self._document(job), key, executed_of(job).seed if exact else None)

    # Jobs are looked at

    def job(self, caller: Caller, job_id: str, act: Act = Act.SEE) -> Job:
        """Return a job that the caller may see, and may do this with.

        Args:
            job_id: or the beginning of one.

        Raises:
            UnknownJob: there is none, or the caller may not know of it.
            NotPermitted: the caller may see it, and not do this.
        """
        job = self._of_id(caller, job_id) or self._of_id(caller, self._id_of(caller, job_id))
        if job is None:
            raise UnknownJob(job_id)
        thing = thing_of(job)
        self._permit(caller, act, thing)
        return job

    def why(self, caller: Caller, job_id: str) -> Why:
        """Return why a job stands where it does; users are told counts, operators names."""
        said = self.laboratory.forecasts.why(self.job(caller, job_id))
        return said if caller.role == "operator" else said.for_users()

    def acts(self, caller: Caller, job: Job) -> frozenset[Act]:
        """Return what the caller may do with a job, whatever state it is in."""
        return frozenset(act for act in Act if not why_not(caller, act, thing_of(job)))

    def may_submit(self, caller: Caller) -> bool:
        """Return whether the caller may hand in jobs that belong to no project."""
        return not why_not(caller, Act.SUBMIT, Thing.job(caller.user, PROVEN_SOURCE, ""))

    def page(self, caller: Caller, query: Query, *, limit: int = 50, cursor: str = "") -> Page:
        """Return one page of the jobs that the caller may see.

        Raises:
            BadCursor: the cursor is none of this list.
        """
        self._permit(caller, Act.SEE, own(caller))
        return job_lists.page(self._log.engine, seen_by(caller, query), limit=limit, cursor=cursor)

    def count(self, caller: Caller, query: Query) -> int:
        """Return how many jobs the whole list has."""
        self._permit(caller, Act.SEE, own(caller))
        return job_lists.count(self._log.engine, seen_by(caller, query))

    def history(self, caller: Caller, job_id: str, *, after: int = -1) -> tuple[list[Event], bool]:
        """Return the events of a job after one of them, and whether the caller may see all that they hold."""
        job = self.job(caller, job_id)
        return self._log.history_after(job.job_id, after), caller.role == "operator"

    def document(self, caller: Caller, job_id: str) -> bytes:
        """Return the document of a job, to the letter.

        Raises:
            ResultMissing: it was too large to be kept.
        """
        return self._document(self.job(caller, job_id, Act.EXPORT))

    def _document(self, job: Job) -> bytes:
        content = self._log.document(job.job_id)
        if content is None:
            raise ResultMissing(f"the document of job {job.job_id} was too large to be kept")
        return content

    def result(self, caller: Caller, job_id: str, make: Callable[[dict[str, Any]], Made]) -> Made:
        """Return what is made of the result of a job that is DONE.

        Raises:
            ResultMissing: it has none (yet).
            NotAuthentic: what lies there is not what was accepted.
        """
        return self.results.of(self.job(caller, job_id, Act.EXPORT), make)

    def result_file(self, caller: Caller, job_id: str, form: Form) -> memoryview:
        """Return the result of a job that is DONE in a form; else as `result`."""
        return self.results.file(self.job(caller, job_id, Act.EXPORT), form)

    def shorter_result_file(self, caller: Caller, job_id: str) -> memoryview:
        """Return it as JSON, or as an .npz file where that is much shorter; else as `result`."""
        return self.results.shorter_file(self.job(caller, job_id, Act.EXPORT))

    async def wait_for_end(self, caller: Caller, job: Job, seconds: float) -> None:
        """Wait until a job has ended, that time is over, or the caller's token has ended.

        Raises:
            TooManyWaits: the caller waits for too much already.
        """
        with self.waits.held(caller), contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while job.state not in FINAL and await self.waits.change(caller, job, seconds):
                    before, job = job, await asyncio.to_thread(self._log.get, job.job_id)
                    if job.seq == before.seq:
                        return

    # Something is done with a job

    def cancel(self, caller: Caller, job_id: str, reason: str = "") -> Job:
        """Cancel a job; see `tasks.jobs.submission.cancel`."""
        job = self.job(caller, job_id, Act.CANCEL)
        return submission.cancel(self._services, job.job_id, by=caller.user, reason=reason)

    def retry(self, caller: Caller, job_id: str) -> Job:
        """Let a job wait again; see `tasks.jobs.submission.revive`."""
        job = self.job(caller, job_id, Act.RETRY)
        return submission.revive(self._services, job.job_id, by=caller.user)

    def hide(self, caller: Caller, job_id: str) -> Job:
        """Take a job that has ended out of its owner's lists.

        Raises:
            NotEnded: it has not ended.
        """
        job = self.job(caller, job_id, Act.HIDE)
        return submission.hide(self._services, job.job_id, by=caller.user)

    def label(self, caller: Caller, job_id: str, changes: LabelChanges) -> Job:
        """Change the labels of a job; see `tasks.jobs.labelling.label`."""
        job = self.job(caller, job_id, Act.LABEL)
        return labelling.label(self._services, job.job_id, changes, by=caller.user)

    def _of_id(self, caller: Caller, job_id: str) -> Job | None:
        """Return the job of this id, whole; None where the caller may not know of it."""
        if not is_job_id(job_id):
            return None
        with contextlib.suppress(UnknownJob):
            job = self._log.get(job_id)
            if is_visible(caller, thing_of(job)):
                return job
        return None

    def _id_of(self, caller: Caller, text: str) -> str:
        """Return the id that begins so among the jobs that the caller may see; empty where none does, or it is no id.

        Others do not make it ambiguous.
        """
        if not is_job_id(text):
            return ""
        found = job_lists.page(self._log.engine, seen_by(caller, Query(prefix=text)), limit=MAX_NAMED + 1).jobs
        return id_meant(text, [job.job_id for job in found]) or ""

    @staticmethod
    def _permit(caller: Caller, act: Act, thing: Thing) -> None:
        if why := why_not(caller, act, thing):
            raise NotPermitted(why)


def _unless_hidden(outcome: Outcome) -> Outcome:
    """Return what is answered: a key of a job that its owner has put away is no way back to it."""
    if isinstance(outcome, Begun) and outcome.job.is_hidden:
        return IdempotencyConflict("the key belongs to a job that you have deleted; use another key")
    return outcome


def _filled(found: Sequence[Any], answers: Sequence[Any]) -> list[Any]:
    """Return a list with an answer in place of each submission."""
    following = iter(answers)
    return [next(following) if isinstance(each, Submission) else each for each in found]
