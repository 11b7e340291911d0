"""Where things lie in a file storage: the layout of sqooler's local provider, and our own documents beside it.

Every function returns a path below the storage's root and checks what it puts into it.
"""

import re
from collections.abc import Sequence

from models.events import Event
from models.facts import Claimed, HandedOver
from models.job import FINAL, Job, State
from models.keys import check_kid
from models.names import check_display_name, check_job_id, is_job_id

CONFIGS = "backends/configs"
PUBLIC_KEYS = "backends/public_keys"
RUNNING = "jobs/running"
DELETED = "jobs/deleted"
STREAMS = "control/backend"
STAGED = "staged"
PROBE = f"{STAGED}/.probe"
"""What is written to see whether the storage can be written."""
MARK = f"{STAGED}/.log"
"""Which log mirrors into the storage, and how far it has come."""

_HOLDER_DIGITS = 16
"""So much of a holder's hash stands in a name: enough to keep the holders of one attempt apart."""

_OF_ATTEMPT = re.compile(r"[0-9]{1,9}(-[0-9a-f]{16})?")

_UNTAKEN = frozenset({State.QUEUED, State.CLAIMED})
"""States in which the document may not have been taken out of its queue yet."""


def config(backend: str) -> str:
    """Return the path of a backend's published configuration."""
    return f"{CONFIGS}/{check_display_name(backend)}.json"


def public_key(kid: str) -> str:
    """Return the path of a public key."""
    return f"{PUBLIC_KEYS}/{check_kid(kid)}.json"


def queue(backend: str) -> str:
    """Return the folder into which front ends put a backend's jobs."""
    return f"jobs/queued/{check_display_name(backend)}"


def queued(backend: str, job_id: str) -> str:
    """Return the path of a job document that waits."""
    return f"{queue(backend)}/{check_job_id(job_id)}.json"


def running(job_id: str) -> str:
    """Return the path of a job document that a worker has."""
    return f"{RUNNING}/{check_job_id(job_id)}.json"


def finished(backend: str, job_id: str) -> str:
    """Return the path of the document of a job that is DONE."""
    return f"jobs/finished/{check_display_name(backend)}/{check_job_id(job_id)}.json"


def deleted(job_id: str) -> str:
    """Return the path of the document of a job that ended in ERROR; it is kept, whatever the folder's name says."""
    return f"{DELETED}/{check_job_id(job_id)}.json"


def place(job: Job, known: str = "") -> str:
    """Return where the job's document lies, by its state.

    Args:
        job: as of the last event that is mirrored.
        known: where the document was before; empty if that is not known.
    """
    in_queue = queued(job.backend, job.job_id)
    if job.state is State.WITHDRAWN:
        return in_queue  # if it ever comes back
    if job.state is State.DONE:
        return finished(job.backend, job.job_id)
    if job.state in FINAL:
        return deleted(job.job_id)
    if job.state in _UNTAKEN and known in ("", in_queue):
        return in_queue  # for whoever takes it first: the worker that has claimed it, or another spooler
    # A job that waits for another attempt stays with us: no other spooler may take it.
    return in_queue if job.attempt == 0 else running(job.job_id)


def may_lie_at(job: Job, known: str) -> bool:
    """Say whether the document of a job whose events are all mirrored may lie there: a worker may be moving it."""
    return known == place(job, known) or (known == taken(job.job_id) and job.state not in FINAL and job.attempt > 0)


def places(job: Job) -> tuple[str, ...]:
    """Return every path at which the job's document may lie at some time of its life."""
    backend, job_id = job.backend, job.job_id
    return queued(backend, job_id), taken(job_id), running(job_id), finished(backend, job_id), deleted(job_id)


def status(backend: str, job_id: str) -> str:
    """Return the path of a job's status."""
    return f"status/{check_display_name(backend)}/{check_job_id(job_id)}.json"


def result(backend: str, job_id: str) -> str:
    """Return the path of a job's result."""
    return f"results/{check_display_name(backend)}/{check_job_id(job_id)}.json"


def events(backend: str, job_id: str) -> str:
    """Return the path of the mirrored history of a job."""
    return f"events/{check_display_name(backend)}/{check_job_id(job_id)}.json"


def stream(backend: str) -> str:
    """Return the path of the mirrored control stream of a backend."""
    return f"{STREAMS}/{check_display_name(backend)}.json"


def taken(job_id: str) -> str:
    """Return where a job document lies between its queue and `running`: no other spooler ever puts one there."""
    return f"{STAGED}/{check_job_id(job_id)}.document.json"


def staged(job_id: str, attempt: int, holder: str | None = None) -> str:
    """Return the path of the result that a worker has computed and that is not accepted yet.

    Args:
        holder: of the attempt; None for a claim of version 1, which names none.
    """
    whose = "" if holder is None else f"-{holder[:_HOLDER_DIGITS]}"
    return f"{STAGED}/{check_job_id(job_id)}.{attempt}{whose}.json"


def all_staged(events: Sequence[Event]) -> tuple[str, ...]:
    """Return every path at which a holder of the job may have staged a result, by the job's history."""
    paths = []
    for event in events:
        if event.kind in ("claimed", "handed_over"):
            fact = event.fact
            # Who claims a job for another process does not run it.
            if isinstance(fact, HandedOver) or (isinstance(fact, Claimed) and not fact.handed_on):
                paths.append(staged(event.job_id, event.attempt, fact.holder))
    return tuple(paths)


def left_over(job: Job, events: Sequence[Event]) -> list[str]:
    """Return where results may lie staged that are of no use since the job has ended; none while it has not."""
    # A job in ERROR keeps its result: revived, it need not run again.
    kept = job.executed.staged if job.state is State.ERROR and job.executed is not None else ""
    return [path for path in all_staged(events) if path != kept] if job.state in FINAL else []


def staged_for(name: str) -> str:
    """Return the id of the job to which a document's name in the folder of staged ones belongs; empty if to none."""
    job_id, _, what = name.removesuffix(".json").rpartition(".")
    ours = name.endswith(".json") and (what == "document" or _OF_ATTEMPT.fullmatch(what) is not None)
    return job_id if ours and is_job_id(job_id) else ""
