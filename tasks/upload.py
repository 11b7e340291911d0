"""The last task: the staged result goes where front ends read it, and the job is DONE."""

import asyncio
import hashlib

from prefect import task
from prefect.cache_policies import NO_CACHE

from models.errors import DocumentMissing, StagedResultLost, StorageUnavailable
from models.events import Completed, Executed, Uploaded
from models.job import State
from storage import crash, layout
from tasks.attempt import Attempt
from tasks.steps import step


@task(name="upload", cache_policy=NO_CACHE, persist_result=False)
@step("upload", when=State.EXECUTED)
async def upload(attempt: Attempt) -> str:
    """Write the result, read it back, compare, and complete the job."""
    executed = attempt.job.executed
    assert executed is not None  # noqa: S101 - the state machine reaches EXECUTED by no other way
    result = attempt.result or await _staged(attempt, executed)
    content, kid = await asyncio.to_thread(_sealed, attempt, result)
    await asyncio.to_thread(_deliver, attempt, content, kid)
    crash.point("upload.appended")
    return f"uploaded: {len(content)} bytes" + (f", signed with the key {kid}" if kid else "")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sealed(attempt: Attempt, result: bytes) -> tuple[bytes, str | None]:
    return attempt.services.signer(attempt.job.storage).sealed_text(attempt.job.backend, result)


def _deliver(attempt: Attempt, content: bytes, kid: str | None) -> None:
    """Write, read back and record, while nobody else may touch the documents of the job."""
    storage = attempt.storage
    sha256 = hashlib.sha256(content).hexdigest()
    path = layout.result(attempt.job.backend, attempt.job.job_id)
    with attempt.services.mirror.alone(attempt.job.job_id):
        # A worker that was paused past its lease must not write over what was accepted meanwhile.
        attempt.check_now()
        # A killed attempt may have written it already, signed with a key that was replaced since: this one counts.
        storage.put(path, content)
        read_back = hashlib.sha256(storage.get(path)).hexdigest()
        if read_back != sha256:
            msg = "the result could not be read back as it was written"
            raise StorageUnavailable(msg)
        crash.point("upload.written")
        attempt.record_now(Uploaded(path=path, bytes=len(content), sha256=read_back, kid=kid), Completed())


async def _staged(attempt: Attempt, executed: Executed) -> bytes:
    """Return the result that an earlier attempt staged."""
    try:
        result = await asyncio.to_thread(attempt.storage.get, executed.staged)
    except DocumentMissing:
        result = b""
    if await asyncio.to_thread(_sha256, result) != executed.result_sha256:
        raise StagedResultLost
    return result
