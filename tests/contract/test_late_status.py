"""Front ends write the first status of their jobs themselves, a moment after the document, and overwrite no other."""

import time
from pathlib import Path

import pytest

from models.facts import Failed
from storage.documents.relay import Relay
from storage.providers.protocol import StorageProvider
from tests.contract.log_fixture import LogFixture
from tests.waiting import until

STATUS = "status/rydberg/j.json"
FIRST = b'{"job_id": "j", "status": "INITIALIZING"}'
WAIT, LONG = 0.3, 60


@pytest.fixture
def ended(tmp_path: Path) -> LogFixture:
    """A log in which a job of the inbox has just ended; its relay waits for first statuses."""
    fixture = LogFixture(tmp_path)
    fixture.relay = Relay(fixture.log, fixture.cursor, fixture.stores, first_status_seconds=WAIT)
    end(fixture, "inbox")
    return fixture


def end(fixture: LogFixture, source: str) -> None:
    """Let a job end through a fault of its document."""
    fixture.queue("j.json", b'{"a": 1}')
    fixture.submit("j", source)
    fault = Failed(stage="validation", blame="user", faults=(), fault_count=1)
    fixture.log.append(fixture.take(), fault, attempt=1, actor="w")


def word(storage: StorageProvider) -> bool:
    """Say whether the final status is there."""
    return storage.exists(STATUS) and b"ERROR" in storage.get(STATUS)


def test_a_final_status_waits_for_the_first_one(ended: LogFixture):
    """Whoever ends the job does not wait; the front end finds no status, and its own is overwritten a moment later."""
    patient, began = Relay(ended.log, ended.cursor, ended.stores, first_status_seconds=LONG), time.monotonic()
    patient.update("j")
    patient.update_late()
    assert (patient.update_all(), ended.storage.exists(STATUS)) == ((0, 0), False)
    assert time.monotonic() - began < LONG
    ended.storage.create(STATUS, FIRST)
    patient.update("j")
    assert word(ended.storage)
    assert ended.cursor.behind() == []


def test_it_waits_for_a_moment_only(ended: LogFixture):
    """Not every front end writes one."""
    ended.relay.update("j")
    ended.relay.update_late(wait=True)
    assert word(ended.storage)


def test_a_first_status_that_is_there_is_not_waited_for(ended: LogFixture):
    """The final one is written by whoever ends the job."""
    ended.storage.create(STATUS, FIRST)
    ended.relay.update("j")
    assert word(ended.storage)


def test_another_process_brings_it_up_later(ended: LogFixture):
    """The job is behind until then, as after a crash."""
    patient = Relay(ended.log, ended.cursor, ended.stores, first_status_seconds=LONG)
    patient.update("j")
    other = Relay(ended.log, ended.cursor, ended.stores, first_status_seconds=WAIT)
    assert other.update_all() == (0, 0)
    until(lambda: word(ended.storage))
    patient.update("j")  # which has nothing to wait for any more


def test_it_is_written_though_nobody_asks_again(ended: LogFixture):
    """The drain that has run the job may have ended meanwhile."""
    ended.relay.update("j")
    until(lambda: word(ended.storage))
    until(lambda: ended.cursor.behind() == [])


def test_jobs_that_come_through_another_door_wait_for_nobody(tmp_path: Path):
    """We write their first status ourselves."""
    fixture = LogFixture(tmp_path)
    fixture.relay = Relay(fixture.log, fixture.cursor, fixture.stores, first_status_seconds=LONG)
    end(fixture, "cli")
    fixture.relay.update("j")
    assert word(fixture.storage)
