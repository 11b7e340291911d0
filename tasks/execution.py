"""The third task: the backend runs the program in the job's own process; the result is staged."""

import asyncio
import hashlib

from prefect import task
from prefect.cache_policies import NO_CACHE

from models.errors import StaleAttempt
from models.facts import Executed
from models.job import State
from storage import failpoints, layout
from tasks.jobs.attempt import Attempt
from tasks.jobs.progress import shown
from tasks.jobs.step import step


@task(name="execution", cache_policy=NO_CACHE, persist_result=False)
@step("execution", when=State.COMPILED)
async def execution(attempt: Attempt) -> str:
    """Run the program and stage the result, so that no later attempt has to run it again."""
    async with shown(lambda: attempt.process.progress):
        answer = await attempt.process.call("execute")
    result: bytes = answer["document"]
    await attempt.process.check(result)
    failpoints.point("execution.ran")
    # In a thread: a large one takes its time.
    sha256 = await asyncio.to_thread(lambda: hashlib.sha256(result).hexdigest())
    staged = layout.staged(attempt.job.job_id, attempt.number, attempt.holder)
    await asyncio.to_thread(attempt.storage.put, staged, result)
    failpoints.point("execution.staged")
    attempt.result = result
    executed = Executed(
        seconds=answer["seconds"],
        cpu_seconds=answer["cpu_seconds"],
        seed=attempt.seed,
        versions=answer["versions"],
        backend_config_sha256=answer["backend_config_sha256"],
        result_sha256=sha256,
        result_bytes=len(result),
        staged=staged,
    )
    try:
        await attempt.record(executed)
    except StaleAttempt:
        # Nobody will accept it: another attempt has the job.
        await asyncio.to_thread(attempt.storage.delete, staged)
        raise
    failpoints.point("execution.appended")
    return f"executed in {answer['seconds']:.3f} s, result {sha256[:12]}"
