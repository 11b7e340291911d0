"""The last task: the staged result goes where front ends read it, and the job is DONE."""

import asyncio
import contextlib
import hashlib

from prefect import task
from prefect.cache_policies import NO_CACHE

from models.errors import DocumentExists, DocumentMissing, StagedResultLost, StorageUnavailable
from models.facts import Completed, Executed, Uploaded
from models.job import State
from storage import failpoints, layout
from storage.providers.protocol import StorageProvider
from tasks.jobs.attempt import Attempt
from tasks.jobs.step import step


@task(name="upload", cache_policy=NO_CACHE, persist_result=False)
@step("upload", when=State.EXECUTED)
async def upload(attempt: Attempt) -> str:
    """Write the result, read it back, compare, and complete the job."""
    executed = attempt.job.executed
    assert executed is not None  # noqa: S101 - the state machine reaches EXECUTED by no other way
    result = attempt.result or await _staged(attempt, executed)
    content, kid = await asyncio.to_thread(_sealed, attempt, result)
    await asyncio.to_thread(_deliver, attempt, content, kid)
    failpoints.point("upload.appended")
    return f"uploaded: {len(content)} bytes" + (f", signed with the key {kid}" if kid else "")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sealed(attempt: Attempt, result: bytes) -> tuple[bytes, str | None]:
    return attempt.services.signers.of(attempt.job.storage).sealed_text(attempt.job.backend, result)


def _deliver(attempt: Attempt, content: bytes, kid: str | None) -> None:
    """Write, read back and record, while nobody else may touch the documents of the job."""
    storage = attempt.storage
    sha256 = hashlib.sha256(content).hexdigest()
    path = layout.result(attempt.job.backend, attempt.job.job_id)
    with attempt.services.relay.exclusive(attempt.job.job_id):
        # A worker that is frozen anywhere in here, past its lease and the lock, must not write over what is accepted
        # meanwhile. `executed` has said what result that will be, and whoever goes on with the job writes the same
        # bytes: so the first one to write creates, and whoever comes later finds what it wanted to write.
        attempt.check_now()
        with contextlib.suppress(DocumentExists):
            storage.create(path, content)
        read_back = _hash_of(storage, path)
        if read_back != sha256:
            # Left by an attempt whose key was replaced since, or whose result was lost and computed again.
            attempt.check_now()
            storage.put(path, content)
            read_back = _hash_of(storage, path)
        if read_back != sha256:
            msg = "the result could not be read back as it was written"
            raise StorageUnavailable(msg)
        failpoints.point("upload.written")
        attempt.record_now(Uploaded(path=path, bytes=len(content), sha256=read_back, kid=kid), Completed())


def _hash_of(storage: StorageProvider, path: str) -> str:
    try:
        return hashlib.sha256(storage.get(path)).hexdigest()
    except DocumentMissing:
        return ""  # taken away in this moment


async def _staged(attempt: Attempt, executed: Executed) -> bytes:
    """Return the result that an earlier attempt staged."""
    try:
        result = await asyncio.to_thread(attempt.storage.get, executed.staged)
    except DocumentMissing:
        result = b""
    if await asyncio.to_thread(_sha256, result) != executed.result_sha256:
        raise StagedResultLost
    return result
