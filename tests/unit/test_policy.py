"""What an error means for a job, and what ends an attempt: no clock, no server, no sleep."""

from datetime import UTC, datetime, timedelta

import pytest

from models.errors import (
    AppendConflict,
    BackendFailed,
    ChildDied,
    DocumentMissing,
    DocumentTooLarge,
    Fault,
    JobRejected,
    KeyUnusable,
    LimitExceeded,
    LogBroken,
    LogUnavailable,
    MirrorAhead,
    StagedResultLost,
    StaleAttempt,
    StorageFull,
    StorageInactive,
    StorageRefused,
    StorageUnavailable,
)
from models.events import GENESIS, Event, seal
from models.facts import Cancelled, CancelRequested, Claimed, Fact, Failed, Retried, Submitted
from models.job import Job, fold
from models.policy import (
    INTERRUPTED,
    SILENT,
    UNFINISHED,
    Outcome,
    Then,
    after_storage_error,
    ending,
    outcome_of,
    pause_before_next,
    waiting_for_room_since,
)
from models.retry import RetryPolicy

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
RETRIES = RetryPolicy(max_attempts=3, first_pause=2.0)


def job(*, failures: int = 0, cancelled: bool = False) -> Job:
    """Return a job that is claimed, after so many attempts that failed."""
    facts: list[Fact] = [Submitted.of(b"{}", keep_up_to=9, backend="rydberg", source="cli", received_at=NOW)]
    for number in range(failures + 1):
        if number:
            facts.append(Retried(reason="storm", after_seconds=1, not_before=NOW))
        facts.append(Claimed(worker="w", lease_until=NOW))
    if cancelled:
        facts.append(CancelRequested(by="ann"))
    found = fold(sealed(*facts))
    assert found is not None
    return found


def sealed(*facts: Fact, apart: timedelta = timedelta()) -> list[Event]:
    """Return a history of these facts, recorded so far apart."""
    events: list[Event] = []
    attempt = 0
    for seq, fact in enumerate(facts):
        attempt += fact.kind == "claimed"
        prev_hash = events[-1].hash if events else GENESIS
        when = NOW + seq * apart
        envelope = {"job_id": "j", "seq": seq, "attempt": attempt, "recorded_at": when, "prev_hash": prev_hash}
        events.append(seal(fact, actor="w", flow_run_id=None, **envelope))
    return events


USER, BACKEND, LABORATORY = "user", "backend", "infrastructure"
FAULTS = (Fault(message="wrong", experiment="experiment_0"), Fault(message="worse"))
SECRET = "/srv/lab: no such key sk_123"
UNANSWERED = "the storage did not answer during the upload"


@pytest.mark.parametrize(
    ("error", "then", "message"),
    [
        (StaleAttempt("attempt 1 is over"), Then.NOTHING, "this attempt is over: attempt 1 is over"),
        (StagedResultLost(), Then.RUN_AGAIN, "the staged result of an earlier attempt is gone; the job runs again"),
        (ChildDied("the process ended"), Then.RETRY, "the process ended"),
        (BackendFailed("Busy", retryable=True), Then.RETRY, "the backend failed with Busy"),
        (LogUnavailable("the log does not answer"), Then.GIVE_BACK, "the log does not answer"),
        (MirrorAhead("j", "event 3 differs"), Then.HOLD, "held: event 3 differs"),
    ],
)
def test_an_error_that_speaks_for_itself_is_told_as_it_is(error: Exception, then: Then, message: str):
    """Its words are the user's, the history has all, and the operator's log need not say it again."""
    assert outcome_of(error, "upload") == Outcome(message, "upload", then, failure=None, logged="", is_bug=False)


@pytest.mark.parametrize(
    ("error", "blame", "message"),
    [
        (LimitExceeded("out of CPU time", "cpu"), USER, "out of CPU time"),
        (LimitExceeded("out of memory", "memory"), USER, "out of memory"),
        (LimitExceeded("too large an answer", "answer"), USER, "too large an answer"),
        (LimitExceeded("out of time", "wall"), LABORATORY, "out of time"),
        (BackendFailed("Broken"), BACKEND, "the backend failed with Broken"),
    ],
)
def test_what_another_attempt_would_meet_again_ends_the_job(error: Exception, blame: str, message: str):
    """The job is in ERROR, and it is said whose fault that is."""
    outcome = outcome_of(error, "execution")
    fault = Fault(message=message, code="runtime")
    expected = Failed.model_validate({"stage": "execution", "blame": blame, "faults": (fault,), "fault_count": 1})
    assert outcome == Outcome(message, "execution", Then.FAIL, failure=expected, logged="", is_bug=False)


