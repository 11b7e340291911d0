"""The inbox: what is taken into the log, what is given time, and what is left alone."""

import logging
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.errors import StorageUnavailable
from models.facts import Failed
from models.job import State
from storage import layout
from storage.audit.foreign_documents import ForeignDocuments
from storage.audit.verify import Verifier
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


def inbox_of(log_fixture: LogFixture, settle_seconds: float) -> Inbox:
    """Return another inbox on the same queue, in which documents have to lie still for so long."""
    return Inbox(log_fixture.log, log_fixture.stores, max_bytes=1000, settle_seconds=settle_seconds)


def test_those_who_share_a_place_in_line_keep_their_order(log_fixture: LogFixture):
    """Their files' clock is behind ours, so that all of them would have been there at the last look."""
    assert log_fixture.inbox.take("rydberg", "w").jobs == []
    for name, age in (("c", 50), ("a", 40), ("b", 30)):
        log_fixture.queue(f"{name}.json", b"{}", age=age)
    assert log_fixture.inbox.take("rydberg", "w").jobs == ["c", "a", "b"]
    assert [log_fixture.claim().job_id for _ in range(3)] == ["c", "a", "b"]


def test_half_a_document_is_given_time(log_fixture: LogFixture):
    """JSON that breaks off is left until it has lain still by our own clock, however old its file is."""
    inbox = inbox_of(log_fixture, 0.02)
    log_fixture.queue("a.json", b'{"experiment_0": {', age=10**6)
    log_fixture.queue("b.json", b"{}", age=-5)
    log_fixture.queue("c.json", b"{]", age=10**6)
    began = time.monotonic()
    assert inbox.take("rydberg", "w") == (["b"], 2, 0)
    until(lambda: inbox.take("rydberg", "w").jobs == ["c"])
    assert time.monotonic() - began >= 0.02
    log_fixture.queue("a.json", b'{"experiment_0": {"', age=10**6)  # a little more of it
    again = time.monotonic()
    until(lambda: inbox.take("rydberg", "w").jobs == ["a"])
    assert time.monotonic() - again >= 0.6


def test_the_rest_of_a_document_is_waited_for(log_fixture: LogFixture):
    """Pieces may come long after what is wrong in itself would be judged; once it is whole it is taken at once."""
    inbox = inbox_of(log_fixture, 0.1)
    log_fixture.queue("a.json", b'{"a":', age=10)
    assert inbox.take("rydberg", "w") == ([], 1, 0)
    time.sleep(0.3)
    assert inbox.take("rydberg", "w") == ([], 1, 0)
    log_fixture.queue("a.json", b'{"a": 1}', age=10)
    assert inbox.take("rydberg", "w") == (["a"], 0, 0)


def test_a_whole_document_takes_the_place_of_a_half_one(log_fixture: LogFixture):
    """Under the same id, when the half one was judged: the job runs with the new one, and no copy is left."""
    inbox = inbox_of(log_fixture, 0)
    log_fixture.queue("a.json", b'{"a":')
    inbox.take("rydberg", "w")
    fault = Failed(stage="validation", blame="user", faults=(), fault_count=1)
    log_fixture.log.append(log_fixture.take(), fault, attempt=1, actor="w")
    log_fixture.relay.update("a")
    assert log_fixture.read("status/rydberg/a.json")["status"] == "ERROR"  # type: ignore[index]
    log_fixture.queue("a.json", b'{"a": ')
    assert inbox.take("rydberg", "w") == ([], 0, 0)  # no better than the first
    log_fixture.storage.delete("jobs/queued/rydberg/a.json")
    assert inbox.take("rydberg", "w") == ([], 0, 0)
    log_fixture.queue("a.json", b'{"a": 1}')
    assert inbox.take("rydberg", "w") == ([], 0, 0)
    assert (log_fixture.log.get("a").state, log_fixture.log.document("a")) == (State.QUEUED, b'{"a": 1}')
    assert (log_fixture.take().attempt, log_fixture.relay.update_all().failed) == (2, 0)
    assert log_fixture.read("jobs/running/a.json") == {"a": 1}
    assert [path for path in log_fixture.files() if path.startswith("jobs/")] == ["jobs/running/a.json"]
    assert log_fixture.read("status/rydberg/a.json")["status"] == "INITIALIZING"  # type: ignore[index]
    assert list(Verifier(log_fixture.log.engine, log_fixture.stores).all()) == []


