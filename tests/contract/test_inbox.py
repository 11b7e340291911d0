"""The inbox: what is taken into the log, what is given time, and what is left alone."""

import logging
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.job import State
from storage import layout
from storage.documents.inbox import Inbox
from tests.contract.conftest import Houses
from tests.contract.log_fixture import LogFixture
from tests.waiting import until


@pytest.fixture
def log_fixture(tmp_path: Path, log_fixtures: Houses) -> LogFixture:
    """An empty log_fixture."""
    return log_fixtures(tmp_path)


def test_the_inbox_takes_each_job_once_and_oldest_first(log_fixture: LogFixture):
    """Jobs are submitted in the order of their files' times, and never twice."""
    log_fixture.queue("b.json", b"{}", age=30)
    log_fixture.queue("a.json", b"{}", age=20)
    log_fixture.queue("c.json", b"[]", age=40)
    assert log_fixture.inbox.take("rydberg", "w").jobs == ["c", "b", "a"]
    assert log_fixture.inbox.take("rydberg", "w").jobs == []
    again = Inbox(log_fixture.log, log_fixture.stores, max_bytes=1000, settle_seconds=5)
    assert again.take("rydberg", "w").jobs == []


def test_half_a_document_is_given_time(log_fixture: LogFixture):
    """JSON that breaks off is left until it has lain still, then judged as it is."""
    log_fixture.queue("a.json", b'{"experiment_0": {', age=0)
    log_fixture.queue("b.json", b"{}", age=0)
    assert log_fixture.inbox.take("rydberg", "w") == (["b"], 1)
    log_fixture.queue("a.json", b'{"experiment_0": {', age=6)
    assert log_fixture.inbox.take("rydberg", "w") == (["a"], 0)


def test_garbage_is_left_alone_and_reported_once(log_fixture: LogFixture, caplog: pytest.LogCaptureFixture):
    """Whatever is not a job document stays where it is, and is reported once."""
    folder = log_fixture.folder / "jobs" / "queued" / "rydberg"
    folder.mkdir(parents=True)
    (folder / "folder.json").mkdir()
    (folder / "dangling.json").symlink_to(folder / "nowhere")
    log_fixture.queue(".hidden.json", b"{}")
    log_fixture.queue("half.json.tmp", b"{}")
    log_fixture.queue("notes.txt", b"hello")
    log_fixture.queue("..json", b"{}")
    log_fixture.queue("a..b.json", b"{}")
    log_fixture.queue("with blank.json", b"{}")
    log_fixture.queue("job-20260101_000000-rydberg-ann-marie-0a1b2.json", b"{}")
    log_fixture.queue("0123456789abcdef01234567.json", b"\x00\xff\x00")
    before = log_fixture.files()
    with caplog.at_level(logging.WARNING):
        taken = log_fixture.inbox.take("rydberg", "w")
        log_fixture.inbox.take("rydberg", "w")
    assert sorted(taken.jobs) == ["0123456789abcdef01234567", "job-20260101_000000-rydberg-ann-marie-0a1b2"]
    assert log_fixture.files() == before
    assert len(caplog.records) == 6


def test_a_dropbox_id_tells_user_and_time(log_fixture: LogFixture):
    """User (dashes and all) and submission time are read from an id of the Dropbox form."""
    log_fixture.queue("20260102_030405-rydberg-ann-marie-0a1b2.json", b"{}")
    log_fixture.inbox.take("rydberg", "w")
    job = log_fixture.log.get("20260102_030405-rydberg-ann-marie-0a1b2")
    assert (job.user, job.received_at) == ("ann-marie", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def test_a_document_over_the_limit_is_a_job_without_content(log_fixture: LogFixture):
    """A document larger than the limit is taken, never read, and its size is recorded."""
    log_fixture.queue("big.json", b"x" * 1001)
    assert log_fixture.inbox.take("rydberg", "w").jobs == ["big"]
    assert log_fixture.log.submission("big").document is None
    assert log_fixture.log.get("big").document_bytes == 1001


def test_a_file_time_in_the_future_keeps_nothing_waiting(log_fixture: LogFixture):
    """Half a document is judged when it has lain unchanged here for long enough, whatever its own time says."""
    log_fixture.inbox = Inbox(log_fixture.log, log_fixture.stores, max_bytes=1000, settle_seconds=0.3)
    log_fixture.queue("a.json", b"{", age=-(10**6))
    log_fixture.queue("b.json", b"{", age=-(10**11))
    assert log_fixture.inbox.take("rydberg", "w") == ([], 2)
    taken: set[str] = set()
    until(lambda: taken.update(log_fixture.inbox.take("rydberg", "w").jobs) or taken == {"a", "b"})


def test_a_document_under_the_id_of_another_job_is_left(log_fixture: LogFixture, caplog: pytest.LogCaptureFixture):
    """A file that carries the id of a job of another backend stays, is reported once, and changes nothing."""
    log_fixture.submit("same")
    path = log_fixture.folder / "jobs" / "queued" / "fermions" / "same.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"{}")
    with caplog.at_level(logging.WARNING):
        assert log_fixture.inbox.take("fermions", "w").jobs == log_fixture.inbox.take("fermions", "w").jobs == []
    assert len(caplog.records) == 1
    assert path.exists()
    assert log_fixture.log.get("same").state is State.QUEUED


def test_ids_from_outside_never_leave_the_root(log_fixture: LogFixture):
    """No path is made from an id that could climb out of its folder."""
    from models.errors import BadName  # noqa: PLC0415

    for bad in ("../x", "a/b", "..", "", ".", "a\\b", "x" * 201, "a\nb", f"{uuid.uuid4()}/../x"):
        for make in (layout.running, layout.deleted, lambda job_id: layout.queued("rydberg", job_id)):
            with pytest.raises(BadName):
                make(bad)
    with pytest.raises(BadName):
        layout.queue("../rydberg")


def test_copies_that_sync_programs_make_are_left_and_named(log_fixture: LogFixture, caplog: pytest.LogCaptureFixture):
    """They are no second job, whether they come with the first one or after it has run."""
    job = "0123456789abcdef01234567"
    log_fixture.queue(f"{job}.json", b"{}")
    log_fixture.queue(f"{job}.sync-conflict-20261126-093312-ABCDEFG.json", b"[]")
    log_fixture.queue(f"{job} (Ann's conflicted copy 2026-11-26).json", b"{}")
    log_fixture.queue(f"{job}-DESKTOP-1A2B3C4.json", b"{}")
    with caplog.at_level(logging.WARNING):
        assert log_fixture.inbox.take("rydberg", "w").jobs == [job]
        (log_fixture.folder / "jobs" / "queued" / "rydberg" / f"{job}.json").unlink()
        log_fixture.queue(f"{job}-lab.json", b"{}")
        assert log_fixture.inbox.take("rydberg", "w") == ([], 0)
    assert [f"copy of the job {job};" in record.message for record in caplog.records] == [True] * 4
