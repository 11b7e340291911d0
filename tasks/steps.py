"""The four steps of a job, which are Prefect tasks, and what they share.

A step acts only where the log says so, and turns every error into an event. Its task ends in one of Prefect's own
states: Completed, or Failed with the words that the user reads. It raises only when it is cancelled, so no traceback of
a user's bad job is ever logged.
"""

import asyncio
import contextlib
import functools
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State as PrefectState
from prefect.states import Cancelled as CancelledState
from prefect.states import Completed as CompletedState
from prefect.states import Failed as FailedState

from models.calibrations import Version, sha256_of
from models.errors import Fault, JobRejected, QuledgerError, SandboxError, StaleAttempt
from models.facts import Cancelled, Compiled, Executed, Stage, Validated
from models.job import Phase, State
from models.words import count_of
from storage import failpoints, layout
from tasks.jobs.attempt import Attempt
from tasks.jobs.delivery import deliver, staged_result
from tasks.jobs.progress import show_progress

Step = Callable[[Attempt], Awaitable[str]]
"""Does one step of an attempt, records it, and returns one line about it."""


def step(stage: Stage, when: State) -> Callable[[Step], Callable[[str], Coroutine[Any, Any, PrefectState]]]:
    """Make a step into the body of a task of the job with the given id.

    Args:
        stage: its name in events and messages.
        when: the only state in which there is something to do; elsewhere the step was done by an earlier attempt.
    """

    def decorate(body: Step) -> Callable[[str], Coroutine[Any, Any, PrefectState]]:
        @functools.wraps(body)
        async def run(job_id: str) -> PrefectState:
            del job_id  # what Prefect shows as the task's input
            attempt = Attempt.current()
            if attempt.is_cancelled():
                return await _cancelled(attempt)
            if attempt.job.state is not when:
                return CompletedState(message=f"done before: the job is {attempt.job.state}")
            try:
                line = await body(attempt)
            except Exception as error:  # noqa: BLE001 - whatever happens to one job must not end the drain
                if attempt.is_cancelled() and not isinstance(error, StaleAttempt):
                    return await _cancelled(attempt)
                return FailedState(message=await attempt.fail(error, stage))
            # Prefect logs the state in which a task run ends, and its message with it.
            return CompletedState(message=line)

        return run

    return decorate


async def _cancelled(attempt: Attempt) -> PrefectState:
    """End the job as somebody wants it to end."""
    try:
        if attempt.job.phase is Phase.RUNNING:
            await attempt.record(Cancelled())
    except QuledgerError as error:
        return FailedState(message=f"the job was cancelled, and that could not be recorded: {error}")
    return CancelledState(message="the job was cancelled")


@task(name="validation", cache_policy=NO_CACHE, persist_result=False)
@step("validation", when=State.CLAIMED)
async def validation(attempt: Attempt) -> str:
    """Check the document, and its predicted cost against the limits of the backend."""
    if attempt.document is None:
        limit = attempt.services.settings.max_document_mb
        size = attempt.job.document_bytes / 1e6
        raise JobRejected(Fault(message=f"the document has {size:.1f} MB; at most {limit:g} MB are accepted"))
    summary = await attempt.process.call("validate")
    await attempt.record(
        Validated(experiments=summary["experiments"], shots=summary["shots"], cost=summary.get("cost"))
    )
    failpoints.point("validation.appended")
    return f"validated: {count_of(summary['experiments'], 'experiment')}, {count_of(summary['shots'], 'shot')}"


SEED_BITS = 53
"""The largest seed that every JSON reader keeps exactly (RFC 8259, section 6)."""


@task(name="compilation", cache_policy=NO_CACHE, persist_result=False)
@step("compilation", when=State.VALIDATED)
async def compilation(attempt: Attempt) -> str:
    """Settle what will run, the seed of every unseeded choice included."""
    recorded = attempt.job.seed
    seed = secrets.randbits(SEED_BITS) if recorded is None else recorded
    answer = await attempt.process.call("compile", seed=seed)
    attempt.seed = seed
    await attempt.record(
        Compiled(program_sha256=answer["program_sha256"], program_bytes=len(answer["program"]), seed=seed)
    )
    failpoints.point("compilation.appended")
    return f"compiled: program {answer['program_sha256'][:12]}, {len(answer['program'])} bytes"


@task(name="execution", cache_policy=NO_CACHE, persist_result=False)
@step("execution", when=State.COMPILED)
async def execution(attempt: Attempt) -> str:
    """Run the program and stage the result, so that no later attempt has to run it again."""
    await asyncio.to_thread(attempt.check_pause)
    async with show_progress(lambda: attempt.process.progress):
        answer = await attempt.process.call("execute")
    result: bytes = answer["document"]
    await attempt.process.check(result)
    failpoints.point("execution.ran")
    # In a thread: a large one takes its time.
    sha256 = await asyncio.to_thread(_sha256, result)
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
        calibration_sha256=answer["calibration_sha256"],
    )
    await _keep_calibration(attempt, answer["calibration_sha256"])
    try:
        await attempt.record(executed)
    except StaleAttempt:
        # Nobody will accept it: another attempt has the job.
        await asyncio.to_thread(attempt.storage.delete, staged)
        raise
    failpoints.point("execution.appended")
    return f"executed in {answer['seconds']:.3f} s, result {sha256[:12]}"


async def _keep_calibration(attempt: Attempt, sha256: str) -> None:
    """See to it that the ledger has what the result stands on; the job is done without it too."""
    backend, ledger = attempt.job.backend, attempt.services.calibrations
    if ledger.knows(backend, sha256):
        return
    with contextlib.suppress(SandboxError):
        told = await attempt.process.call("describe")
        version = Version(sha256, told["config_sha256"], told["text"].decode("utf-8", "replace"))
        if sha256_of(version.text) == sha256:
            await asyncio.to_thread(ledger.ensure, backend, version)


@task(name="upload", cache_policy=NO_CACHE, persist_result=False)
@step("upload", when=State.EXECUTED)
async def upload(attempt: Attempt) -> str:
    """Write the result, read it back, compare, and complete the job."""
    executed = attempt.job.executed
    assert executed is not None  # noqa: S101 - the state machine reaches EXECUTED by no other way
    result = attempt.result
    if result is None:
        result = await asyncio.to_thread(staged_result, attempt, executed)
    uploaded = await asyncio.to_thread(deliver, attempt, result)
    failpoints.point("upload.appended")
    return f"uploaded: {uploaded.bytes} bytes" + (f", signed with the key {uploaded.kid}" if uploaded.kid else "")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
