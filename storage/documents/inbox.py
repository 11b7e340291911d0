"""The inbox: the queue folders into which front ends put jobs, read into the log.

A queue folder may hold anything. What is not a job is left alone and reported once; nothing in it stops the rest.
"""

import functools
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from models import clock
from models.arrivals import patience, place_in_line
from models.errors import AppendConflict, DocumentMissing, IdempotencyConflict, JobHeld, StorageError, echo
from models.events import UNKNOWN
from models.facts import Revived, Submitted
from models.job import FINAL, State
from models.names import NO_JOB_DOCUMENT, dated_id, is_job_id
from models.policy import back_off
from models.settings import Settings
from models.sync_copies import COPY, copied_from
from storage import failpoints, layout
from storage.documents.mended import may_be_mended, mended
from storage.log.event_log import EventLog
from storage.log.holds import Held, Holds
from storage.providers.protocol import Entry, StorageProvider
from storage.providers.stores import Stores

_LOG = logging.getLogger("quledger.inbox")

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

MAX_JOBS = 500
"""Jobs that one look takes, so that claims and housekeeping have their turn beside a flood."""

LOOK_SECONDS = 2.0
"""So long one look reads documents at most."""

UNREADABLE_SECONDS = 1.0
"""The first pause after which a document that cannot be read is tried again; it doubles each time."""

AWAITED = 3
"""After so many failures nobody waits for a document any more; it is tried on."""


class Taken(NamedTuple):
    """What one look at the inbox brought.

    Attributes:
        jobs: ids of new jobs.
        unsettled: how many documents may still be being written, or are left for the next look.
        left: how many of them are left for it.
    """

    jobs: list[str]
    unsettled: int
    left: int = 0


