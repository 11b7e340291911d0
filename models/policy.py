"""What an error means for a job, what ends an attempt, and what a drain does next: no clock and no server."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from models.errors import (
    BackendFailed,
    Blame,
    DocumentTooLarge,
    Fault,
    JobRejected,
    KeyUnusable,
    LimitExceeded,
    LogUnavailable,
    MirrorAhead,
    SandboxError,
    StagedResultLost,
    StaleAttempt,
    StorageError,
    StorageFull,
)
from models.events import Event
from models.facts import Fact, Failed, Retried, Stage
from models.job import Job
from models.pauses import Paused
from models.retry import RetryPolicy, after_attempt, doubled, failure, given_back, unless_cancelled


class Then(Enum):
    """What becomes of a job whose attempt did not come through."""

    NOTHING = "the attempt was over already: nothing is recorded"
    FAIL = "the job ends in ERROR"
    RETRY = "it is tried again, and the attempt counts"
    RUN_AGAIN = "it is tried again without what was staged, and the attempt counts"
    GIVE_BACK = "it is tried again after the first pause, and no attempt is used up"
    AWAIT_STORAGE = "it waits for its storage to answer"
    AWAIT_ROOM = "it waits for room in a storage that has room for others"
    AWAIT_OPERATOR = "it waits until the operator has done something"
    RELEASE = "it may be claimed again at once, and no attempt is used up"
    HOLD = "nobody claims it until the log has been restored"


@dataclass(frozen=True)
class Outcome:
    """What an error means for the job that met it.

    Attributes:
        message: what the user reads, in one line without paths, keys or tracebacks.
        stage: where the job met it.
        then: what becomes of the job.
        failure: what ends the job in ERROR; with FAIL alone.
        logged: what the operator's log says; empty where the history says it all.
        is_bug: it is a fault of this program, so that the operator's log has the traceback too.
    """

    message: str
    stage: Stage
    then: Then
    failure: Failed | None = None
    logged: str = ""
    is_bug: bool = False


INTERRUPTED = Outcome("the run was interrupted", "lease", Then.RELEASE)
"""The worker was stopped in good order, or could not tell the log what became of the job."""

UNFINISHED = Outcome("the run ended before the job did", "lease", Then.RETRY)

SILENT = Outcome("the worker that had it fell silent", "lease", Then.RETRY)

NO_ROOM = "no room for a document of"
"""What the reason says of an attempt that ended for want of it."""


def outcome_of(error: Exception, stage: Stage) -> Outcome:  # noqa: C901, PLR0911, PLR0912 - one for each kind
    """Return what an error means for the job that met it at this stage."""
    said = str(error)
    match error:
        case StaleAttempt():
            return Outcome(f"this attempt is over: {said}", stage, Then.NOTHING)
        case JobRejected():
            return Outcome(said, stage, Then.FAIL, failure(stage, "user", error.faults, error.more))
        case LimitExceeded():
            # Wall time depends on what else this machine does: such a job may be revived.
            blames: dict[str, Blame] = {"wall": "infrastructure", "processes": "backend"}
            return _fails(said, stage, blames.get(error.limit, "user"))
        case BackendFailed(retryable=False):
            return _fails(said, stage, "backend")
        case DocumentTooLarge():
            message = f"the storage takes no document of {error.size / 1e6:.1f} MB; nothing of this size can be stored"
            logged = f"storage_refused_size action=fail stage={stage}: {said}"
            return _fails(message, stage, "infrastructure", logged)
        case Paused():
            return Outcome(said, stage, Then.RELEASE)
        case StagedResultLost():
            return Outcome(said, stage, Then.RUN_AGAIN)
        case SandboxError():
            return Outcome(said, stage, Then.RETRY)
        case LogUnavailable():
            return Outcome(said, stage, Then.GIVE_BACK)
        case MirrorAhead():
            return Outcome(f"held: {error.why}", stage, Then.HOLD)
        # The words of the next two name a place in the storage or a key, which is no business of the user.
        case KeyUnusable():
            message = f"the key that the laboratory signs with could not be used {_during(stage)}"
            logged = f"cannot_sign action=retry stage={stage}: {said}"
            return Outcome(message, stage, Then.AWAIT_OPERATOR, logged=logged)
        case StorageError():
            message, then = f"the storage did not answer {_during(stage)}", Then.AWAIT_STORAGE
            if isinstance(error, StorageFull):
                message, then = f"{message}: it has {NO_ROOM} {error.size / 1e6:.1f} MB", Then.AWAIT_ROOM
            return Outcome(message, stage, then, logged=f"storage_failed action=retry stage={stage}: {said}")
        case _:
            message = f"the {stage} broke ({type(error).__name__})"
            logged = f"step_broke action=retry stage={stage}"
            return Outcome(message, stage, Then.RETRY, logged=logged, is_bug=True)


def _fails(message: str, stage: Stage, blame: Blame, logged: str = "") -> Outcome:
    fact = failure(stage, blame, (Fault(message=message, code="runtime"),))
    return Outcome(message, stage, Then.FAIL, fact, logged)


def _during(stage: Stage) -> str:
    return "when the job was taken" if stage == "submission" else f"during the {stage}"


MAX_WAIT_FOR_ROOM = timedelta(hours=1)
"""So long a job waits for room that a storage has for all others; after that its attempts count."""


def after_storage_error(then: Then, *, answers: bool, waiting_since: datetime | None, now: datetime) -> Then:
    """Return what becomes of a job whose storage failed: the attempt counts where the storage works for all others.

    Args:
        then: AWAIT_STORAGE, or AWAIT_ROOM where the storage had no room.
        answers: the storage works for everybody else.
        waiting_since: when the job first found no room; None where it had not.
    """
    if not answers:
        return Then.AWAIT_STORAGE
    patient = waiting_since is None or now - waiting_since < MAX_WAIT_FOR_ROOM
    return Then.AWAIT_ROOM if then is Then.AWAIT_ROOM and patient else Then.RETRY


def waiting_for_room_since(history: Iterable[Event]) -> datetime | None:
    """Return when an attempt of the job first ended for want of room (UTC); None where none has."""
    for event in history:
        if isinstance(event.fact, Retried) and NO_ROOM in event.fact.reason:
            return event.recorded_at
    return None


OPERATOR_PAUSE = 15
"""So many times the first pause, a job waits before it is seen whether the operator has done what has to be done."""


def pause_before_next(then: Then, first_pause: float, jitter: float) -> float:
    """Return how long a job waits that is given back, in seconds.

    Args:
        first_pause: of the settings, in seconds.
        jitter: random number in [0, 1); spreads the pauses so that many jobs do not come back at once.
    """
    if then in (Then.RELEASE, Then.HOLD):
        return 0.0
    if then is Then.AWAIT_OPERATOR:
        return OPERATOR_PAUSE * first_pause
    # Where others have room, room for this one will take its time.
    return (OPERATOR_PAUSE if then is Then.AWAIT_ROOM else 1) * first_pause * (0.5 + 0.5 * jitter)


def ending(job: Job, outcome: Outcome, retries: RetryPolicy, *, now: datetime, jitter: float) -> Fact:
    """Return the fact that ends the attempt; a job that somebody wants cancelled is not tried again.

    Args:
        outcome: any but NOTHING.
        jitter: random number in [0, 1).
    """
    if outcome.failure is not None:
        return outcome.failure
    if outcome.then in (Then.RETRY, Then.RUN_AGAIN):
        run_again = outcome.then is Then.RUN_AGAIN
        fact: Fact = after_attempt(
            job, outcome.message, outcome.stage, retries, now=now, jitter=jitter, run_again=run_again
        )
    else:
        pause = pause_before_next(outcome.then, retries.first_pause, jitter)
        fact = given_back(outcome.message, now, pause)
    # A job that is held was perhaps cancelled, or done, in what the log does not know.
    return fact if outcome.then is Then.HOLD else unless_cancelled(job, fact)


MAX_PAUSE = 30.0
"""How long a drain waits at most, in seconds, before it tries a storage or a Prefect that fails again."""


def back_off(first: float, failures: int, longest: float = MAX_PAUSE) -> float:
    """Return a pause that doubles with each failure in a row, in seconds; `first` where there was none."""
    return min(longest, doubled(first, failures))


def claim_pause(failures: int, first_pause: float) -> float:
    """Return how long no job is claimed after so many attempts that failed in a row, in seconds."""
    return back_off(first_pause / 4, failures) if failures else 0.0


POLL_PAUSE = 10
"""After a look at the inbox that found nothing the pause is so many times as long, up to `MAX_PAUSE`."""

DOWN_PAUSE = 5.0
"""The longest such pause, in seconds, while a storage is down: jobs wait for it to come back."""


def poll_pause(took: float, *, found: bool, is_down: bool, least: float) -> float:
    """Return how long the inboxes are left alone after a look at them, in seconds.

    Args:
        took: how long the look took; a storage that takes its time to list is asked less often ...
        found: ... unless there was something to take.
        is_down: one of the storages does not answer, which takes its time too.
        least: of the settings.
    """
    return max(least, min(took * (1 if found else POLL_PAUSE), DOWN_PAUSE if is_down else MAX_PAUSE))


def room(concurrency: int, *, running: int, at_work: int) -> int:
    """Return how many more jobs a drain begins; less than 0 where the last drain had more.

    Args:
        concurrency: so many are at work at once.
        running: those at work, and those that have ended and of which Prefect is still being told. Twice as many may
            run, so that a slow Prefect is not flooded.
        at_work: those that have not ended.
    """
    return min(concurrency - at_work, 2 * concurrency - running)


GRACE_SECONDS = 5.0
"""How long a drain that is told to stop lets its jobs run on."""


class Do(Enum):
    """What a drain does next, unless it rests."""

    POLL = "look at the inboxes"
    HAND_ON = "claim a job for a worker of the pool"
    CLAIM = "claim a job, and begin it"
    VERIFY = "see whether any job is left, in whoever's hands"
    FINISH = "end"


@dataclass(frozen=True)
class Rest:
    """Wait until then by the steady clock, or until a job ends or somebody calls."""

    until: float


@dataclass(frozen=True, kw_only=True)
class DrainState:
    """How a drain stands. Times are seconds of the steady clock.

    Attributes:
        running: how many jobs are under way.
        room: how many more there is room for; less than 0 where the last drain had more.
        poll_at: when the inboxes are looked at next.
        claim_at: before that nothing is claimed.
        end_at: from then on nothing is claimed.
        rest_seconds: how long it rests at most while jobs come to their end.
        unsettled: how many documents may still be being written.
        until_empty: it ends when no job is left.
        has_polled: the inboxes were looked at since it last rested.
        may_hand_on: jobs may wait for workers of the pool; False once none was found since it last rested.
        may_claim: the same of jobs that run here.
        is_empty: whether no job was left when that was asked; None where it was not since it last rested.
        is_over: nothing more is claimed: the process is to end, or the next drain is here.
        stopping_since: when it saw that the process is to end.
        leaves_jobs: what is under way goes on without it.
    """

    running: int = 0
    room: int
    poll_at: float = 0.0
    claim_at: float = 0.0
    end_at: float = float("inf")
    rest_seconds: float
    unsettled: int = 0
    until_empty: bool
    has_polled: bool = False
    may_hand_on: bool = False
    may_claim: bool = True
    is_empty: bool | None = None
    is_over: bool = False
    stopping_since: float | None = None
    leaves_jobs: bool = False


def next_action(state: DrainState, now: float) -> Do | Rest:
    """Return what a drain does next; whoever asks does it, notes what came of it, and asks again."""
    if state.is_over or now >= state.end_at:
        return _when_over(state, now)
    if now >= state.poll_at and not state.has_polled:
        return Do.POLL
    wants = state.may_hand_on or (state.may_claim and state.room > 0)
    if wants and now >= state.claim_at:
        return Do.HAND_ON if state.may_hand_on else Do.CLAIM
    if state.until_empty and not state.running and not state.unsettled and state.is_empty is not False:
        if state.is_empty is None:
            return Do.VERIFY
        # Only a look that found nothing, with nothing running, shows that nothing is left.
        return Do.FINISH if state.has_polled else Do.POLL
    return Rest(min(state.poll_at, state.end_at, state.claim_at if wants else state.end_at))


def _when_over(state: DrainState, now: float) -> Do | Rest:
    if not state.running or state.leaves_jobs:
        return Do.FINISH
    soon = now + state.rest_seconds
    if state.stopping_since is None:
        return Rest(soon)
    given_back_at = state.stopping_since + GRACE_SECONDS
    return Rest(min(soon, given_back_at)) if now < given_back_at else Do.FINISH
