"""Why jobs wait and when queues are drained, asked of the log by one thread at a time: it computes, and others wait."""

import threading
import time
from datetime import datetime

from models.job import Job
from models.why import Why
from tasks.jobs.why import drained_at, why
from tasks.services import Services

FRESH_SECONDS = 5.0
"""So old an answer may be."""

MAX_KEPT = 1000


class Forecasts:
    """The newest answers."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._why: dict[tuple[str, int], tuple[float, Why]] = {}
        self._drained: tuple[float, dict[str, datetime]] = (float("-inf"), {})

    def why(self, job: Job) -> Why:
        """Return why a job stands where it does."""
        key = job.job_id, job.seq
        with self._lock:
            asked, said = self._why.get(key, (float("-inf"), None))
            if said is None or time.monotonic() - asked > FRESH_SECONDS:
                if len(self._why) >= MAX_KEPT:
                    self._why.clear()
                self._why[key] = time.monotonic(), (said := why(self._services, job))
            return said

    def eta(self, backend: str) -> datetime | None:
        """Return when a backend is expected to have done all that waits for it."""
        with self._lock:
            asked, at = self._drained
            if time.monotonic() - asked > FRESH_SECONDS:
                at = drained_at(self._services)
                self._drained = time.monotonic(), at
            return at.get(backend)
