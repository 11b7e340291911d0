"""What every task shares: it acts only where the log says so, and it turns every error into an event.

A task ends in one of Prefect's own states: Completed, or Failed with the words that the user reads. It raises
only when it is cancelled, so no traceback of a user's bad job is ever logged.
"""

import functools
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from prefect.client.schemas.objects import State as PrefectState
from prefect.states import Cancelled as CancelledState
from prefect.states import Completed
from prefect.states import Failed as FailedState

from models.errors import (
    BackendFailed,
    Blame,
    DocumentTooLarge,
    Fault,
    JobRejected,
    KeyUnusable,
    LimitExceeded,
    LogUnavailable,
    QuledgerError,
    SandboxError,
    StagedResultLost,
    StaleAttempt,
    StorageError,
)
from models.facts import Cancelled, Fact, Stage
from models.job import Phase, State
from models.retry import failure
from storage import failpoints
from tasks.jobs.attempt import Attempt

_LOG = logging.getLogger("quledger.steps")

_NOT_READY = {
    False: ("storage_failed", "the storage did not answer"),
    True: ("cannot_sign", "the key that the laboratory signs with could not be used"),
}

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
                return Completed(message=f"done before: the job is {attempt.job.state}")
            try:
                line = await body(attempt)
            except StaleAttempt as error:
                return FailedState(message=f"this attempt is over: {error}")
            except Exception as error:  # noqa: BLE001 - whatever happens to one job must not end the drain
                if attempt.is_cancelled():
                    return await _cancelled(attempt)
                return FailedState(message=await _record_failure(attempt, stage, error))
            # Prefect logs the state in which a task run ends, and its message with it.
            return Completed(message=line)

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


async def _record_failure(attempt: Attempt, stage: Stage, error: Exception) -> str:
    """Append what an error means for the job; return it in words."""
    message, fact = _meaning(stage, error)
    try:
        if isinstance(error, KeyUnusable):
            await attempt.wait_for_operator(message)
        elif fact is None and isinstance(error, StorageError) and not isinstance(error, StagedResultLost):
            await attempt.give_way(error, message, stage)
        elif isinstance(error, LogUnavailable):
            await attempt.give_back(message)
        elif fact is None:
            await attempt.give_up(message, stage, run_again=isinstance(error, StagedResultLost))
        else:
            await attempt.record(fact)
            failpoints.point("failure.appended")
    except QuledgerError as second:
        # The log does not answer: nothing is recorded, and the job is given back when it does.
        _LOG.warning("failure_unrecorded action=give_back_later job_id=%s: %s", attempt.job.job_id, second)
    return message


def _meaning(stage: Stage, error: Exception) -> tuple[str, Fact | None]:  # noqa: PLR0911 - one for each kind of error
    """Return an error in words, and the fact that ends the job; None where it is to be tried again."""
    match error:
        case JobRejected():
            return str(error), failure(stage, "user", error.faults, error.more)
        case LimitExceeded():
            # Wall time depends on what else this machine does: such a job may be revived.
            blame: Blame = "infrastructure" if error.limit == "wall" else "user"
            return str(error), failure(stage, blame, (Fault(message=str(error), code="runtime"),))
        case BackendFailed(retryable=False):
            return str(error), failure(stage, "backend", (Fault(message=str(error), code="runtime"),))
        case DocumentTooLarge():
            _LOG.warning("storage_refused_size action=fail stage=%s: %s", stage, error)
            message = f"the storage takes no document of {error.size / 1e6:.1f} MB; nothing of this size can be stored"
            return message, failure(stage, "infrastructure", (Fault(message=message, code="runtime"),))
        case StagedResultLost() | SandboxError() | LogUnavailable():
            return str(error), None
        case StorageError() | KeyUnusable():
            # Its own words name a place in the storage or a key, which is no business of the user.
            what, said = _NOT_READY[isinstance(error, KeyUnusable)]
            _LOG.warning("%s action=retry stage=%s: %s", what, stage, error)
            return f"{said} during the {stage}", None
        case _:
            # A fault of this program: the operator gets the traceback, the user only the kind of error.
            _LOG.error("step_broke action=retry stage=%s", stage, exc_info=error)
            return f"the {stage} broke ({type(error).__name__})", None
