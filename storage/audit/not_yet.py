"""What may not lie in a storage yet: documents that say of a job what its log does not say (so far).

Nothing here believes a document: what may be there, and with which content, follows from the events alone.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterable, Iterator

from models.audit import What
from models.errors import NotAuthentic
from models.events import Event
from models.facts import Executed
from models.job import Job, State, fold
from models.signing import is_signed, payload_text
from models.status import is_first_status, status_document
from storage import layout
from storage.providers.protocol import StorageProvider, get_or_none
from storage.signatures.signing import Signatures

SECOND_LOOK = 0.5
"""So many seconds later a document that is not JSON is read once more: front ends do not write atomically."""


def too_early(  # noqa: PLR0913 - what the documents of a job are compared with
    storage: StorageProvider,
    job: Job,
    events: list[Event],
    staged: Iterable[str],
    signatures: Signatures,
    *,
    mirrored: int,
) -> Iterator[tuple[What, str]]:
    """Yield what says more of a job that has not ended than its events do.

    Args:
        staged: every path at which one of its attempts may have staged a result.
        mirrored: seq of the last event whose documents are surely written.
    """
    yield from _status(storage, job, events, mirrored)
    yield from _result(storage, job, events, signatures)
    yield from _staged(storage, job, events, staged)


def claims_an_end(content: bytes) -> bool:
    """Say whether a status, whole or not, is none that a job has which nobody has run."""
    try:
        return not is_first_status(json.loads(content))
    except (ValueError, RecursionError):
        return True


def attempt_of(path: str, job_id: str) -> int:
    """Return the attempt in the name of a staged result; -1 where there is none, as in that of a job document."""
    rest = path.rpartition("/")[2].removeprefix(f"{job_id}.")
    digits = re.match(r"[0-9]{1,9}", rest)
    return -1 if digits is None else int(digits[0])


def _status(storage: StorageProvider, job: Job, events: list[Event], mirrored: int) -> Iterator[tuple[What, str]]:
    path = layout.status(job.backend, job.job_id)
    content = get_or_none(storage, path)
    if content is None:
        # Front ends write the first status of their jobs themselves, and perhaps have not yet.
        if job.source != "inbox" and mirrored == job.seq:
            yield "status", f"{path} is missing"
        return
    said = {_status_of(events[: seq + 1]) for seq in range(max(mirrored, 0), len(events))}
    if content in said:
        return
    if job.source == "inbox" and claims_an_end(content):
        time.sleep(SECOND_LOOK if _is_torn(content) else 0)
        content = get_or_none(storage, path) or b""
    if job.source != "inbox" or claims_an_end(content) or json.loads(content)["job_id"] != job.job_id:
        yield "status", f"{path} does not say that the job is under way as the log does ({job.state})"


def _status_of(events: list[Event]) -> bytes | None:
    job = fold(events)
    return None if job is None else json.dumps(status_document(job).model_dump()).encode("utf-8")


def _is_torn(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return True
    return False


def _result(
    storage: StorageProvider, job: Job, events: list[Event], signatures: Signatures
) -> Iterator[tuple[What, str]]:
    """A worker writes the result before it says so; what it writes is what the log says it has executed."""
    path = layout.result(job.backend, job.job_id)
    computed = {event.fact.result_sha256 for event in events if isinstance(event.fact, Executed)}
    if not computed:
        if storage.exists(path):
            yield "result", f"{path} is there, and the job is {job.state}: nothing was executed"
        return
    content = get_or_none(storage, path)
    if content is None:
        if job.state is State.UPLOADED:
            yield "result", f"{path} is missing"
        return
    if job.state is State.UPLOADED and job.uploaded is not None:
        if hashlib.sha256(content).hexdigest() != job.uploaded.sha256:
            yield "result", f"{path} is not the result that was uploaded"
    elif hashlib.sha256(content).hexdigest() not in computed and not _signs(content, computed, signatures):
        yield "result", f"{path} is no result that the job has computed, and the job is {job.state}"


def _signs(content: bytes, computed: set[str], signatures: Signatures) -> bool:
    """Say whether this is a signed document whose payload was computed."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return False
    if not is_signed(document):
        return False
    try:
        payload = payload_text(signatures.check(content))
    except NotAuthentic:
        return False
    return hashlib.sha256(payload).hexdigest() in computed


def _staged(
    storage: StorageProvider, job: Job, events: list[Event], staged: Iterable[str]
) -> Iterator[tuple[What, str]]:
    kept = job.executed.staged if job.executed is not None else ""
    compiled = {event.attempt for event in events if event.kind == "compiled"}
    for path in staged:
        if path == kept:
            continue
        # What was staged and not recorded, or is of no use any more, lies there until the job ends.
        if attempt_of(path, job.job_id) not in compiled and storage.exists(path):
            yield "staged", f"{path} is there, and that attempt of the job has compiled nothing"
    if kept and job.executed is not None:
        content = get_or_none(storage, kept)
        if content is None:
            yield "staged", f"{kept} is missing; the job will run again"
        elif hashlib.sha256(content).hexdigest() != job.executed.result_sha256:
            yield "staged", f"{kept} is not the result that was executed; the job will run again"
