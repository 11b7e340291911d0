"""The inbox: the queue folders into which front ends put jobs, read into the log.

A queue folder may hold anything. What is not a job is left alone and reported once; nothing in it stops the rest.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from models import clock
from models.documents import parse_document
from models.errors import IdempotencyConflict, JobRejected, StorageError, echo
from models.events import Submitted
from models.names import dated_id, is_job_id
from storage import crash, layout
from storage.event_log import EventLog
from storage.provider import Entry, StorageProvider

_LOG = logging.getLogger("quledger.inbox")


class Taken(NamedTuple):
    """What one look at the inbox brought: new jobs, and documents that may still be being written."""

    jobs: list[str]
    unsettled: int


class Inbox:
    """The queue folders of one storage."""

    def __init__(
        self,
        log: EventLog,
        storage: StorageProvider,
        *,
        max_bytes: int,
        settle_seconds: float,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._log = log
        self._storage = storage
        self._max_bytes = max_bytes
        self._settle = timedelta(seconds=settle_seconds)
        self._now = now
        self._seen: set[str] = set()

    def take(self, backend: str, actor: str) -> Taken:
        """Append `submitted` for each job in the queue folder that the log does not know, oldest first."""
        fresh: dict[str, Entry] = {}
        for entry in self._storage.entries(layout.queue(backend)):
            path = f"{layout.queue(backend)}/{entry.name}"
            if path in self._seen or entry.name.startswith("."):
                continue
            job_id = entry.name.removesuffix(".json")
            if not entry.regular or job_id == entry.name or not is_job_id(job_id):
                self._report(path, "it is not a job document")
            else:
                fresh[job_id] = entry
        for job_id in self._log.known(fresh):
            self._seen.add(f"{layout.queue(backend)}/{fresh.pop(job_id).name}")
        jobs: list[str] = []
        unsettled = 0
        for job_id, entry in sorted(fresh.items(), key=lambda item: (_received(*item), item[0])):
            try:
                fact = self._read(backend, job_id, entry)
                if fact is None:
                    unsettled += 1
                    continue
                self._log.submit(job_id, fact, actor)
                crash.point("inbox.appended")
            except IdempotencyConflict as error:
                self._report(f"{layout.queue(backend)}/{entry.name}", str(error))
            except StorageError as error:
                # Moved away or not readable just now: the next look tries it again.
                _LOG.warning("inbox_read action=skip job_id=%s: %s", job_id, error)
            else:
                self._seen.add(f"{layout.queue(backend)}/{entry.name}")
                jobs.append(job_id)
        return Taken(jobs, unsettled)

    def _read(self, backend: str, job_id: str, entry: Entry) -> Submitted | None:
        """Return the submission, or None while the document may still be being written."""
        dated = dated_id(job_id)
        fields: dict[str, Any] = {
            "backend": backend,
            "user": dated.user if dated else "",
            "source": "inbox",
            "received_at": _received(job_id, entry),
        }
        if entry.size > self._max_bytes:
            # Never read into memory; the run says that it is too large.
            return Submitted(document=None, document_sha256="", document_bytes=entry.size, **fields)
        content = self._storage.get(layout.queued(backend, job_id))
        try:
            parse_document(content)
        except JobRejected:
            # Front ends do not write atomically, so broken JSON may be half a document.
            if self._now() - entry.modified_at < self._settle:
                return None
        return Submitted.of(content, keep_up_to=self._max_bytes, **fields)

    def _report(self, path: str, why: str) -> None:
        self._seen.add(path)
        _LOG.warning("inbox_strange action=leave path=%s: %s", echo(path), why)


def _received(job_id: str, entry: Entry) -> datetime:
    dated = dated_id(job_id)
    return dated.submitted_at if dated else entry.modified_at
