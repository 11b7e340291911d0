"""What `quledger retry` does with jobs that pause, and with those whose document was half written."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from models import clock
from models.errors import NotRevivable
from models.facts import Failed, Retried
from models.job import Job, State
from models.settings import Settings
from tasks.jobs.submission import cancel, revive
from tasks.services import Services

HALF = Failed(stage="validation", blame="user", faults=(), fault_count=1)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """A laboratory in which every document is judged as it lies."""
    services = Services(Settings(home=tmp_path, settle_seconds=0))
    yield services
    services.log.engine.dispose()


def claimed(services: Services, document: bytes) -> Job:
    """Put a document into the inbox; return its job, claimed and taken."""
    services.stores.of("").put("jobs/queued/rydberg/a.json", document)
    services.inboxes[services.stores.names[0]].take("rydberg", "w")
    job = services.log.claim(["rydberg"], "w", clock.now() + timedelta(seconds=60))
    assert job is not None
    assert services.relay.take(job)
    return job


def test_the_rest_of_a_document_may_come_where_it_was_moved_to(services: Services):
    """Its writer had it open: a retry finds it whole and runs it; while it is half, a retry is refused."""
    job = services.log.append(claimed(services, b'{"a":'), HALF, attempt=1, actor="w")
    services.relay.update("a")
    with pytest.raises(NotRevivable, match="fault of its document"):
        revive(services, "a")
    services.stores.of("").put("jobs/deleted/a.json", b'{"a": 1}')
    job = revive(services, "a")
    assert (job.state, services.log.document("a")) == (State.QUEUED, b'{"a": 1}')
    assert services.stores.of("").get("jobs/running/a.json") == b'{"a": 1}'


def test_a_document_that_was_whole_is_not_replaced(services: Services):
    """A job whose document was judged as a whole stays as it ended, whatever lies there now."""
    services.log.append(claimed(services, b'{"a": 0}'), HALF, attempt=1, actor="w")
    services.relay.update("a")
    services.stores.of("").put("jobs/deleted/a.json", b'{"a": 1}')
    with pytest.raises(NotRevivable, match="fault of its document"):
        revive(services, "a")


def test_a_retry_ends_a_pause_at_once(services: Services):
    """Also one that a clock has written which was ahead; a job that waits for its turn alone waits on."""
    job = claimed(services, b"{}")
    pause = Retried(reason="storm", after_seconds=500, not_before=clock.now() + timedelta(seconds=500))
    services.log.append(job, pause, attempt=1, actor="w")
    assert services.claims.claim(["rydberg"]) is None
    revive(services, "a")
    with pytest.raises(NotRevivable, match="waits for its turn already"):
        revive(services, "a")
    assert services.claims.claim(["rydberg"]) is not None


@pytest.mark.parametrize("hours", [2, -2, 0])
def test_a_job_whose_worker_fell_silent_waits_for_nobody(
    services: Services, hours: int, monkeypatch: pytest.MonkeyPatch
):
    """A retry and a cancel act at once when the lease is over, whatever the clock said when it was given."""
    wrong = timedelta(hours=hours)
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + wrong)

    def program() -> Services:
        """Return the services of a command, which has seen no clock jump."""
        command = Services(services.settings)
        command.log._now = clock.now
        return command

    services.log._now = clock.now
    claimed(services, b"{}")
    services.log.heartbeat({"a": 1}, clock.now() + timedelta(seconds=60))
    wrong = timedelta()
    if hours >= 0:
        # The lease lasts still, or lies too far ahead and is cut: whoever has the job may be alive.
        with pytest.raises(NotRevivable):
            revive(program(), "a")
        assert cancel(program(), "a", by="me").state is State.CLAIMED
        wrong = timedelta(seconds=61)
    else:
        assert revive(program(), "a").not_before is None
        assert services.claims.claim(["rydberg"]) is not None
        wrong = timedelta(seconds=120)
    assert cancel(program(), "a", by="me").state is State.CANCELLED
