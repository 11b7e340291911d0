"""The calls about what is on record of jobs: as they stood at a time, and side by side; they block."""

from datetime import datetime
from typing import Any

from deployments.api.lists import own, seen_by
from deployments.api.results import Results
from deployments.differences import difference_of, have_results
from models.errors import InputError
from models.identity.access import Act, Caller, why_not
from models.identity.errors import NotPermitted
from models.job import Job
from storage.log.job_lists import Page, Query
from storage.log.past import one_at, page_at
from tasks.services import Services

MAX_COMPARED = 20_000_000
"""Bytes of two documents, or of two results: larger ones are compared at the shell, in a process of its own."""

MAX_THEN = 200
"""Jobs of a page as of a time: the history of each is read."""


class Records:
    """What callers ask of the past. Whether they may see a job is said by who gives it (`Calls.job`)."""

    def __init__(self, services: Services, results: Results) -> None:
        self._services, self._results = services, results

    def then(self, job: Job, at: datetime) -> Job:
        """Return a job as it stood.

        Raises:
            NotYet: it had not been handed in.
        """
        return one_at(self._services.log.engine, job.job_id, at)

    def page_then(self, caller: Caller, query: Query, at: datetime, *, limit: int, cursor: str = "") -> Page:
        """Return one page of the jobs that the caller may see now, as they stood; at most `MAX_THEN`.

        Raises:
            BadCursor: the cursor is none of this list.
            InputError: the query asks for what may have been otherwise then.
        """
        if why := why_not(caller, Act.SEE, own(caller)):
            raise NotPermitted(why)
        engine = self._services.log.engine
        return page_at(engine, seen_by(caller, query), at, limit=min(limit, MAX_THEN), cursor=cursor)

    def retention(self) -> dict[str, float | None]:
        """Return how many days results and payloads are kept; None for ever."""
        settings = self._services.settings
        return {"results_days": settings.results_days, "payloads_days": settings.payloads_days}

    def diff(self, one: Job, other: Job) -> dict[str, Any]:
        """Return in what two jobs differ, with `note`: why their results were not compared, where that needs a word.

        Raises:
            InputError: their documents are too large.
            ResultMissing, NotAuthentic: a result is not there, or not the one that was accepted.
        """
        if one.document_bytes + other.document_bytes > MAX_COMPARED:
            raise InputError("the documents are too large to be compared here; `quledger diff` does it")
        size = sum(job.uploaded.bytes for job in (one, other) if job.uploaded)
        is_large = have_results((one, other)) and size > MAX_COMPARED
        note = "the results are too large to be compared here; `quledger diff` does it" if is_large else ""
        with self._results.turn(0 if is_large else size):
            return difference_of(self._services, one, other, with_results=not is_large) | {"note": note}
