"""A claim is kept until the log knows what became of it, and an attempt ends in one way, whoever ends it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models import clock
from models.errors import LogUnavailable
from models.facts import Submitted
from models.job import State
from models.policy import UNFINISHED
from models.settings import Settings
from tasks.jobs.claims import Claim, Claims
from tasks.services import Services


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """Services with one job that waits."""
    services = Services(Settings(home=tmp_path, retry_seconds=0))
    fact = Submitted.of(b"{}", keep_up_to=9, backend="rydberg", source="cli", received_at=clock.now())
    services.log.submit("j", fact, "test")
    yield services
    services.log.engine.dispose()


def claimed(services: Services) -> Claim:
    """Claim the one job."""
    claim = services.claims.claim(["rydberg"])
    assert claim is not None
    return claim


def elsewhere(services: Services) -> Claims:
    """Return the claims of another process."""
    return Claims(services.log, "elsewhere", services.settings)


def kinds(services: Services) -> list[str]:
    """Return what happened to the job."""
    return [event.kind for event in services.log.history("j")]


def test_a_claim_whose_answer_is_lost_is_given_back(services: Services, monkeypatch: pytest.MonkeyPatch):
    """Nobody knows of the job here, but for its token."""
    claim = services.log.claim

    def lost(*args: Any, **more: Any) -> None:
        claim(*args, **more)
        raise LogUnavailable("the answer was lost")

    monkeypatch.setattr(services.log, "claim", lost)
    with pytest.raises(LogUnavailable):
        services.claims.claim(["rydberg"])
    assert services.claims.holders() == set()
    assert services.claims.give_back_owed() == 1
    assert (services.log.get("j").state, services.log.get("j").failures) == (State.QUEUED, 0)


def test_a_claim_that_finds_nothing_is_forgotten(services: Services):
    """There is another backend's job, and a job that another process has."""
    claims = services.claims
    assert claims.claim(["fermions"]) is None
    assert elsewhere(services).claim(["rydberg"]) is not None
    assert (claims.claim(["rydberg"]), claims.claim_job("j"), claims.begin("j", 1)) == (None, None, None)
    assert (claims.holders(), claims.owed()) == (set(), {})


def test_an_attempt_is_begun_once_where_it_was_claimed(services: Services):
    """A second run of it, here or in another process, finds nothing to do."""
    claim = claimed(services)
    assert services.claims.begin("j", 1) == claim
    assert services.claims.begin("j", 1) is None
    assert elsewhere(services).begin("j", 1) is None


def test_an_attempt_for_the_pool_is_begun_once_elsewhere(services: Services):
    """Whoever claimed it has given it out of hand; the first process that comes has it."""
    claim = services.claims.claim_for_pool(["rydberg"])
    assert claim is not None
    services.claims.forget(claim.token)
    taken = elsewhere(services).begin("j", 1)
    assert taken is not None
    assert taken.job.worker == "elsewhere"
    assert elsewhere(services).begin("j", 1) is None


def test_an_attempt_that_is_interrupted_uses_up_none(services: Services):
    """The job waits again at once, and its token is forgotten."""
    job = services.claims.end_attempt(claimed(services))
    assert (job.state, job.failures, job.attempt) == (State.QUEUED, 0, 1)
    assert services.claims.owed() == {}


def test_an_attempt_that_ends_before_its_job_counts(services: Services):
    """It is said which run that was."""
    job = services.claims.end_attempt(claimed(services), UNFINISHED, flow_run_id="run")
    assert (job.state, job.failures, job.flow_run_id) == (State.QUEUED, 1, "run")


def test_an_attempt_in_other_hands_is_left_alone(services: Services):
    """What somebody else does with the job is not ended by whoever had it before."""
    first = claimed(services)
    services.claims.end_attempt(first)
    assert elsewhere(services).claim(["rydberg"]) is not None
    before = kinds(services)
    assert services.claims.end_attempt(first, UNFINISHED).state is State.CLAIMED
    assert kinds(services) == before


def test_what_runs_a_job_leaves_no_attempt_behind(services: Services, monkeypatch: pytest.MonkeyPatch):
    """If it ends, so does the attempt; if it breaks, or the log does not answer, that is owed."""
    claims = services.claims

    async def run(error: Exception | None = None) -> None:
        if error is not None:
            raise error

    job = asyncio.run(claims.run_to_end(claimed(services), run()))
    assert job is not None
    assert (job.state, claims.owed()) == (State.QUEUED, {})

    with pytest.raises(ZeroDivisionError):
        asyncio.run(claims.run_to_end(claimed(services), run(ZeroDivisionError())))
    assert len(claims.owed()) == 1
    assert claims.give_back_owed() == 1

    claim = claimed(services)
    with monkeypatch.context() as patch:
        patch.setattr(services.log, "get", lambda _job_id: (_ for _ in ()).throw(LogUnavailable("it is down")))
        assert asyncio.run(claims.run_to_end(claim, run())) is None
    assert len(claims.owed()) == 1
    claims.give_back_all()
    assert services.log.get("j").state is State.QUEUED
