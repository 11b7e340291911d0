"""Sees at a drain's start whether the log went back in time, and holds the jobs of which a mirror knows more.

Nothing was rolled back: one request. Otherwise the histories in the storage are compared with the log before anything
is claimed, and what was found stands in the database, so that it is done once.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

from models.errors import QuledgerError, StorageInactive
from models.events import UNKNOWN
from models.names import is_display_name, is_job_id
from storage.documents.job_documents import mirrored_standing
from storage.documents.marks import Marks, mark_in, take_over
from storage.log.database import writing
from storage.log.event_log import EventLog
from storage.log.holds import Held, Holds
from storage.providers.protocol import Entry, StorageProvider
from storage.providers.stores import Stores

_LOG = logging.getLogger("quledger.rollback")

SAMPLE = 100
"""So many histories of each backend are looked up where a storage holds no mark at all."""

BATCH = 200
"""Histories that are compared before what was found is written down."""

MARGIN = timedelta(hours=6)
"""So far the clocks of storage and log may be apart."""


class Rollback:
    """Compares one log with its storages."""

    def __init__(self, log: EventLog, stores: Stores, marks: Marks) -> None:
        self._log = log
        self._stores = stores
        self._marks = marks
        self._holds = Holds(log.engine)

    def is_compared(self, name: str) -> bool:
        """Say whether jobs of the storage may be claimed."""
        return self._marks.is_compared(name)

    def compare_all(self) -> None:
        """Compare every storage that can be used now; the others are compared when they are back."""
        for name in self._stores.names:
            try:
                self.compare(name)
            except StorageInactive:
                continue
            except QuledgerError as error:
                _LOG.warning("rollback_unknown action=compare_later: %s", error)

    def compare(self, name: str) -> None:
        """Compare one storage with the log, once in the life of this process, and mark it.

        Raises:
            StorageError: it cannot be used now; no job of it may be claimed.
        """
        if self._marks.is_compared(name):
            return
        storage = self._stores.of(name)
        there, ours = mark_in(storage), self._marks.ours()
        since: datetime | None = None
        if there is None:
            suspicion = self._has_unknown(storage) and "it holds histories that the log does not know"
        elif there.log_id != ours.log_id:
            suspicion = "another log has written it"
        else:
            suspicion = (
                there.mark > ours.mark and f"it was written up to mark {there.mark}, and the log is at {ours.mark}"
            )
            if ours.marked_at:
                since = datetime.fromisoformat(ours.marked_at) - MARGIN
        if suspicion:
            _LOG.warning("log_behind action=compare storage=%s: %s; its histories are compared first", name, suspicion)
            compared, held = self._compare_histories(name, storage, since)
            _LOG.warning(
                "log_compared action=%s storage=%s: of %d histories %d know more than the log%s",
                "hold" if held else "go_on",
                name,
                compared,
                held,
                "; these jobs are held: run `quledger restore`" if held else "",
            )
            if there is not None:
                with writing(self._log.engine) as connection:
                    take_over(connection, there._replace(log_id=ours.log_id))
        self.look_again(name)
        self._marks.compared(name)

    def look_again(self, name: str) -> None:
        """Let those jobs of a storage go whose mirrored history has become a part of the log's, or is gone."""
        storage, full, after = self._stores.of(name), self._stores.full(name), ""
        while batch := self._holds.all(storage=full, after=after):
            after = batch[-1].job_id
            known = self._log.known(each.job_id for each in batch)
            for held in batch:
                if held.job_id in known:
                    events = self._log.history(held.job_id)
                    if not mirrored_standing(storage, known[held.job_id].backend, held.job_id, events).why:
                        self._holds.release(held.job_id)
                elif not any(storage.exists(f"events/{each}/{held.job_id}.json") for each in _backends(storage)):
                    self._holds.release(held.job_id)

    def _has_unknown(self, storage: StorageProvider) -> bool:
        for backend in _backends(storage):
            ids = [job_id for job_id, _ in islice(_histories(storage, backend), SAMPLE)]
            if len(self._log.known(ids)) < len(ids):
                return True
        return False

    def _compare_histories(self, name: str, storage: StorageProvider, since: datetime | None) -> tuple[int, int]:
        """Hold what the log does not know; return how many histories were looked at, and how many are held."""
        compared = held = 0
        full = self._stores.full(name)
        for backend in _backends(storage):
            found = _histories(storage, backend)
            while batch := dict(islice(found, BATCH)):
                compared += len(batch)
                known = self._log.known(batch)
                wrong = []
                for job_id, entry in batch.items():
                    why = UNKNOWN
                    if job_id in known:
                        if since is not None and entry.modified_at < since:
                            continue
                        why = mirrored_standing(storage, backend, job_id, self._log.history(job_id)).why
                    if why:
                        wrong.append(Held(job_id, full, why))
                self._holds.put(*wrong)
                held += len(wrong)
        return compared, held


def _backends(storage: StorageProvider) -> Iterator[str]:
    for entry in storage.entries("events"):
        if not entry.regular and is_display_name(entry.name):
            yield entry.name


def _histories(storage: StorageProvider, backend: str) -> Iterator[tuple[str, Entry]]:
    for entry in storage.entries(f"events/{backend}"):
        job_id = entry.name.removesuffix(".json")
        if entry.regular and job_id != entry.name and is_job_id(job_id):
            yield job_id, entry
