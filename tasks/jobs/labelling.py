"""The labels of a job are changed."""

import contextlib

from models.errors import AppendConflict, Fault, LogError, StorageError, printable
from models.facts import Labelled
from models.job import Job
from models.labels import BadLabels, LabelChanges, changed
from tasks.jobs.submission import refuse_held
from tasks.services import Services

MAX_EVENTS = 1000
"""Of a job whose labels are changed: with each change the whole history is written into the storage."""


def label(services: Services, job_id: str, changes: LabelChanges, *, by: str) -> Job:
    """Set labels of a job and take others away; where that changes nothing, nothing is appended.

    Args:
        by: who wants it.

    Raises:
        UnknownJob: there is no such job.
        BadLabels: no job can have the labels that it would have, or they were changed too often.
        JobHeld: the mirror knows more of it than the log.
    """
    refuse_held(services, job_id)
    while True:
        job = services.log.get(job_id)
        after = changed(job.labels, changes)
        if after == job.labels:
            return job
        if job.seq >= MAX_EVENTS:
            said = f"its history has {job.seq + 1} events; labels are changed while it has at most {MAX_EVENTS}"
            raise BadLabels(Fault(field="labels", message=said))
        fact = Labelled(
            by=printable(by),
            labels={name: value for name, value in after.items() if job.labels.get(name) != value},
            removed=tuple(name for name in job.labels if name not in after),
        )
        with contextlib.suppress(AppendConflict):
            job = services.log.append(job, fact, attempt=job.attempt, actor=services.worker)
            with contextlib.suppress(StorageError, LogError):
                services.relay.update(job_id)
            return job
