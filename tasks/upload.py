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
    storage = attempt.services.storage
    result = attempt.result or await _staged(attempt, executed)
    # A worker that was paused past its lease must not write over what was accepted meanwhile.
    await attempt.check()
    path = layout.result(attempt.job.backend, attempt.job.job_id)
    await asyncio.to_thread(storage.put, path, result)
    read_back = hashlib.sha256(await asyncio.to_thread(storage.get, path)).hexdigest()
    if read_back != executed.result_sha256:
        msg = "the result could not be read back as it was written"
        raise StorageUnavailable(msg)
    crash.point("upload.written")
    await attempt.record(Uploaded(path=path, bytes=len(result), sha256=read_back), Completed())
    crash.point("upload.appended")
    return f"uploaded: {len(result)} bytes"


async def _staged(attempt: Attempt, executed: Executed) -> bytes:
    """Return the result that an earlier attempt staged."""
    try:
        result = await asyncio.to_thread(attempt.services.storage.get, executed.staged)
    except DocumentMissing:
        result = b""
    if hashlib.sha256(result).hexdigest() != executed.result_sha256:
        raise StagedResultLost
    return result
