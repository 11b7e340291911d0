"""A whole document in place of one that was half written when it was judged."""

from models.arrivals import is_whole
from models.errors import DocumentMissing
from models.facts import Replaced
from models.job import Job, State
from storage import layout
from storage.log.event_log import EventLog
from storage.providers.protocol import StorageProvider


def may_be_mended(log: EventLog, job: Job) -> bool:
    """Say whether a job ended in ERROR because its document was no JSON."""
    if job.state is not State.ERROR or (job.blame, job.stage) != ("user", "validation"):
        return False
    content = log.document(job.job_id)
    return content is not None and not is_whole(content)


def mended(log: EventLog, storage: StorageProvider, job: Job, max_bytes: int) -> Replaced | None:
    """Return the whole document of such a job, if one lies where it was put or kept; None where there is none."""
    if may_be_mended(log, job):
        # The rest of a document that was moved under its writer's hands lies where it was moved to.
        for path in (layout.queued(job.backend, job.job_id), layout.deleted(job.job_id)):
            try:
                content = storage.get(path)
            except DocumentMissing:
                continue
            if len(content) <= max_bytes and is_whole(content):
                return Replaced.of(content)
    return None