def test_documents_that_cannot_be_read_are_passed_by(log_fixture: LogFixture, monkeypatch: pytest.MonkeyPatch):
    """However many there are and whatever age they claim: those behind them are seen at once, and these later."""
    monkeypatch.setattr("storage.documents.inbox.MAX_JOBS", 3)
    monkeypatch.setattr("storage.documents.inbox.UNREADABLE_SECONDS", 0.2)
    bad = [f"20200101_000000-rydberg-bad-{number:05x}" for number in range(9)]
    for name in bad:
        log_fixture.queue(f"{name}.json", b"{}", age=10**8)
    log_fixture.queue("good.json", b"{}")
    get, tried = log_fixture.storage.get, []

    def refuse(path: str) -> bytes:
        if "-bad-" in path and len(tried) < 12:
            tried.append(path)
            raise StorageUnavailable("permission denied")
        return get(path)

    monkeypatch.setattr(log_fixture.storage, "get", refuse)
    assert log_fixture.inbox.take("rydberg", "w") == (["good"], 9, 0)
    assert log_fixture.inbox.take("rydberg", "w") == ([], 9, 0)
    assert len(tried) == 9
    taken: list[str] = []
    until(lambda: taken.extend(log_fixture.inbox.take("rydberg", "w").jobs) or len(taken) == 9)


def test_nobody_waits_for_ever_for_what_cannot_be_read(log_fixture: LogFixture, monkeypatch: pytest.MonkeyPatch):
    """A drain that is to end looks three times: a read that failed leaves no job behind, no document holds it up."""
    monkeypatch.setattr("storage.documents.inbox.UNREADABLE_SECONDS", 0.0)
    log_fixture.queue("bad.json", b"{}")

    def refuse(_path: str) -> bytes:
        raise StorageUnavailable("permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(log_fixture.storage, "get", refuse)
        assert [log_fixture.inbox.take("rydberg", "w").unsettled for _ in range(4)] == [1, 1, 0, 0]
    assert log_fixture.inbox.take("rydberg", "w") == (["bad"], 0, 0)


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
    inbox = inbox_of(log_fixture, 0)
    with caplog.at_level(logging.WARNING):
        taken = inbox.take("rydberg", "w")
        inbox.take("rydberg", "w")
    assert sorted(taken.jobs) == ["0123456789abcdef01234567", "job-20260101_000000-rydberg-ann-marie-0a1b2"]
    assert log_fixture.files() == before
    assert len(caplog.records) == 6
    # It is said how a file has to be called, there and by `verify`.
    called = "called by its job's id (letters, digits, '-', '_' and '.', at most 200 of them) and .json"
    assert all(called in record.message for record in caplog.records)
    found = [each.message for each in ForeignDocuments(log_fixture.log.engine, log_fixture.storage, {""}).all()]
    assert sum(called in message for message in found) == 6


def test_a_dropbox_id_tells_user_and_time(log_fixture: LogFixture):
    """User (dashes and all) and submission time are read from an id of the Dropbox form, if its file is as old."""
    then = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    log_fixture.queue(
        "20260102_030405-rydberg-ann-marie-0a1b2.json", b"{}", age=(datetime.now(UTC) - then).total_seconds()
    )
    log_fixture.queue("20000102_030405-rydberg-mallory-0a1b2.json", b"{}", age=60)
    log_fixture.inbox.take("rydberg", "w")
    job = log_fixture.log.get("20260102_030405-rydberg-ann-marie-0a1b2")
    assert (job.user, job.received_at) == ("ann-marie", then)
    late = log_fixture.log.get("20000102_030405-rydberg-mallory-0a1b2")
    assert datetime.now(UTC) - late.received_at < timedelta(seconds=30)


def test_a_document_over_the_limit_is_a_job_without_content(log_fixture: LogFixture):
    """A document larger than the limit is taken, never read, and its size is recorded."""
    log_fixture.queue("big.json", b"x" * 1001)
    assert log_fixture.inbox.take("rydberg", "w").jobs == ["big"]
    assert log_fixture.log.submission("big").document is None
    assert log_fixture.log.get("big").document_bytes == 1001


def test_a_file_time_in_the_future_keeps_nothing_waiting(log_fixture: LogFixture):
    """Half a document is judged when it has lain unchanged here for long enough, whatever its own time says."""
    inbox = inbox_of(log_fixture, 0.01)
    log_fixture.queue("a.json", b"{", age=-(10**6))
    log_fixture.queue("b.json", b"{", age=-(10**11))
    assert inbox.take("rydberg", "w") == ([], 2, 0)
    taken: set[str] = set()
    until(lambda: taken.update(inbox.take("rydberg", "w").jobs) or taken == {"a", "b"})


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
        assert log_fixture.inbox.take("rydberg", "w") == ([], 0, 0)
    assert [f"copy of the job {job};" in record.message for record in caplog.records] == [True] * 4
    verified = list(ForeignDocuments(log_fixture.log.engine, log_fixture.stores.of(""), {""}).all())
    assert sum(f"a copy of one of {job}" in finding.message for finding in verified) == 3
    # One whose name no job could have is named as one too.
    assert sum(f"copy of the job {job}; remove it" in finding.message for finding in verified) == 1
