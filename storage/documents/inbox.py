"""The inbox: the queue folders into which front ends put jobs, read into the log.

A queue folder may hold anything. What is not a job is left alone and reported once; nothing in it stops the rest.
"""

import functools
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from models import clock
from models.documents import parse_document
from models.errors import DocumentMissing, IdempotencyConflict, JobHeld, JobRejected, StorageError, echo
from models.events import UNKNOWN
from models.facts import Revived, Submitted
from models.job import FINAL, State
from models.names import dated_id, is_job_id
from models.sync_copies import copied_from
from storage import failpoints, layout
from storage.log.event_log import EventLog
from storage.log.holds import Held, Holds
from storage.providers.protocol import Entry, StorageProvider
from storage.providers.stores import Stores

_LOG = logging.getLogger("quledger.inbox")

MAX_JOBS = 500
"""Jobs that one look takes, so that claims and housekeeping have their turn beside a flood."""

MAX_PARSED = 200_000
"""The largest document, in bytes, that is parsed here to see whether it is whole; larger ones have to lie still."""

COPY = "a program that keeps folders in step has made this copy of the job {of}; remove it, or rename it to have it run"


class Taken(NamedTuple):
    """What one look at the inbox brought: new jobs, and documents that may still be being written."""

    jobs: list[str]
    unsettled: int


