"""The mirror: a job's events projected into the documents that front ends read, and the relay that writes them.

Everything here may be done twice, or be killed anywhere and done again: the log says what is right, and the
cursor is moved last.
"""

import contextlib
import json
import logging
from typing import Any, NamedTuple

from models.errors import DocumentExists, DocumentMissing, QuledgerError, StorageError
from models.events import Event, compact
from models.job import FINAL, Job, State, fold, status_document
from storage import crash, layout
from storage.cursor import MirrorCursor
from storage.event_log import EventLog
from storage.locks import JobLocks, Locks
from storage.opening import probe
from storage.provider import StorageProvider

HISTORY_VERSION = 1


PATIENCE = 3
"""So many failures in a row, and the storage is asked whether it is there at all."""

_LOG = logging.getLogger("quledger.mirror")


def history_document(job: Job, events: list[Event]) -> bytes:
    """Return the mirrored history: all that is needed to put the job into an empty log."""
    lines = [event.model_dump(mode="json") | {"data": json.loads(event.data)} for event in events]
    document = {"version": HISTORY_VERSION, "job_id": job.job_id, "events": lines}
    return json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8")


def read_history(content: bytes) -> list[Event]:
    """Return the events of a mirrored history, exactly as they stood in the log.

    Raises:
        ValueError: the document is no history.
    """
    document: Any = json.loads(content)
    if not isinstance(document, dict) or document.get("version") != HISTORY_VERSION:
        msg = f"not a history of version {HISTORY_VERSION}"
        raise ValueError(msg)
    lines = document["events"]
    return [Event.model_validate(line | {"data": compact(line["data"])}) for line in lines]


class Relayed(NamedTuple):
    """How many jobs were relayed, and how many could not be."""

    done: int
    failed: int


class Mirror:
    """Writes the documents of jobs into one storage."""

    def __init__(
        self, log: EventLog, cursor: MirrorCursor, storage: StorageProvider, locks: Locks | None = None
    ) -> None:
        self._log = log
        self._cursor = cursor
        self._storage = storage
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
            position = self._cursor.position(job.job_id)
            queued, ours = layout.queued(job.backend, job.job_id), layout.taken(job.job_id)
            if position.place not in ("", queued) or job.state is not State.CLAIMED:
                return True
            try:
                self._storage.move(queued, ours)
            except DocumentMissing:
                if not self._storage.exists(ours):
                    if any(self._storage.exists(path) for path in layout.places(job)):
                        return False
                    # It is nowhere: removed, or the storage is another one. The log has it, so it is not lost.
                    self._write_again(job.job_id, ours)
            crash.point("take.moved")
            self._cursor.put_place(job.job_id, ours)
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
            first = self._keep_history(job, events, first=position.seq < 0)
            target = layout.place(job, position.place)
            crash.point("mirror.history_written")
            if job.state is not State.WITHDRAWN:
                self._settle(job, position.place, target, first=first)
                crash.point("mirror.document_moved")
                self._announce(job, events[position.seq + 1 :])
                crash.point("mirror.status_written")
            self._tidy(job)
            position = position._replace(place=target)
        self._cursor.advance(job_id, job.seq, position.place)

    def relay_all(self) -> Relayed:
        """Relay every job that is behind; one that cannot be relayed now does not keep the others from it."""
        done = failed = in_a_row = 0
        for job_id in self._cursor.behind():
            try:
                self.relay(job_id)
            except Exception as error:  # noqa: BLE001 - one damaged job must not keep the others behind
                _LOG.warning("mirror_behind action=try_again job_id=%s: %s", job_id, _words(error))
                failed, in_a_row = failed + 1, in_a_row + 1
                if in_a_row % PATIENCE == 0 and not self.answers():
                    break
            else:
                done, in_a_row = done + 1, 0
        return Relayed(done, failed)

    def answers(self) -> bool:
        """Say whether the storage can be written just now."""
        try:
            probe(self._storage)
        except StorageError:
            return False
        return True

    def _keep_history(self, job: Job, events: list[Event], *, first: bool) -> bool:
        """Write the history; say whether no relay has ever begun to write anything of this job."""
        path, content = layout.events(job.backend, job.job_id), history_document(job, events)
        if first:
            with contextlib.suppress(DocumentExists):
                self._storage.create(path, content)
                return self._storage.abilities.conditional_create
        self._storage.put(path, content)
        return False

    def _tidy(self, job: Job) -> None:
        """Remove the results that are not the accepted one."""
        if job.state in (State.DONE, State.CANCELLED):
            for path in layout.all_staged(job):
                self._storage.delete(path)
        if job.state in FINAL and job.state is not State.DONE and job.executed is not None:
            # Written by an attempt that ended before it could say so; after an ERROR the staged copy stays.
            self._storage.delete(layout.result(job.backend, job.job_id))

    def _settle(self, job: Job, known: str, target: str, *, first: bool) -> None:
        """Bring the job document to where it belongs; the log holds its bytes should it be gone."""
        places = layout.places(job)
        in_queue = layout.queued(job.backend, job.job_id)
        if target == in_queue:
            # Only `take` takes it from here. A front end has put it there itself; where it went is for `take` to find out.
            if job.source != "inbox" and (first or not any(self._storage.exists(path) for path in places)):
                self._write_again(job.job_id, target)
            return
        never_taken = known in ("", in_queue)
        if not self._storage.abilities.atomic_move and not never_taken and self._copy(job, known, target):
            return
        # What was never taken may be in the hands of another spooler, beyond the places that are ours alone.
        ours = (in_queue, layout.taken(job.job_id)) if never_taken else (known, *places)
        # After a crash it may lie one step further than the cursor says.
        for place in ours:
            if place != target:
                with contextlib.suppress(DocumentMissing):
                    self._storage.move(place, target)
                    break
        else:
            if not any(self._storage.exists(path) for path in places):
                self._write_again(job.job_id, target)
        self._remove_copies(job, target)

    def _copy(self, job: Job, known: str, target: str) -> bool:
        """Write the document of a job that we have taken from the log, and delete it where it was: no need to read it."""
        if not self._write_again(job.job_id, target):
            return False
        if known != target:
            self._storage.delete(known)
        if job.attempt > 1 or job.state is not State.DONE:
            self._remove_copies(job, target)
        return True

    def _remove_copies(self, job: Job, target: str) -> None:
        """Delete what a mover may have left behind that was killed between its two steps."""
        if self._storage.abilities.atomic_move or job.state not in FINAL:
            return
        for place in (layout.taken(job.job_id), layout.running(job.job_id)):
            if place != target:
                self._storage.delete(place)

    def _write_again(self, job_id: str, path: str) -> bool:
        """Write the document as it was submitted, if there is none; False if the log has not kept it (too large)."""
        raw = self._log.submission(job_id).raw
        if raw is not None:
            with contextlib.suppress(DocumentExists):
                self._storage.create(path, raw)
        return raw is not None

    def _announce(self, job: Job, fresh: list[Event]) -> None:
        """Write the status. A front end writes the first one of its jobs itself, and refuses to overwrite ours."""
        path = layout.status(job.backend, job.job_id)
        content = json.dumps(status_document(job).model_dump()).encode("utf-8")
        if job.state in FINAL or any(event.kind == "revived" for event in fresh):
            self._storage.put(path, content)
        elif any(event.kind == "submitted" for event in fresh) and job.source != "inbox":
            with contextlib.suppress(DocumentExists):
                self._storage.create(path, content)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, QuledgerError) else type(error).__name__