class _Broken(NamedTuple):
    """A document that was not whole: how it looked, since when it has, and how long it has to (steady clock)."""

    size: int
    modified_at: datetime
    since: float
    patience: float


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
        # Until when such a document is left alone (steady clock), and how often it could not be read.
        self._unreadable: dict[str, tuple[float, int]] = {}
        self._broken: dict[str, _Broken] = {}
        # When each queue was last looked at, and when it was so without finding this document.
        self._looked_at: dict[str, datetime] = {}
        self._not_before: dict[str, datetime] = {}

    @property
    def _storage(self) -> StorageProvider:
        return self._stores.of(self._name)

    def take(self, backend: str, actor: str) -> Taken:
        """Append `submitted` for each job in the queue folder that the log does not know, oldest first.

        At most `MAX_JOBS` jobs are taken in one look; what is left counts as unsettled, so that the next look comes.
        """
        folder = layout.queue(backend)
        began = self._now()
        fresh = self._candidates(folder)
        unsettled = 0
        for job_id, known in self._log.known(fresh).items():
            entry = fresh.pop(job_id)
            path = f"{folder}/{job_id}.json"
            same = known.backend == backend and self._stores.full(known.storage) == self._stores.full(self._name)
            if self._is_left_alone(path):
                continue
            try:
                unsettled += not self._meet(path, job_id, entry, known.state, actor, same=same)
            except (AppendConflict, DocumentMissing, StorageError) as error:
                self._try_later(path, error)
        self._leave_held(folder, fresh)
        self._leave_copies(folder, fresh)
        self._backlog.setdefault(backend, set(fresh))
        line = self._in_line(backend, folder, fresh, began)
        unsettled += len(fresh) - len(line)
        jobs: list[str] = []
        end, left = time.monotonic() + LOOK_SECONDS, len(line)
        for received_at, job_id in line:
            if len(jobs) == MAX_JOBS or time.monotonic() > end:
                break
            left -= 1
            path, entry = f"{folder}/{job_id}.json", fresh[job_id]
            try:
                fact = self._read(backend, job_id, entry, path, received_at)
                if fact is None:
                    unsettled += 1
                    continue
                self._log.submit(job_id, fact, actor)
                failpoints.point("inbox.appended")
            except (IdempotencyConflict, JobHeld) as error:
                self._report(path, str(error))
            except (DocumentMissing, StorageError) as error:
                # Somebody else may have it; or it may be readable at a later look.
                self._try_later(path, error)
                unsettled += self._is_awaited(path)
            else:
                self._forget(path)
                self._done.add(path)
                jobs.append(job_id)
        return Taken(jobs, unsettled + left, left)

    def _in_line(
        self, backend: str, folder: str, fresh: dict[str, Entry], began: datetime
    ) -> list[tuple[datetime, str]]:
        """Return the documents that are to be read now, in the order of service; the others are given time."""
        before = self._looked_at.get(backend)
        self._looked_at[backend] = began
        line = []
        for job_id, entry in list(fresh.items()):
            path = f"{folder}/{job_id}.json"
            not_before = self._not_before.setdefault(path, before or _LONG_AGO)
            if self._is_left_alone(path):
                if not self._is_awaited(path):
                    del fresh[job_id]
            elif not self._has_to_lie(path, entry):
                dated = dated_id(job_id)
                claimed = dated.submitted_at if dated else None
                place = place_in_line(claimed, entry.modified_at, not_before, self._now())
                line.append((place, claimed or entry.modified_at, job_id))
        in_order: list[tuple[datetime, str]] = []
        for place, _, job_id in sorted(line):
            # Those that share a place keep their order when they are claimed.
            least = in_order[-1][0] + timedelta(microseconds=1) if in_order else place
            in_order.append((max(place, least), job_id))
        return in_order

    def _is_left_alone(self, path: str) -> bool:
        """Say whether a document could not be read, and is not to be tried again yet."""
        return path in self._unreadable and time.monotonic() < self._unreadable[path][0]

    def _is_awaited(self, path: str) -> bool:
        """Say whether a drain that is to end waits for a document that could not be read."""
        return self._unreadable[path][1] < AWAITED

    def _try_later(self, path: str, error: Exception) -> None:
        failures = self._unreadable.get(path, (0.0, 0))[1]
        self._unreadable[path] = time.monotonic() + back_off(UNREADABLE_SECONDS, failures), failures + 1
        if not failures and not isinstance(error, DocumentMissing):
            _LOG.warning("inbox_unreadable action=try_again path=%s: %s", echo(path), error)

    def _forget(self, path: str) -> None:
        """Forget what was noted of a document that is taken, or gone."""
        for noted in (self._unreadable, self._broken, self._not_before):
            noted.pop(path, None)

    def begin_anew(self) -> None:
        """Forget what was seen: the log went back, and may not know any more what was taken into it."""
        self._backlog.clear()
        self._done.clear()
        self._looked_at.clear()
        self._not_before.clear()

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
                self._report(path, NO_JOB_DOCUMENT if of is None else COPY.format(of=of))
            else:
                fresh[job_id] = entry
        # What has left the folder is looked at anew should it come back.
        noted = {*self._not_before, *self._broken, *self._unreadable}
        for path in {path for path in noted if path.startswith(f"{folder}/")} - present:
            self._forget(path)
        self._done -= {path for path in self._done if path.startswith(f"{folder}/")} - present
        return fresh

    def _meet(  # noqa: PLR0913 - what is known of both
        self, path: str, job_id: str, entry: Entry, state: State, actor: str, *, same: bool
    ) -> bool:
        """Deal with a document in the queue whose id the log knows; return whether it is not just being written."""
        if same and state is State.WITHDRAWN:
            # It was gone and is here again: whoever put it back wants it run.
            job = self._log.get(job_id)
            self._log.append(job, Revived(by=actor), attempt=job.attempt, actor=actor)
        elif same and state is State.ERROR and may_be_mended(self._log, job := self._log.get(job_id)):
            if self._has_to_lie(path, entry) or self._content(path, entry) is None:
                return False
            fact = mended(self._log, self._storage, job, self._max_bytes)
            if fact is None:
                self._report(path, "the document of this id was no JSON, and nor is this one")
            else:
                self._log.append(job, fact, attempt=job.attempt, actor=actor)
        elif not same or state in FINAL:
            self._report(path, "a job of this id exists")
        elif state is not State.QUEUED:
            # Just being taken; a later look tells.
            return True
        self._forget(path)
        self._done.add(path)
        return True

    def _read(self, backend: str, job_id: str, entry: Entry, path: str, received_at: datetime) -> Submitted | None:
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
            "received_at": received_at,
        }
        if entry.size > self._max_bytes and self._storage.abilities.exact_bytes:
            # Never read into memory; the run says that it is too large.
            return Submitted(document=None, document_sha256="", document_bytes=entry.size, **fields)
        content = self._content(path, entry)
        return None if content is None else Submitted.of(content, keep_up_to=self._max_bytes, **fields)

    def _content(self, path: str, entry: Entry) -> bytes | None:
        """Return a document; None while it may still be being written, which is noted."""
        content = self._storage.get(path)
        if self._storage.abilities.whole_documents:
            return content
        seen, now = self._broken.get(path), time.monotonic()
        needed = patience(content, self._settle_seconds)
        # What has grown since the folder was listed has not lain still.
        same = seen is not None and (seen.size, seen.modified_at) == (len(content), entry.modified_at)
        since = seen.since if seen is not None and same else now
        if now - since >= needed:
            return content
        self._broken[path] = _Broken(len(content), entry.modified_at, since, needed)
        return None

    def _has_to_lie(self, path: str, entry: Entry) -> bool:
        """Say whether a document that was not whole has not changed, and is given more time; nobody reads it then."""
        seen = self._broken.get(path)
        if seen is None or (seen.size, seen.modified_at) != (entry.size, entry.modified_at):
            return False
        return time.monotonic() < seen.since + seen.patience

    def _report(self, path: str, why: str) -> None:
        if path not in self._done:
            self._done.add(path)
            _LOG.warning("inbox_foreign action=leave path=%s: %s", echo(path), why)


class Inboxes(dict[str, Inbox]):
    """The inbox of each storage, by its name, made when it is first asked for."""

    def __init__(self, log: EventLog, stores: Stores, settings: Settings) -> None:
        super().__init__()
        self._log, self._stores, self._settings = log, stores, settings

    def __missing__(self, name: str) -> Inbox:
        most, settle = self._settings.max_document_bytes, self._settings.settle_seconds
        self[name] = Inbox(self._log, self._stores, name, max_bytes=most, settle_seconds=settle)
        return self[name]