def test_all_faults_of_a_document_are_told():
    """Those that were only counted are counted here too."""
    outcome = outcome_of(JobRejected(*FAULTS, more=7), "validation")
    assert outcome.message == "experiment_0: wrong; worse; and 7 more"
    assert outcome.then is Then.FAIL
    assert outcome.failure == Failed(stage="validation", blame="user", faults=FAULTS, fault_count=9)
    assert (outcome.stage, outcome.logged, outcome.is_bug) == ("validation", "", False)


def test_a_document_that_the_storage_never_takes_ends_the_job():
    """The user reads how large it was, and the operator what the storage said."""
    outcome = outcome_of(DocumentTooLarge(SECRET, 2_450_001), "upload")
    message = "the storage takes no document of 2.5 MB; nothing of this size can be stored"
    assert outcome.failure == Failed(
        stage="upload", blame="infrastructure", faults=(Fault(message=message, code="runtime"),), fault_count=1
    )
    assert (outcome.message, outcome.then, outcome.is_bug) == (message, Then.FAIL, False)
    assert outcome.logged == f"storage_refused_size action=fail stage=upload: {SECRET}"


@pytest.mark.parametrize(
    ("error", "then", "message", "logged"),
    [
        (StorageUnavailable(SECRET), Then.AWAIT_STORAGE, UNANSWERED, "storage_failed"),
        (StorageRefused(SECRET), Then.AWAIT_STORAGE, UNANSWERED, "storage_failed"),
        (DocumentMissing(SECRET), Then.AWAIT_STORAGE, UNANSWERED, "storage_failed"),
        (
            StorageFull(SECRET, 550_000),
            Then.AWAIT_ROOM,
            f"{UNANSWERED}: it has no room for a document of 0.6 MB",
            "storage_failed",
        ),
        (
            KeyUnusable(SECRET),
            Then.AWAIT_OPERATOR,
            "the key that the laboratory signs with could not be used during the upload",
            "cannot_sign",
        ),
    ],
)
def test_what_names_a_place_or_a_key_is_for_the_operator_alone(error: Exception, then: Then, message: str, logged: str):
    """The user reads what did not work and when; the operator's log has the words."""
    outcome = outcome_of(error, "upload")
    assert outcome == Outcome(message, "upload", then, logged=f"{logged} action=retry stage=upload: {SECRET}")


def test_a_storage_that_fails_before_the_first_step_is_told_so():
    """There is no step yet whose name would say when it was."""
    outcome = outcome_of(StorageInactive("main"), "submission")
    assert outcome.message == "the storage did not answer when the job was taken"


@pytest.mark.parametrize("error", [ZeroDivisionError(SECRET), LogBroken(SECRET), AppendConflict(SECRET)])
def test_a_fault_of_this_program_shows_only_its_kind(error: Exception):
    """The operator gets the traceback; the job is tried again."""
    assert outcome_of(error, "compilation") == Outcome(
        f"the compilation broke ({type(error).__name__})",
        "compilation",
        Then.RETRY,
        logged="step_broke action=retry stage=compilation",
        is_bug=True,
    )


@pytest.mark.parametrize(
    ("then", "answers", "waiting_since", "expected"),
    [
        (Then.AWAIT_STORAGE, False, None, Then.AWAIT_STORAGE),
        (Then.AWAIT_STORAGE, True, None, Then.RETRY),
        (Then.AWAIT_STORAGE, True, NOW, Then.RETRY),
        (Then.AWAIT_ROOM, False, NOW - 2 * HOUR, Then.AWAIT_STORAGE),
        (Then.AWAIT_ROOM, True, None, Then.AWAIT_ROOM),
        (Then.AWAIT_ROOM, True, NOW - HOUR + timedelta(seconds=1), Then.AWAIT_ROOM),
        (Then.AWAIT_ROOM, True, NOW - HOUR, Then.RETRY),
    ],
)
def test_an_attempt_counts_where_the_storage_works_for_all_others(
    then: Then, answers: bool, waiting_since: datetime | None, expected: Then  # noqa: FBT001 - a case
):  # fmt: skip
    """A storage that is down costs no attempt; one without room for this job costs none for an hour."""
    assert after_storage_error(then, answers=answers, waiting_since=waiting_since, now=NOW) is expected


