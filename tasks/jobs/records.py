"""What is on record of a job, put together from log and ledger."""

import contextlib
import json

from models.calibrations import UnknownCalibration
from models.comparison import Record
from models.job import Job
from tasks.jobs.programs import compiled
from tasks.services import Services


def record_of(services: Services, job: Job) -> Record:
    """Return the record of a job."""
    document = calibration = None
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(services.log.document(job.job_id) or b"")
    if job.executed is not None:
        with contextlib.suppress(UnknownCalibration):
            calibration = services.calibrations.find(job.executed.stands_on).calibration
    return Record(job, document, compiled(services.log.history(job.job_id)), calibration)
