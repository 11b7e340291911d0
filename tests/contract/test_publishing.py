"""A worker that stands still anywhere in the upload, past lease and lock, overwrites nothing that was accepted."""

import hashlib
import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from models import clock
from models.errors import StaleAttempt, StorageUnavailable
from models.facts import Compiled, Executed, Fact, LeaseExpired, Submitted, Validated
from models.job import Job, State
from models.retry import given_back
from models.settings import Settings
from storage import layout
from storage.audit.verify import Verifier
from storage.documents.locks import JobLocks
from storage.log import leases
from storage.log.database import writing
from tasks.jobs.attempt import Attempt
from tasks.jobs.delivery import write_result
from tasks.services import Services

RESULT = b'{"result": 1}'
SIGNED_ANEW = b'{"payload": {"result": 1}, "signature": "of another key"}'
PATH = layout.result("rydberg", "j")


class Freezing:
    """A storage whose first call of one kind stands still, before it is done, until it is let go on."""

    def __init__(self, inner: Any, at: str) -> None:
        self.inner, self.at = inner, at
        self.frozen, self.thawed = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if name != self.at:
            return method

        def call(*arguments: Any) -> Any:
            if not self.frozen.is_set():
                self.frozen.set()
                assert self.thawed.wait(60)
            return method(*arguments)

        return call


class LocksLost(Services):
    """A worker whose locks were lost with the connection of the server that kept them."""

    @cached_property
    def locks(self) -> JobLocks:
        return JobLocks()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Services, Services]]:
    """Two workers on one log and one storage, of which neither can rely on the lock of the other."""
    made = [LocksLost(Settings(home=tmp_path, lease_seconds=60, retry_seconds=0)) for _ in range(2)]
    yield made[0], made[1]
    for services in made:
        services.log.engine.dispose()


def executed(services: Services) -> Attempt:
    """Claim the one job, compute its result and stage it."""
    fact = Submitted.of(b"{}", keep_up_to=9, backend="rydberg", source="cli", received_at=clock.now())
    services.log.submit("j", fact, "test")
    attempt = held(services, 1)
    staged = layout.staged("j", 1, attempt.holder)
    services.stores.of("").put(staged, RESULT)
    facts: tuple[Fact, ...] = (
        Validated(experiments=1, shots=1),
        Compiled(program_sha256="p", program_bytes=1, seed=1),
        Executed(
            seconds=1,
            cpu_seconds=1,
            seed=1,
            versions={},
            backend_config_sha256="c",
            result_sha256=hashlib.sha256(RESULT).hexdigest(),
            result_bytes=len(RESULT),
            staged=staged,
        ),
    )
    attempt.record_now(*facts)
    return attempt


def held(services: Services, number: int) -> Attempt:
    """Claim the one job and begin it."""
    assert services.claims.claim(["rydberg"]) is not None
    mine = services.claims.begin("j", number)
    assert mine is not None
    process: Any = None  # nothing is computed here
    return Attempt(services, mine, b"{}", process, None)


def overtake(services: Services) -> Attempt:
    """End the lease of the worker that stands still, and take its job."""

    def decide(job: Job) -> tuple[Fact, ...]:
        assert job.worker is not None
        assert job.lease_until is not None
        expired = LeaseExpired(worker=job.worker, lease_until=job.lease_until)
        return expired, given_back("silent", clock.now())

    past = clock.now() - timedelta(seconds=1)  # as if the time had passed
    job = services.log.get("j")
    with writing(services.log.engine) as connection:
        leases.put(connection, "j", job.attempt, past)
    assert len(services.log.expire(decide, "reconcile")) == 1
    return held(services, 2)


@pytest.mark.parametrize("theirs", [RESULT, SIGNED_ANEW], ids=["the same bytes", "signed with a new key"])
@pytest.mark.parametrize("at", ["create", "get"])
def test_a_worker_frozen_in_the_upload_overwrites_nothing(
    two: tuple[Services, Services], at: str, theirs: bytes, monkeypatch: pytest.MonkeyPatch
):
    """It stands still before it writes, or before it reads back; another one is through with the job meanwhile."""
    first, second = two
    attempt = executed(first)
    storage = Freezing(first.stores.of(""), at)
    monkeypatch.setattr(first.stores, "of", lambda _name: storage)
    ends: list[BaseException] = []

    def deliver() -> None:
        try:
            write_result(attempt, RESULT, None)
        except StaleAttempt as error:
            ends.append(error)

    frozen = threading.Thread(target=deliver)
    frozen.start()
    assert storage.frozen.wait(60)
    other = overtake(second)
    assert other.job.state is State.EXECUTED
    write_result(other, theirs, None)
    storage.thawed.set()
    frozen.join(60)
    assert len(ends) == 1
    assert second.stores.of("").get(PATH) == theirs
    kinds = [event.kind for event in second.log.history("j")]
    assert (kinds.count("uploaded"), kinds.count("completed")) == (1, 1)
    assert second.log.get("j").state is State.DONE
    second.relay.update("j")
    assert list(Verifier(second.log.engine, second.stores).all()) == []


def test_what_an_attempt_left_with_another_key_is_replaced(two: tuple[Services, Services]):
    """A killed attempt may have written the result signed with a key that was replaced since: the new one counts."""
    first, second = two
    executed(first)
    first.stores.of("").put(PATH, SIGNED_ANEW)
    write_result(overtake(second), RESULT, None)
    assert second.stores.of("").get(PATH) == RESULT
    assert second.log.get("j").state is State.DONE


def test_a_lock_that_is_not_given_back_holds_up_one_job_for_a_while(tmp_path: Path):
    """Whoever waits for the lock of a process that stands still is told so, and can go on with other jobs."""
    mine, others = JobLocks(tmp_path), JobLocks(tmp_path, busy_seconds=0.2)
    with mine.held("j"), pytest.raises(StorageUnavailable, match="for too long"), others.held("j"):
        pass
    with others.held("j"):
        pass
