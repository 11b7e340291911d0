"""The relay: writes a job's events into the documents that front ends read, its mirror.

Everything here may be done twice, or be killed anywhere and done again: the log says what is right, and the
cursor is moved last.
"""

import atexit
import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from models import clock
from models.errors import MirrorAhead, QuledgerError, StorageError, StorageFull, StorageInactive
from models.events import Event
from models.job import Job, Phase, State, fold
from models.status import first_status_wait
from storage import failpoints, layout
from storage.documents.job_documents import JobDocuments, mirrored_standing
from storage.documents.locks import JobLocks, Locks
from storage.documents.marks import Marks
from storage.log.event_log import EventLog
from storage.log.holds import Held, Holds
from storage.log.mirror_cursor import MirrorCursor
from storage.providers.registry import probe
from storage.providers.stores import Stores

PATIENCE = 3
"""So many failures in a row, and the storage is asked whether it is there at all."""

MAX_REMEMBERED = 10_000
"""Running attempts of which it is remembered what was mirrored."""

BATCH = 200
"""Jobs that are behind, of which the log is asked at once."""

_LOG = logging.getLogger("quledger.mirror")


LATE_STEP = 0.1
"""So often, in seconds, it is seen whether a first status need not be waited for any more."""


class Relayed(NamedTuple):
    """How many jobs were relayed, and how many could not be."""

    done: int
    failed: int


class _Written(NamedTuple):
    """What this process has mirrored of an attempt that it runs itself."""

    attempt: int
    seq: int
    hash: str


