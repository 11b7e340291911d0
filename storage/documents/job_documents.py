"""The documents of one job in its storage: written as its events say (history, place, status), its history read back.

Each of these writes may be done twice, or be killed anywhere and done again.
"""

import contextlib
import json
from collections.abc import Sequence
from typing import Any

from models.errors import DocumentExists, DocumentMissing, echo
from models.events import REOPENS, Event, Standing, compact, hashes, standing
from models.job import FINAL, Job, State
from models.status import status_document
from storage import layout
from storage.log.event_log import EventLog
from storage.providers.protocol import StorageProvider

HISTORY_VERSION = 1


def history_document(job: Job, events: list[Event]) -> bytes:
    """Return the mirrored history: all that is needed to put the job into an empty log."""
    lines = [event.model_dump(mode="json") | {"data": json.loads(event.data)} for event in events]
    document = {"version": HISTORY_VERSION, "job_id": job.job_id, "events": lines}
    return json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8")


def history_rows(content: bytes, job_id: str) -> list[dict[str, Any]]:
    """Return the events of a mirrored history as the log stores them; whether they are true is not asked.

    Raises:
        ValueError: it is no history of this job.
    """
    document: Any = json.loads(content)
    if not isinstance(document, dict) or "version" not in document or "events" not in document:
        msg = "it is no history of a job"
        raise ValueError(msg)
    if document["version"] != HISTORY_VERSION:
        msg = f"it is a history of version {echo(document['version'])}, and this Quledger knows {HISTORY_VERSION}"
        raise ValueError(msg)
    if document.get("job_id") != job_id:
        msg = f"it is the history of another job, {echo(document.get('job_id'))}"
        raise ValueError(msg)
    lines = document["events"]
    if not isinstance(lines, list) or not all(isinstance(line, dict) and "data" in line for line in lines):
        msg = "its events are no list of events"
        raise ValueError(msg)
    return [line | {"data": compact(line["data"])} for line in lines]


def mirrored_standing(storage: StorageProvider, backend: str, job_id: str, events: Sequence[Event]) -> Standing:
    """Read the mirrored history of a job, and say how it stands to the events of the log: one request.

    A history that is missing, or that is no JSON any more, holds nothing.
    """
    try:
        content = storage.get(layout.events(backend, job_id))
    except DocumentMissing:
        content = b""
    return standing(mirrored_hashes(content), hashes(events))


def mirrored_hashes(content: bytes) -> list[str]:
    """Return the hashes that a mirrored history names, from the first event on.

    Only the names are read: whether each is the hash of its event is for `verify` and `restore` to say. A history of
    a newer version is a chain that no log of ours has.
    """
    try:
        document: Any = json.loads(content) if content else {}
    except (ValueError, RecursionError):
        return []
    if not isinstance(document, dict) or not isinstance(lines := document.get("events"), list):
        return []
    version = document.get("version")
    if isinstance(version, int) and version > HISTORY_VERSION:
        return [f"version {version}"]
    found = [str(line.get("hash", "")) if isinstance(line, dict) else "" for line in lines]
    return found[: found.index("")] if "" in found else found


class JobDocuments:
    """Writes the documents of jobs into one storage; whoever calls holds the lock of the job."""

    def __init__(self, log: EventLog, storage: StorageProvider) -> None:
        self._log = log
        self._storage = storage

    def take(self, job: Job) -> bool:
        """Take a job's document out of its queue, to the place that is ours alone.

        Returns:
            False if another spooler was quicker: the document lies where we have not put it.
        """
        queued, ours = layout.queued(job.backend, job.job_id), layout.taken(job.job_id)
        try:
            self._storage.move(queued, ours)
        except DocumentMissing:
            if not self._storage.exists(ours):
                if any(self._storage.exists(path) for path in layout.places(job)):
                    return False
                # It is nowhere: removed, or the storage is another one. The log has it, so it is not lost.
                self._write_again(job.job_id, ours)
        return True

    def begin_history(self, job: Job, events: list[Event]) -> bool:
        """Write the history if there is none yet; say whether that was so."""
        try:
            self._storage.create(layout.events(job.backend, job.job_id), history_document(job, events))
        except DocumentExists:
            return False
        return True

    def keep_history(self, job: Job, events: list[Event]) -> None:
        """Write the history over the one that is there."""
        self._storage.put(layout.events(job.backend, job.job_id), history_document(job, events))

    def place_document(self, job: Job, known: str, target: str, *, first: bool, is_sure: bool) -> None:
        """Bring the job document to where it belongs; the log holds its bytes should it be gone.

        Args:
            is_sure: it lies where it is known to be, and nowhere else, as far as this process knows.
        """
        places = layout.places(job)
        in_queue = layout.queued(job.backend, job.job_id)
        never_taken = known in ("", in_queue)
        if target == in_queue and never_taken:
            # Only `take` takes it from here. A front end has put it there itself; where it went, `take` finds out.
            if job.source != "inbox" and (first or not any(self._storage.exists(path) for path in places)):
                self._write_again(job.job_id, target)
            return
        if (
            not self._storage.abilities.atomic_move
            and not never_taken
            and self._copy(job, known, target, is_sure=is_sure)
        ):
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

    def replace_document(self, job: Job, target: str) -> None:
        """Put the newest document of a job where it belongs, and nothing where an older one may lie."""
        content = self._log.document(job.job_id)
        assert content is not None  # noqa: S101 - what replaces another one is kept
        self._storage.put(target, content)
        for place in layout.places(job):
            if place != target:
                self._storage.delete(place)

    def _copy(self, job: Job, known: str, target: str, *, is_sure: bool) -> bool:
        """Write a document that we have taken from the log's copy, and delete it where it was: no need to read it."""
        if not self._write_again(job.job_id, target):
            return False
        if known != target:
            self._storage.delete(known)
        if not is_sure or job.attempt > 1 or job.state is not State.DONE:
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
        raw = self._log.document(job_id)
        if raw is not None:
            with contextlib.suppress(DocumentExists):
                self._storage.create(path, raw)
        return raw is not None

    def announce(self, job: Job, fresh: list[Event]) -> None:
        """Write the status. A front end writes the first one of its jobs itself, and refuses to overwrite ours."""
        path = layout.status(job.backend, job.job_id)
        content = json.dumps(status_document(job).model_dump()).encode("utf-8")
        if job.state in FINAL or any(event.kind in REOPENS for event in fresh):
            self._storage.put(path, content)
        elif any(event.kind == "submitted" for event in fresh) and job.source != "inbox":
            with contextlib.suppress(DocumentExists):
                self._storage.create(path, content)

    def tidy(self, job: Job, events: list[Event]) -> None:
        """Remove the results that are not the accepted one."""
        for path in layout.left_over(job, events):
            self._storage.delete(path)
        if job.state in FINAL and job.state is not State.DONE and job.executed is not None:
            # Written by an attempt that ended before it could say so; after an ERROR the staged copy stays.
            self._storage.delete(layout.result(job.backend, job.job_id))
        if job.is_result_removed:
            self._storage.delete(layout.result(job.backend, job.job_id))
