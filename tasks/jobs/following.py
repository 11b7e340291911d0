"""Waits for events: the log is asked for the numbers of last events, and only a job with a new one is read."""

import time
from collections.abc import Callable, Iterator, Mapping

from models.errors import LogUnavailable
from models.job import Job
from storage.log.log_reader import LogReader

LOOK_SECONDS = 0.2

Look = Callable[[], Mapping[str, int]]
"""Returns the number of the last event of each job that is followed now."""


def following(
    log: LogReader, look: Look, seconds: float | None = None, look_seconds: float = LOOK_SECONDS
) -> Iterator[list[Job]]:
    """Yield, after each look, the jobs that have events which were not seen before; at first all.

    A log that does not answer later on is asked again.

    Args:
        seconds: how long; None until nobody asks for more.

    Raises:
        LogUnavailable: it does not answer the first time.
    """
    end = None if seconds is None else time.monotonic() + seconds
    seen: dict[str, int] = {}
    is_first = True
    while True:
        try:
            now = look()
            jobs = [log.get(job_id) for job_id, seq in now.items() if seq > seen.get(job_id, -1)]
            # Only what is in sight: who follows all jobs for weeks remembers no more.
            seen = {job_id: seq for job_id, seq in seen.items() if job_id in now}
        except LogUnavailable:
            if is_first:
                raise
            jobs = []
        is_first = False
        seen |= {job.job_id: job.seq for job in jobs}
        yield jobs
        left = look_seconds if end is None else min(look_seconds, end - time.monotonic())
        if left <= 0:
            return
        time.sleep(left)