class Relay:
    """Writes the documents of each job into its storage.

    A mirrored history that is no part of the log's is never written over, nor is any other document of its job.
    """

    def __init__(  # noqa: PLR0913 - what a relay depends on
        self,
        log: EventLog,
        cursor: MirrorCursor,
        stores: Stores,
        locks: Locks | None = None,
        marks: Marks | None = None,
        first_status_seconds: float = 0.0,
    ) -> None:
        """Relay from this log.

        Args:
            first_status_seconds: so long a final status waits for the first one, which a front end writes.
        """
        self._log = log
        self._cursor = cursor
        self._stores = stores
        self._locks = locks or JobLocks()
        self._marks = marks or Marks(log.engine, stores)
        self._holds = Holds(log.engine)
        self._first_status_seconds = first_status_seconds
        # Jobs whose final status waits for that, and until when (steady clock).
        self._late: dict[str, float] = {}
        # Jobs whose document was moved, and the cursor was not: a copy may lie where it was.
        self._unsure: set[str] = set()
        self._late_lock, self._writes_late = threading.Lock(), threading.Lock()
        self._follows_late = False
        # Bytes for which a storage, by its name, had no room.
        self._no_room_for: dict[str, int] = {}
        # Of the attempts that run here, so that the mirror is read once for each of them and not for each relay.
        self._written: dict[str, _Written] = {}

    def exclusive(self, job_id: str) -> contextlib.AbstractContextManager[None]:
        """Keep everybody else from writing the job's documents while the block runs."""
        return self._locks.held(job_id)

    def take(self, job: Job) -> bool:
        """Begin an attempt in the storage: its history is mirrored, and its document taken out of its queue.

        That document goes by way of a place that is ours alone: whatever is killed in between, it is known who has it.

        Returns:
            False if another spooler was quicker: the document lies where we have not put it.

        Raises:
            MirrorAhead: the mirror knows more of the job than the log; it is held, and nothing was written.
        """
        self._marks.before_writing(job.storage)
        with self.exclusive(job.job_id):
            position = self._cursor.position(job.job_id)
            events = self._log.history(job.job_id)
            self._keep_history(job, events, first=position.seq < 0)
            failpoints.point("take.history_written")
            if position.place not in ("", layout.queued(job.backend, job.job_id)) or job.state is not State.CLAIMED:
                return True
            if not self._documents(job).take(job):
                return False
            failpoints.point("take.moved")
            # Whoever stood still here for long finds that another worker has taken it further.
            self._cursor.put_place(job.job_id, layout.taken(job.job_id), position.place)
            failpoints.point("take.recorded")
            return True

    def update(self, job_id: str) -> None:
        """Bring the documents of one job up to its last event: history, place, status, in this order.

        Raises:
            StorageUnavailable: what was not written is written by the next relay.
            MirrorAhead: the mirror knows more of the job than the log; it is held, and nothing was written.
        """
        self._marks.before_writing(self._storage_of(job_id))
        with self.exclusive(job_id):
            self._update(job_id)

    def _storage_of(self, job_id: str) -> str:
        known = self._log.known([job_id]).get(job_id)
        return known.storage if known else ""

    def _update(self, job_id: str) -> None:
        events = self._log.history(job_id)
        job = fold(events)
        if job is None:
            return
        position = self._cursor.position(job_id)
        if position.seq < job.seq:
            if self._is_too_early(job):
                return
            documents = self._documents(job)
            first = self._keep_history(job, events, first=position.seq < 0)
            target = layout.place(job, position.place)
            failpoints.point("mirror.history_written")
            if job.state is not State.WITHDRAWN:
                fresh = events[position.seq + 1 :]
                if any(event.kind == "replaced" for event in fresh):
                    documents.replace_document(job, target)
                else:
                    is_sure = job_id not in self._unsure
                    self._unsure.add(job_id)  # until the cursor says where it lies
                    documents.place_document(job, position.place, target, first=first, is_sure=is_sure)
                failpoints.point("mirror.document_moved")
                documents.announce(job, fresh)
                failpoints.point("mirror.status_written")
            documents.tidy(job, events)
            position = position._replace(place=target)
        self._cursor.advance(job_id, job.seq, position.place)
        self._unsure.discard(job_id)

    def _is_too_early(self, job: Job) -> bool:
        """Say whether a front end may still be about to write the first status, and would find ours; that is noted."""
        wait = first_status_wait(job, clock.now(), self._first_status_seconds)
        if not wait or self._stores.of(job.storage).exists(layout.status(job.backend, job.job_id)):
            self._late.pop(job.job_id, None)
            return False
        with self._late_lock:
            self._late[job.job_id] = time.monotonic() + wait
            if not self._follows_late:
                self._follows_late = True
                # Whichever process it is, it does not end before they are written.
                atexit.unregister(self.update_late)
                atexit.register(self.update_late, wait=True)
                threading.Thread(target=self._follow_late, name="late-statuses", daemon=True).start()
        return True

    def _follow_late(self) -> None:
        """Relay what waits for a first status when it is time, as long as there is anything."""
        while True:
            self.update_late()
            with self._late_lock:
                if not self._late:
                    self._follows_late = False
                    return
            time.sleep(LATE_STEP)

    def update_late(self, *, wait: bool = False) -> None:
        """Relay the jobs that waited for a first status, as soon as they need wait no longer.

        Args:
            wait: until that is so of all.
        """
        while True:
            with self._writes_late:  # whoever waits for all of them waits for those that are just being written
                due = [job_id for job_id, until in list(self._late.items()) if until <= time.monotonic()]
                for job_id in due:
                    self._late.pop(job_id, None)
                    try:
                        self.update(job_id)
                    except Exception as error:  # noqa: BLE001 - what cannot be written now, housekeeping writes later
                        _LOG.warning("mirror_behind action=reconcile_later job_id=%s: %s", job_id, _words(error))
            if not wait or not self._late:
                return
            time.sleep(LATE_STEP)

    def _keep_history(self, job: Job, events: list[Event], *, first: bool) -> bool:
        """Write the history, unless it would write over what the log does not know.

        Args:
            first: no relay has ever come to its end; then most often there is no history yet, and nothing to be read.

        Returns:
            Whether no relay has ever begun to write anything of this job.
        """
        storage, documents = self._stores.of(job.storage), self._documents(job)
        last = events[-1]
        written = self._written.get(job.job_id)
        if written is None or written.attempt != last.attempt or not _is_at(events, written):
            if first and documents.begin_history(job, events):
                self._remember(job, last)
                return storage.abilities.conditional_create
            why = mirrored_standing(storage, job.backend, job.job_id, events).why
            if why:
                self._holds.put(Held(job.job_id, self._stores.full(job.storage), why))
                raise MirrorAhead(job.job_id, why)
        elif written.seq == last.seq:
            return False
        documents.keep_history(job, events)
        self._remember(job, last)
        return False

    def _remember(self, job: Job, last: Event) -> None:
        if len(self._written) >= MAX_REMEMBERED:
            self._written.clear()  # what others have ended meanwhile is never asked for again
        if job.phase is Phase.RUNNING:
            self._written[job.job_id] = _Written(last.attempt, last.seq, last.hash)
        else:
            self._written.pop(job.job_id, None)

    def update_all(self) -> Relayed:
        """Relay every job that is behind."""
        steps = Counter(self.catch_up())
        return Relayed(steps[True], steps[False])

    def catch_up(self) -> Iterator[bool]:
        """Relay one job that is behind at each step, until none is left that was not tried.

        One that cannot be relayed now does not keep the others from it.

        Yields:
            Whether it was relayed.
        """
        in_a_row: Counter[str] = Counter()
        down: set[str] = set()
        for job_id, name in self._behind():
            if name in down:
                continue
            try:
                self.update(job_id)
            except StorageInactive:
                down.add(name)  # its jobs wait until somebody switches it on
            except MirrorAhead as error:
                _LOG.warning("mirror_ahead action=hold %s", error)
                yield False
            except Exception as error:  # noqa: BLE001 - one damaged job must not keep the others behind
                _LOG.warning("mirror_behind action=try_again job_id=%s: %s", job_id, _words(error))
                in_a_row[name] += 1
                if isinstance(error, StorageFull):
                    self.found_full(name, error)
                if (isinstance(error, StorageFull) or in_a_row[name] % PATIENCE == 0) and not self.answers(name):
                    down.add(name)
                yield False
            else:
                in_a_row[name] = 0
                if job_id not in self._late:
                    yield True

    def _behind(self) -> Iterator[tuple[str, str]]:
        after = ""
        while batch := self._cursor.behind(after, BATCH):
            yield from batch
            after = batch[-1][0]

    def answers(self, name: str) -> bool:
        """Say whether the storage of this name can be written just now."""
        return self.trouble(name) is None

    def trouble(self, name: str) -> StorageError | None:
        """Return what keeps the storage of this name from being written just now; None where nothing does."""
        try:
            storage = self._stores.of(name)
            probe(storage, self._no_room_for.get(self._stores.full(name), 0))
        except StorageError as error:
            return error
        self._no_room_for.pop(self._stores.full(name), None)
        return None

    def found_full(self, name: str, error: StorageFull) -> None:
        """Remember that a storage had no room for a document: until it takes one of its size, it does not answer."""
        self._no_room_for[self._stores.full(name)] = error.size

    def _documents(self, job: Job) -> JobDocuments:
        return JobDocuments(self._log, self._stores.of(job.storage))


def _is_at(events: list[Event], written: _Written) -> bool:
    """Say whether the log still holds the event up to which this process has mirrored."""
    return written.seq < len(events) and events[written.seq].hash == written.hash


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, QuledgerError) else type(error).__name__
