"""Cancel, result, lease and retry: who wins, whatever comes first. docs/job-states.md tells the same as a table."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models import clock
from models.cancelling import RunEnd, run_end
from models.errors import Fault, NotCancellable, NotRevivable
from models.events import (
    Cancelled,
    CancelRequested,
    Compiled,
    Completed,
    Executed,
    Fact,
    LeaseExpired,
    Submitted,
    Uploaded,
    Validated,
)
from models.job import Job, State
from models.retry import RetryPolicy, after_attempt, failure, given_back, unless_cancelled
from models.settings import Settings
from storage.log.event_log import EventLog
from tasks.jobs.claims import Claim
from tasks.jobs.releases import begin, claim, release
from tasks.jobs.submission import cancel, revive
from tasks.services import Services, use

EXECUTED = Executed(
    seconds=1, cpu_seconds=1, seed=1, versions={}, backend_config_sha256="c", result_sha256="r", result_bytes=1,
    staged="staged/j.1.json",
)  # fmt: skip
STEPS: tuple[Fact, ...] = (
    Validated(experiments=1, shots=1),
    Compiled(program_sha256="p", program_bytes=1, seed=1),
    EXECUTED,
    Uploaded(path="p", bytes=1, sha256="r"),
)
RUNNING = ("CLAIMED", "VALIDATED", "COMPILED", "EXECUTED", "UPLOADED")
USER = failure("validation", "user", (Fault(message="wrong"),))
STORM = failure("upload", "infrastructure", (Fault(message="storm"),))


class Lab:
    """Services with one job, and the token of whoever holds it."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.token = ""
        fact = Submitted.of(b"{}", keep_up_to=9, backend="rydberg", source="cli", received_at=clock.now())
        services.log.submit("j", fact, "test")

    @property
    def log(self) -> EventLog:
        return self.services.log

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.log.history("j")]

    def to(self, state: str) -> "Lab":
        """Claim the job and work on it up to a state."""
        if state == "QUEUED":
            return self
        claimed = claim(self.services, ["rydberg"])
        assert claimed is not None
        begin(self.services, "j", claimed.job.attempt)
        self.token = claimed.token
        for fact in STEPS[: RUNNING.index(state)]:
            self.append(fact)
        assert self.log.get("j").state == state
        return self

    def append(self, *facts: Fact) -> Job:
        """Append as the holder."""
        job = self.log.get("j")
        return self.log.append(job, *facts, attempt=job.attempt, actor="w", token=self.token)

    def lose(self) -> Job:
        """End the attempt as housekeeping does when the lease ran out."""

        def decide(job: Job) -> tuple[Fact, ...]:
            assert job.worker is not None
            assert job.lease_until is not None
            after = after_attempt(job, "silent", "lease", RetryPolicy(5, 0), now=clock.now(), jitter=0)
            return LeaseExpired(worker=job.worker, lease_until=job.lease_until), unless_cancelled(job, after)

        late = EventLog(self.log.engine, lambda: clock.now().replace(year=clock.now().year + 1))
        (job,) = late.expire(decide, "reconcile")
        return job

    def cancel(self) -> Job:
        return cancel(self.services, "j", by="ann")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A laboratory with one job that waits."""
    services = Services(Settings(home=tmp_path, retry_seconds=0))
    use(services)
    yield Lab(services)
    use(None)
    services.log.engine.dispose()


def test_a_job_that_waits_is_cancelled_at_once(lab: Lab):
    """Nobody has to come by: not before its first attempt, and not between two."""
    assert lab.cancel().state is State.CANCELLED
    assert lab.kinds == ["submitted", "cancel_requested", "cancelled"]


@pytest.mark.parametrize("state", RUNNING)
def test_a_job_that_runs_is_cancelled_by_its_holder(lab: Lab, state: str):
    """The request changes nothing yet; asked twice it stands once; the holder, and nobody else, ends the job."""
    lab.to(state)
    assert lab.cancel().state == state
    assert lab.cancel().state == state
    assert lab.kinds.count("cancel_requested") == 1
    assert lab.append(Cancelled()).state is State.CANCELLED


@pytest.mark.parametrize("state", RUNNING)
def test_a_result_that_is_accepted_first_wins(lab: Lab, state: str):
    """A worker that was quicker than the word of the request ends the job as ever, and a later cancel is refused."""
    lab.to(state)
    lab.cancel()
    assert lab.append(*STEPS[RUNNING.index(state) :], Completed()).state is State.DONE
    with pytest.raises(NotCancellable):
        lab.cancel()


@pytest.mark.parametrize("state", RUNNING)
def test_a_fault_that_is_recorded_first_wins(lab: Lab, state: str):
    """So does a fault of the document, or of the laboratory."""
    lab.to(state)
    lab.cancel()
    assert lab.append(USER).state is State.ERROR


@pytest.mark.parametrize("state", RUNNING)
@pytest.mark.parametrize("way", ["lost", "released"])
def test_an_attempt_that_ends_after_the_request_is_not_tried_again(lab: Lab, state: str, way: str):
    """Whether the worker fell silent or was stopped: instead of another attempt there is the end."""
    lab.to(state)
    lab.cancel()
    if way == "lost":
        assert lab.lose().state is State.CANCELLED
        assert lab.kinds[-2:] == ["lease_expired", "cancelled"]
    else:
        assert release(lab.services, Claim(lab.log.get("j"), lab.token)).state is State.CANCELLED


@pytest.mark.parametrize("state", RUNNING)
@pytest.mark.parametrize("way", ["lost", "given back"])
def test_a_job_between_two_attempts_is_cancelled_at_once(lab: Lab, state: str, way: str):
    """After a lost lease or a retry it waits, and nobody holds it."""
    lab.to(state)
    _ = lab.lose() if way == "lost" else lab.append(given_back("stopped", clock.now()))
    assert lab.cancel().state is State.CANCELLED


def test_a_request_that_an_older_worker_passed_over_is_no_dead_end(lab: Lab):
    """A job that was tried again though somebody wanted it cancelled is cancelled when that is said once more."""
    lab.to("CLAIMED")
    lab.append(CancelRequested(by="ann"), given_back("stopped", clock.now()))
    assert lab.log.get("j").cancel_requested
    assert lab.cancel().state is State.CANCELLED
    assert lab.kinds.count("cancel_requested") == 1


ENDS: dict[str, Callable[[Lab], object]] = {
    "DONE": lambda lab: lab.to("UPLOADED").append(Completed()),
    "ERROR": lambda lab: lab.to("CLAIMED").append(STORM),
    "CANCELLED": lambda lab: lab.cancel(),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_has_ended_is_not_cancelled(lab: Lab, end: str):
    """A job that is final stays as it is, and the user is told what it is."""
    ENDS[end](lab)
    before = lab.kinds
    with pytest.raises(NotCancellable, match=end):
        lab.cancel()
    assert lab.kinds == before


def test_a_cancelled_job_is_not_revived_and_a_revived_one_has_forgotten_the_request(lab: Lab):
    """A retry of a cancelled job is refused; one of a failed job begins a life in which nobody has cancelled it."""
    lab.to("CLAIMED")
    lab.cancel()
    lab.append(STORM)
    job = revive("j")
    assert (job.state, job.cancel_requested) == (State.QUEUED, False)
    lab.to("CLAIMED")
    lab.cancel()
    assert lab.append(Cancelled()).state is State.CANCELLED
    with pytest.raises(NotRevivable):
        revive("j")


def test_a_cancel_and_a_claim_at_once_leave_one_winner(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    """Whoever decided by what the job was a moment ago reads it again, and decides again."""
    stale = lab.log.get("j")
    lab.to("CLAIMED")
    kept, answers = lab.log.get, [stale]
    monkeypatch.setattr(lab.log, "get", lambda job_id: answers.pop() if answers else kept(job_id))
    assert lab.cancel().state is State.CLAIMED
    assert lab.kinds == ["submitted", "claimed", "cancel_requested"]


NOT_YET, AS_THE_JOB, OVER = RunEnd.NOT_YET, RunEnd.AS_THE_JOB, RunEnd.CANCELLED


@pytest.mark.parametrize(
    ("state", "is_last", "attempt", "cancelling", "end"),
    [
        # The run that the log names: a run that is Cancelling gets the job's own end, whatever that is.
        ("DONE", True, 1, True, AS_THE_JOB),
        ("ERROR", True, 1, True, AS_THE_JOB),
        ("CANCELLED", True, 1, True, AS_THE_JOB),
        ("DONE", True, None, True, AS_THE_JOB),
        # Cancelled in Prefect, and the result was accepted all the same.
        ("DONE", True, 1, False, AS_THE_JOB),
        ("ERROR", True, 1, False, NOT_YET),
        ("CANCELLED", True, 1, False, NOT_YET),
        # A run of an earlier attempt.
        ("DONE", False, 1, True, OVER),
        ("ERROR", False, 1, True, OVER),
        ("DONE", False, 1, False, NOT_YET),
        # Its worker is at it, or was: then its lease ends.
        ("CLAIMED", True, 1, True, NOT_YET),
        ("COMPILED", False, 1, True, NOT_YET),
        ("CLAIMED", True, None, True, NOT_YET),
        ("CLAIMED", True, 1, False, NOT_YET),
        # Another attempt has the job, or it waits for one.
        ("CLAIMED", False, 0, True, OVER),
        ("QUEUED", True, 1, True, OVER),
        ("QUEUED", True, 1, False, NOT_YET),
    ],
)
def test_a_run_that_is_cancelled_ends(  # noqa: PLR0913 - the columns of the table
    lab: Lab, state: str, is_last: bool, attempt: int | None, cancelling: bool, end: RunEnd  # noqa: FBT001 - a case
):  # fmt: skip
    """No run stays Cancelling, and none says that a job was cancelled whose result was accepted."""
    if state in ENDS:
        ENDS[state](lab)
    else:
        lab.to(state)
    job = lab.log.get("j")
    assert run_end(job, is_last=is_last, attempt=attempt, cancelling=cancelling) is end