def test_waiting_for_room_begins_with_the_first_attempt_that_found_none():
    """Other reasons do not count, nor do later attempts."""
    submitted = Submitted.of(b"{}", keep_up_to=9, backend="rydberg", source="cli", received_at=NOW)
    claimed = Claimed(worker="w", lease_until=NOW)
    full = outcome_of(StorageFull("full", 1), "upload").message
    facts: list[Fact] = [submitted]
    for reason in ("storm", full, full):
        facts += [claimed, Retried(reason=reason, after_seconds=1, not_before=NOW)]
    history = sealed(*facts, apart=HOUR)
    assert waiting_for_room_since(history) == NOW + 4 * HOUR
    assert waiting_for_room_since(history[:4]) is None


@pytest.mark.parametrize(
    ("then", "jitter", "seconds"),
    [
        (Then.RELEASE, 0.5, 0),
        (Then.HOLD, 0.5, 0),
        (Then.GIVE_BACK, 0.0, 1),
        (Then.GIVE_BACK, 0.5, 1.5),
        (Then.AWAIT_STORAGE, 0.0, 1),
        (Then.AWAIT_STORAGE, 0.5, 1.5),
        (Then.AWAIT_ROOM, 0.0, 15),
        (Then.AWAIT_ROOM, 0.5, 22.5),
        (Then.AWAIT_OPERATOR, 0.0, 30),
        (Then.AWAIT_OPERATOR, 0.5, 30),
    ],
)
def test_a_job_that_is_given_back_waits(then: Then, jitter: float, seconds: float):
    """The first pause is 2 s here; no attempt is used up, and a job that somebody wants cancelled ends."""
    assert pause_before_next(then, 2.0, jitter) == seconds
    outcome = Outcome("why", "upload", then)
    for failures in (0, 2):
        fact = ending(job(failures=failures), outcome, RETRIES, now=NOW, jitter=jitter)
        later = NOW + timedelta(seconds=seconds)
        assert fact == Retried(reason="why", after_seconds=seconds, not_before=later, counted=False)
    ended = ending(job(cancelled=True), outcome, RETRIES, now=NOW, jitter=jitter)
    assert isinstance(ended, Retried if then is Then.HOLD else Cancelled)


@pytest.mark.parametrize("run_again", [False, True])
def test_a_job_that_is_tried_again_fails_after_its_last_attempt(run_again: bool):  # noqa: FBT001 - a case
    """Each pause is twice the last one; of three attempts the third ends the job."""
    outcome = Outcome("why", "upload", Then.RUN_AGAIN if run_again else Then.RETRY)
    for failures, seconds in ((0, 1.0), (1, 2.0)):
        assert ending(job(failures=failures), outcome, RETRIES, now=NOW, jitter=0.0) == Retried(
            reason="why",
            after_seconds=seconds,
            not_before=NOW + timedelta(seconds=seconds),
            counted=True,
            run_again=run_again,
        )
    assert ending(job(), outcome, RETRIES, now=NOW, jitter=0.5).model_dump()["after_seconds"] == 1.5
    last = ending(job(failures=2), outcome, RETRIES, now=NOW, jitter=0.0)
    reason = "gave up after 3 failed attempts; the last one: why"
    assert last == Failed(
        stage="upload", blame="infrastructure", faults=(Fault(message=reason, code="runtime"),), fault_count=1
    )
    assert ending(job(cancelled=True), outcome, RETRIES, now=NOW, jitter=0.0) == Cancelled()


def test_a_fault_that_is_recorded_first_wins_over_a_cancellation():
    """The user is told what was wrong, though somebody wanted the job cancelled."""
    outcome = outcome_of(JobRejected(*FAULTS), "validation")
    assert ending(job(cancelled=True), outcome, RETRIES, now=NOW, jitter=0.0) == outcome.failure


def test_what_ends_an_attempt_from_outside_says_why():
    """Being stopped costs no attempt; ending early or falling silent does."""
    assert Outcome("the run was interrupted", "lease", Then.RELEASE) == INTERRUPTED
    assert Outcome("the run ended before the job did", "lease", Then.RETRY) == UNFINISHED
    assert Outcome("the worker that had it fell silent", "lease", Then.RETRY) == SILENT
