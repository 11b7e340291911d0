"""The mirror: a job's events projected into the documents that front ends read, and the relay that writes them.

Everything here may be done twice, or be killed anywhere and done again: the log says what is right, and the
cursor is moved last.
"""

import contextlib
import logging
from collections import Counter
from typing import NamedTuple

from models.errors import QuledgerError, StorageError
from models.job import Job, State, fold
from storage import crash, layout
from storage.cursor import MirrorCursor
from storage.event_log import EventLog
from storage.job_documents import JobDocuments
from storage.locks import JobLocks, Locks
from storage.opening import probe
from storage.stores import Stores

PATIENCE = 3
"""So many failures in a row, and the storage is asked whether it is there at all."""

_LOG = logging.getLogger("quledger.mirror")


class Relayed(NamedTuple):
    """How many jobs were relayed, and how many could not be."""

    done: int
    failed: int


class Mirror:
    """Writes the documents of each job into its storage."""

    def __init__(self, log: EventLog, cursor: MirrorCursor, stores: Stores, locks: Locks | None = None) -> None:
        self._log = log
        self._cursor = cursor
        self._stores = stores
        self._locks = locks or JobLocks()

    def alone(self, job_id: str) -> contextlib.AbstractContextManager[None]:
        """Keep everybody else from writing the job's documents while the block runs."""
        return self._locks.held(job_id)

    def take(self, job: Job) -> bool:
        """Take a claimed job's document out of its queue, so that no other spooler runs it too.

        It goes by way of a place that is ours alone: whatever is killed in between, it is known who has it.

        Returns:
            False if another spooler was quicker: the document lies where we have not put it.
        """
        with self.alone(job.job_id):
            place = self._cursor.position(job.job_id).place
            if place not in ("", layout.queued(job.backend, job.job_id)) or job.state is not State.CLAIMED:
                return True
            if not self._documents(job).take(job):
                return False
            crash.point("take.moved")
            # Whoever stood still here for long finds that another worker has taken it further.
            self._cursor.put_place(job.job_id, layout.taken(job.job_id), place)
            crash.point("take.recorded")
            return True

    def relay(self, job_id: str) -> None:
        """Bring the documents of one job up to its last event: history, place, status, in this order.

        Raises:
            StorageUnavailable: what was not written is written by the next relay.
        """
        with self.alone(job_id):
            self._relay(job_id)

    def _relay(self, job_id: str) -> None:
        events = self._log.history(job_id)
        job = fold(events)
        if job is None:
            return
        position = self._cursor.position(job_id)
        if position.seq < job.seq:
            documents = self._documents(job)
            first = documents.keep_history(job, events, first=position.seq < 0)
            target = layout.place(job, position.place)
            crash.point("mirror.history_written")
            if job.state is not State.WITHDRAWN:
                documents.settle(job, position.place, target, first=first)
                crash.point("mirror.document_moved")
                documents.announce(job, events[position.seq + 1 :])
                crash.point("mirror.status_written")
            documents.tidy(job, events)
            position = position._replace(place=target)
        self._cursor.advance(job_id, job.seq, position.place)

    def relay_all(self) -> Relayed:
        """Relay every job that is behind; one that cannot be relayed now does not keep the others from it."""
        done = failed = 0
        in_a_row: Counter[str] = Counter()
        down: set[str] = set()
        for job_id, name in self._cursor.behind():
            if name in down:
                continue
            try:
                self.relay(job_id)
            except Exception as error:  # noqa: BLE001 - one damaged job must not keep the others behind
                _LOG.warning("mirror_behind action=try_again job_id=%s: %s", job_id, _words(error))
                failed += 1
                in_a_row[name] += 1
                if in_a_row[name] % PATIENCE == 0 and not self.answers(name):
                    down.add(name)
            else:
                done += 1
                in_a_row[name] = 0
        return Relayed(done, failed)

    def answers(self, name: str) -> bool:
        """Say whether the storage of this name can be written just now."""
        try:
            probe(self._stores.of(name))
        except StorageError:
            return False
        return True

    def _documents(self, job: Job) -> JobDocuments:
        return JobDocuments(self._log, self._stores.of(job.storage))


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, QuledgerError) else type(error).__name__
