"""The hold on a claimed job says when the job has ended, which is before its flow run is over."""

import asyncio
from pathlib import Path

import pytest

from models import clock
from models.facts import Fact, Submitted, Withdrawn
from models.job import State
from models.settings import Settings
from tasks.jobs.attempt import hold
from tasks.services import Services


@pytest.mark.parametrize(("facts", "state"), [((Withdrawn(),), State.WITHDRAWN), ((), State.QUEUED)])
def test_a_claim_hears_of_the_end_of_its_job_and_not_of_its_attempt(
    tmp_path: Path, facts: tuple[Fact, ...], state: State
):
    """A job that is given back has not ended: no other may take its place before it is known why."""
    services = Services(Settings(home=tmp_path, retry_seconds=0))
    fact = Submitted.of(b"{}", keep_up_to=9, backend="rydberg", source="cli", received_at=clock.now())
    services.log.submit("j", fact, "test")
    claim = services.claims.claim(["rydberg"])
    assert claim is not None

    async def run() -> None:
        async with hold(services, claim, None) as held:
            if facts:
                await held.record(*facts)
            assert not claim.ended.is_set()
        assert claim.ended.is_set() is (state is State.WITHDRAWN)

    asyncio.run(run())
    assert services.log.get("j").state is state
    services.log.engine.dispose()