class Inbox:
    """The queue folders of one storage.

    Args:
        name: of the storage.
    """

    def __init__(  # noqa: PLR0913 - what an inbox depends on
        self,
        log: EventLog,
        stores: Stores,
        name: str = "",
        *,
        max_bytes: int,
        settle_seconds: float,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._log = log
        self._stores = stores
        self._name = name
        self._max_bytes = max_bytes
        self._settle_seconds = settle_seconds
        self._now = now
        self._holds = Holds(log.engine)
        # What lay in the queue of each backend at the first look; what came since has no history yet.
        self._backlog: dict[str, set[str]] = {}
        # Paths that need no second look: submitted, or reported.
        self._done: set[str] = set()
        self._unreadable: set[str] = set()
        # Documents that were broken at the first look: how they looked, and when (on the steady clock).
        self._broken: dict[str, tuple[int, datetime, float]] = {}

    @property
    def _storage(self) -> StorageProvider:
        return self._stores.of(self._name)

    def take(self, backend: str, actor: str) -> Taken:
        """Append `submitted` for each job in the queue folder that the log does not know, oldest first.

        At most `MAX_JOBS` jobs are taken in one look; what is left counts as unsettled, so that the next look comes.
        """
        folder = layout.queue(backend)
        fresh = self._candidates(folder)
        for job_id, known in self._log.known(fresh).items():
            del fresh[job_id]
            same = known.backend == backend and self._stores.full(known.storage) == self._stores.full(self._name)
            self._meet(f"{folder}/{job_id}.json", job_id, known.state, actor, same=same)
        self._leave_held(folder, fresh)
        self._leave_copies(folder, fresh)
        self._backlog.setdefault(backend, set(fresh))
        waiting = sorted(fresh.items(), key=lambda item: (_received(*item), item[0]))
        jobs: list[str] = []
        unsettled = max(0, len(waiting) - MAX_JOBS)
        for job_id, entry in waiting[:MAX_JOBS]:
            path = f"{folder}/{entry.name}"
            try:
                fact = self._read(backend, job_id, entry, path)
                if fact is None:
                    unsettled += 1
                    continue
                self._log.submit(job_id, fact, actor)
                failpoints.point("inbox.appended")
            except DocumentMissing:
                # Moved away since we looked: somebody else has it.
                continue
            except (IdempotencyConflict, JobHeld) as error:
                self._report(path, str(error))
            except StorageError as error:
                # It may be readable at the next look; that it is not now is said once.
                if path not in self._unreadable:
                    self._unreadable.add(path)
                    _LOG.warning("inbox_unreadable action=try_again path=%s: %s", echo(path), error)
            else:
                self._done.add(path)
                jobs.append(job_id)
        return Taken(jobs, unsettled)

    def begin_anew(self) -> None:
        """Forget what was seen: the log went back, and may not know any more what was taken into it."""
        self._backlog.clear()
        self._done.clear()

    def _leave_held(self, folder: str, fresh: dict[str, Entry]) -> None:
        """Leave alone what is held."""
        for job_id in self._holds.among(fresh):
            del fresh[job_id]
            self._report(f"{folder}/{job_id}.json", UNKNOWN)

    def _leave_copies(self, folder: str, fresh: dict[str, Entry]) -> None:
        """Leave alone what a program has copied that keeps folders in step."""
        exists = functools.cache(lambda job_id: job_id in fresh or bool(self._log.known([job_id])))
        copies = {job_id: of for job_id in fresh if (of := copied_from(job_id, exists)) is not None}
        for job_id, of in copies.items():
            del fresh[job_id]
            self._report(f"{folder}/{job_id}.json", COPY.format(of=of))

    def _is_mirrored(self, backend: str, job_id: str) -> bool:
        """Say whether the mirror has the history of a job that the log does not know; then the job is held.

        Only of what lay in the queue at the first look: it may have been there before the log was set back.
        """
        if job_id not in self._backlog[backend] or not self._storage.exists(layout.events(backend, job_id)):
            return False
        self._holds.put(Held(job_id, self._stores.full(self._name), UNKNOWN))
        return True

    def _candidates(self, folder: str) -> dict[str, Entry]:
        """Return the documents in the folder that need a look, by job id."""
        fresh: dict[str, Entry] = {}
        present: set[str] = set()
        for entry in self._storage.entries(folder):
            path = f"{folder}/{entry.name}"
            present.add(path)
            if path in self._done or entry.name.startswith("."):
                continue
            job_id = entry.name.removesuffix(".json")
            if not entry.regular or job_id == entry.name or not is_job_id(job_id):
                of = copied_from(job_id, lambda _: False) if entry.regular else None
                self._report(path, "it is not a job document" if of is None else COPY.format(of=of))
            else:
                fresh[job_id] = entry
        # What has left the folder is looked at anew should it come back.
        self._done -= {path for path in self._done if path.startswith(f"{folder}/")} - present
        return fresh

    def _meet(self, path: str, job_id: str, state: State, actor: str, *, same: bool) -> None:
        """Deal with a document in the queue whose id the log knows."""
        if same and state is State.WITHDRAWN:
            # It was gone and is here again: whoever put it back wants it run.
            job = self._log.get(job_id)
            self._log.append(job, Revived(by=actor), attempt=job.attempt, actor=actor)
        elif not same or state in FINAL:
            self._report(path, "a job of this id exists")
        elif state is not State.QUEUED:
            # Just being taken; a later look tells.
            return
        self._done.add(path)

    def _read(self, backend: str, job_id: str, entry: Entry, path: str) -> Submitted | None:
        """Return the submission, or None while the document may still be being written.

        Raises:
            JobHeld: the mirror has the history of the job already, so that the log was set back.
        """
        if self._is_mirrored(backend, job_id):
            raise JobHeld(job_id, UNKNOWN)
        dated = dated_id(job_id)
        fields: dict[str, Any] = {
            "backend": backend,
            "user": dated.user if dated else "",
            "source": "inbox",
            "storage": self._name,
            "received_at": _received(job_id, entry),
        }
        if entry.size > self._max_bytes and self._storage.abilities.exact_bytes:
            # Never read into memory; the run says that it is too large.
            return Submitted(document=None, document_sha256="", document_bytes=entry.size, **fields)
        content = self._storage.get(path)
        whole = self._storage.abilities.whole_documents or self._is_settled(path, entry)
        if not whole and not (len(content) <= MAX_PARSED and _is_json(content)):
            return None
        self._broken.pop(path, None)
        return Submitted.of(content, keep_up_to=self._max_bytes, **fields)

    def _is_settled(self, path: str, entry: Entry) -> bool:
        """Say whether the document has lain unchanged for long enough; the file's own time may be anything."""
        now = time.monotonic()
        size, modified, since = self._broken.get(path, (-1, entry.modified_at, now))
        if (size, modified) != (entry.size, entry.modified_at):
            since = now
        self._broken[path] = entry.size, entry.modified_at, since
        old = self._now() - entry.modified_at >= timedelta(seconds=self._settle_seconds)
        return old or now - since >= self._settle_seconds

    def _report(self, path: str, why: str) -> None:
        if path not in self._done:
            self._done.add(path)
            _LOG.warning("inbox_foreign action=leave path=%s: %s", echo(path), why)


def _is_json(content: bytes) -> bool:
    """Say whether a document is whole already. Front ends do not write atomically, so a broken one may be half."""
    try:
        parse_document(content)
    except JobRejected:
        return False
    return True


def _received(job_id: str, entry: Entry) -> datetime:
    dated = dated_id(job_id)
    return dated.submitted_at if dated else entry.modified_at
