"""A job as it stood at a time: the fold of the events that had been recorded by then."""

from collections.abc import Iterable
from datetime import datetime

from models.clock import in_words
from models.errors import InputError
from models.events import Event
from models.job import Job, apply


class NotYet(InputError):
    """The job had not been handed in by then."""

    def __init__(self, job_id: str, at: datetime) -> None:
        super().__init__(f"job {job_id} had not been handed in by {in_words(at)}")


def job_at(events: Iterable[Event], at: datetime) -> Job | None:
    """Return the job as of a time; None where it had not been handed in.

    Args:
        events: of its history, in order. One that a clock set back recorded later than the next ends the past too.
    """
    job = None
    for event in events:
        if event.recorded_at > at:
            break
        job = apply(job, event)
    return job
