"""Results that were staged when their job had ended already: their worker was killed before it could remove them."""

import logging

from models.errors import QuledgerError
from models.job import FINAL, fold
from storage import layout
from storage.documents.job_documents import JobDocuments
from storage.documents.locks import JobLocks, Locks
from storage.log.event_log import EventLog
from storage.log.holds import Holds
from storage.providers.stores import Stores

_LOG = logging.getLogger("quledger.leftovers")

BATCH = 200
"""Jobs about which the log is asked at once."""


class Leftovers:
    """Removes them, as the relay does when a job ends; what no worker can have staged is left alone."""

    def __init__(self, log: EventLog, stores: Stores, locks: Locks | None = None) -> None:
        self._log = log
        self._stores = stores
        self._locks = locks or JobLocks()
        self._holds = Holds(log.engine)

    def sweep(self, name: str) -> int:
        """Remove the leftovers in the storage of this name: one listing where there are none.

        Returns:
            The number of jobs of which something was left.

        Raises:
            StorageError: it cannot be listed now.
            LogUnavailable: the database cannot be used now.
        """
        found = {
            layout.staged_for(entry.name)
            for entry in self._stores.of(name).entries(layout.STAGED)
            if entry.regular and not entry.name.endswith(".document.json")
        }
        swept = 0
        for start in range(0, len(ids := sorted(found - {""})), BATCH):
            known = self._log.known(ids[start : start + BATCH])
            held = self._holds.among(known)
            for job_id, job in known.items():
                if (
                    job.state in FINAL
                    and self._stores.full(job.storage) == self._stores.full(name)
                    and job_id not in held
                ):
                    try:
                        swept += self._tidy(job_id)
                    except QuledgerError as error:
                        _LOG.warning("leftovers_stay action=try_again job_id=%s: %s", job_id, error)
        return swept

    def _tidy(self, job_id: str) -> bool:
        with self._locks.held(job_id):
            events = self._log.history(job_id)
            job = fold(events)
            if job is None or job.state not in FINAL:
                return False  # somebody has revived it
            storage = self._stores.of(job.storage)
            left = any(storage.exists(path) for path in layout.left_over(job, events))
            if left:
                JobDocuments(self._log, storage).tidy(job, events)
            return left
