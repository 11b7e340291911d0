"""Cancel, result, lease and retry: who wins, whatever comes first. docs/job-states.md tells the same as a table."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models import clock
from models.errors import Fault, NotCancellable, NotRevivable
from models.facts import (
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
from tasks.jobs.submission import cancel, revive
from tasks.services import Services

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


class Installation:
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

    def to(self, state: str) -> "Installation":
        """Claim the job and work on it up to a state."""
        if state == "QUEUED":
            return self
        claimed = self.services.claims.claim(["rydberg"])
        assert claimed is not None
        self.services.claims.begin("j", claimed.job.attempt)
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
def installation(tmp_path: Path) -> Iterator[Installation]:
    """A laboratory with one job that waits."""
    services = Services(Settings(home=tmp_path, retry_seconds=0))
    yield Installation(services)
    services.log.engine.dispose()


def test_a_job_that_waits_is_cancelled_at_once(installation: Installation):
    """Nobody has to come by: not before its first attempt, and not between two."""
    assert installation.cancel().state is State.CANCELLED
    assert installation.kinds == ["submitted", "cancel_requested", "cancelled"]


@pytest.mark.parametrize("state", RUNNING)
def test_a_job_that_runs_is_cancelled_by_its_holder(installation: Installation, state: str):
    """The request changes nothing yet; asked twice it stands once; the holder, and nobody else, ends the job."""
    installation.to(state)
    assert installation.cancel().state == state
    assert installation.cancel().state == state
    assert installation.kinds.count("cancel_requested") == 1
    assert installation.append(Cancelled()).state is State.CANCELLED


@pytest.mark.parametrize("state", RUNNING)
def test_a_result_that_is_accepted_first_wins(installation: Installation, state: str):
    """A worker that was quicker than the word of the request ends the job as ever, and a later cancel is refused."""
    installation.to(state)
    installation.cancel()
    assert installation.append(*STEPS[RUNNING.index(state) :], Completed()).state is State.DONE
    with pytest.raises(NotCancellable):
        installation.cancel()


@pytest.mark.parametrize("state", RUNNING)
def test_a_fault_that_is_recorded_first_wins(installation: Installation, state: str):
    """So does a fault of the document, or of the laboratory."""
    installation.to(state)
    installation.cancel()
    assert installation.append(USER).state is State.ERROR


@pytest.mark.parametrize("state", RUNNING)
@pytest.mark.parametrize("way", ["lost", "released"])
def test_an_attempt_that_ends_after_the_request_is_not_tried_again(installation: Installation, state: str, way: str):
    """Whether the worker fell silent or was stopped: instead of another attempt there is the end."""
    installation.to(state)
    installation.cancel()
    if way == "lost":
        assert installation.lose().state is State.CANCELLED
        assert installation.kinds[-2:] == ["lease_expired", "cancelled"]
    else:
        claimed = Claim(installation.log.get("j"), installation.token)
        assert installation.services.claims.end_attempt(claimed).state is State.CANCELLED


@pytest.mark.parametrize("state", RUNNING)
@pytest.mark.parametrize("way", ["lost", "given back"])
def test_a_job_between_two_attempts_is_cancelled_at_once(installation: Installation, state: str, way: str):
    """After a lost lease or a retry it waits, and nobody holds it."""
    installation.to(state)
    _ = installation.lose() if way == "lost" else installation.append(given_back("stopped", clock.now()))
    assert installation.cancel().state is State.CANCELLED


def test_a_request_that_an_older_worker_passed_over_is_no_dead_end(installation: Installation):
    """A job that was tried again though somebody wanted it cancelled is cancelled when that is said once more."""
    installation.to("CLAIMED")
    installation.append(CancelRequested(by="ann"), given_back("stopped", clock.now()))
    assert installation.log.get("j").cancel_requested
    assert installation.cancel().state is State.CANCELLED
    assert installation.kinds.count("cancel_requested") == 1


ENDS: dict[str, Callable[[Installation], object]] = {
    "DONE": lambda installation: installation.to("UPLOADED").append(Completed()),
    "ERROR": lambda installation: installation.to("CLAIMED").append(STORM),
    "CANCELLED": lambda installation: installation.cancel(),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_has_ended_is_not_cancelled(installation: Installation, end: str):
    """A job that is final stays as it is, and the user is told what it is."""
    ENDS[end](installation)
    before = installation.kinds
    with pytest.raises(NotCancellable, match=end):
        installation.cancel()
    assert installation.kinds == before


def test_a_cancelled_job_is_not_revived_and_a_revived_one_has_forgotten_the_request(installation: Installation):
    """A retry of a cancelled job is refused; one of a failed job begins a life in which nobody has cancelled it."""
    installation.to("CLAIMED")
    installation.cancel()
    installation.append(STORM)
    job = revive(installation.services, "j")
    assert (job.state, job.cancel_requested) == (State.QUEUED, False)
    installation.to("CLAIMED")
    installation.cancel()
    assert installation.append(Cancelled()).state is State.CANCELLED
    with pytest.raises(NotRevivable, match="cannot be tried again: it is CANCELLED"):
        revive(installation.services, "j")


def test_a_cancel_and_a_claim_at_once_leave_one_winner(installation: Installation, monkeypatch: pytest.MonkeyPatch):
    """Whoever decided by what the job was a moment ago reads it again, and decides again."""
    stale = installation.log.get("j")
    installation.to("CLAIMED")
    kept, answers = installation.log.get, [stale]
    monkeypatch.setattr(installation.log, "get", lambda job_id: answers.pop() if answers else kept(job_id))
    assert installation.cancel().state is State.CLAIMED
    assert installation.kinds == ["submitted", "claimed", "cancel_requested"]
