"""The mirror and the inbox: what front ends find in the storage, and what is taken from it."""

import contextlib
import logging
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.errors import DocumentExists, DocumentMissing, StorageUnavailable
from models.facts import Cancelled, CancelRequested, Failed, Revived, Withdrawn
from models.job import State
from models.retry import given_back
from storage import layout
from storage.audit.verify import Verifier
from storage.documents.inbox import Inbox
from storage.documents.job_documents import read_history
from storage.documents.locks import JobLocks
from storage.documents.relay import Mirror
from storage.providers.folder import FolderStorage
from storage.providers.protocol import Abilities
from storage.providers.stores import Stores
from tests.contract.conftest import Houses
from tests.contract.databases import on
from tests.contract.log_fixture import START, LogFixture


@pytest.fixture
def log_fixture(tmp_path: Path, log_fixtures: Houses) -> LogFixture:
    """An empty log_fixture."""
    return log_fixtures(tmp_path)


def test_our_own_submission_looks_like_a_front_ends(log_fixture: LogFixture):
    """A job that came through our door lies in the queue, with the first status beside it."""
    log_fixture.submit()
    log_fixture.mirror.relay("j")
    assert log_fixture.files() == ["events/rydberg/j.json", "jobs/queued/rydberg/j.json", "status/rydberg/j.json"]
    assert log_fixture.storage.get("jobs/queued/rydberg/j.json") == b'{"a": 1}'
    assert log_fixture.read("status/rydberg/j.json") == {
        "job_id": "j",
        "status": "INITIALIZING",
        "detail": "Got your json.",
        "error_message": "None",
    }


def test_a_front_ends_first_status_is_its_own(log_fixture: LogFixture):
    """For a job from the inbox we write no first status: the front end's own would then be refused."""
    log_fixture.queue("j.json", b'{"a": 1}')
    assert log_fixture.inbox.take("rydberg", "w").jobs == ["j"]
    log_fixture.mirror.relay("j")
    assert log_fixture.files() == ["events/rydberg/j.json", "jobs/queued/rydberg/j.json"]


def test_the_document_follows_the_job(log_fixture: LogFixture):
    """A claimed job lies in running, a done one in finished; the staged result is gone at the end."""
    log_fixture.submit()
    log_fixture.mirror.relay("j")
    job = log_fixture.take()
    log_fixture.mirror.relay("j")
    assert log_fixture.files() == ["events/rydberg/j.json", "jobs/running/j.json", "status/rydberg/j.json"]
    log_fixture.finish(job)
    log_fixture.mirror.relay("j")
    assert log_fixture.files() == [
        "events/rydberg/j.json",
        "jobs/finished/rydberg/j.json",
        "results/rydberg/j.json",
        "status/rydberg/j.json",
    ]
    status = log_fixture.read("status/rydberg/j.json")
    assert isinstance(status, dict)
    assert status["status"] == "DONE"


def test_a_failed_job_is_kept(log_fixture: LogFixture):
    """The document of a job in ERROR lies in deleted, whatever that folder is called."""
    log_fixture.submit()
    job = log_fixture.claim()
    log_fixture.log.append(
        job, Failed(stage="validation", blame="user", faults=(), fault_count=0), attempt=1, actor="w"
    )
    log_fixture.mirror.relay("j")
    assert log_fixture.storage.get("jobs/deleted/j.json") == b'{"a": 1}'


def test_a_revived_job_is_no_longer_in_error(log_fixture: LogFixture):
    """When an operator revives a job, front ends see it wait again, and its document is no longer among the deleted."""
    log_fixture.submit()
    job = log_fixture.claim()
    failed = Failed(stage="lease", blame="infrastructure", faults=(), fault_count=0)
    job = log_fixture.log.append(job, failed, attempt=1, actor="w")
    log_fixture.mirror.relay("j")
    log_fixture.log.append(job, Revived(by="op"), attempt=1, actor="op")
    log_fixture.mirror.relay("j")
    assert log_fixture.files() == ["events/rydberg/j.json", "jobs/running/j.json", "status/rydberg/j.json"]
    status = log_fixture.read("status/rydberg/j.json")
    assert isinstance(status, dict)
    assert status["status"] == "INITIALIZING"


def test_the_mirror_holds_the_same_events(log_fixture: LogFixture):
    """The mirrored history reads back as exactly the events of the log, hashes included."""
    log_fixture.submit()
    log_fixture.finish(log_fixture.claim())
    log_fixture.mirror.relay("j")
    events = read_history(log_fixture.storage.get("events/rydberg/j.json"))
    assert events == log_fixture.log.history("j")
    assert all(event.digest() == event.hash for event in events)


def test_a_relay_done_twice_changes_nothing(log_fixture: LogFixture):
    """Relaying again writes nothing and leaves nobody behind."""
    log_fixture.submit()
    assert log_fixture.mirror.relay_all() == (1, 0)
    stamps = {path: (log_fixture.folder / path).stat().st_mtime_ns for path in log_fixture.files()}
    assert log_fixture.mirror.relay_all() == (0, 0)
    log_fixture.mirror.relay("j")
    assert stamps == {path: (log_fixture.folder / path).stat().st_mtime_ns for path in log_fixture.files()}


def test_a_relay_cut_short_is_finished_by_the_next(log_fixture: LogFixture, monkeypatch: pytest.MonkeyPatch):
    """Wherever the storage fails within a relay, the next one ends with the same documents."""
    log_fixture.submit()
    job = log_fixture.claim()
    log_fixture.finish(job)
    calls = 0
    fail_at = 0

    def failing(name: str) -> Callable[..., object]:
        original = getattr(log_fixture.storage, name)

        def call(*args: object) -> object:
            nonlocal calls
            calls += 1
            if calls == fail_at:
                raise StorageUnavailable(name)
            return original(*args)

        return call

    for name in ("put", "create", "move", "delete"):
        monkeypatch.setattr(log_fixture.storage, name, failing(name))
    for fail_at in range(1, 12):  # noqa: B007 - read by `failing`
        calls = 0
        try:
            log_fixture.mirror.relay("j")
        except StorageUnavailable:
            assert log_fixture.cursor.behind() == [("j", "")]
            continue
        break
    assert fail_at > 3
    assert log_fixture.cursor.behind() == []
    assert log_fixture.files() == [
        "events/rydberg/j.json",
        "jobs/finished/rydberg/j.json",
        "results/rydberg/j.json",
        "status/rydberg/j.json",
    ]


def test_a_late_relay_leaves_the_job_behind(log_fixture: LogFixture):
    """A cursor that is set to an old event while the log has moved on still calls for another relay."""
    log_fixture.submit()
    log_fixture.claim()
    log_fixture.cursor.advance("j", 0, "jobs/queued/rydberg/j.json")
    assert log_fixture.cursor.behind() == [("j", "")]


def test_a_job_document_that_vanished_is_written_again(log_fixture: LogFixture):
    """If somebody removes the job document, the log still has it."""
    log_fixture.submit()
    log_fixture.mirror.relay("j")
    log_fixture.storage.delete("jobs/queued/rydberg/j.json")
    log_fixture.take()
    log_fixture.mirror.relay("j")
    assert log_fixture.storage.get("jobs/running/j.json") == b'{"a": 1}'


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


def test_a_job_that_another_spooler_took_is_not_ours(log_fixture: LogFixture):
    """A queued document that lies where we have not put it belongs to somebody else; one that is back is ours again."""
    log_fixture.queue("j.json", b"{}")
    log_fixture.inbox.take("rydberg", "w")
    log_fixture.storage.move("jobs/queued/rydberg/j.json", "jobs/running/j.json")
    job = log_fixture.claim()
    assert not log_fixture.mirror.take(job)
    log_fixture.log.append(job, Withdrawn(), attempt=1, actor="w")
    log_fixture.mirror.relay("j")
    assert log_fixture.files() == ["events/rydberg/j.json", "jobs/running/j.json"]
    assert log_fixture.inbox.take("rydberg", "w").jobs == []
    log_fixture.storage.move("jobs/running/j.json", "jobs/queued/rydberg/j.json")
    log_fixture.inbox.take("rydberg", "w")
    assert log_fixture.log.get("j").state is State.QUEUED
    assert log_fixture.mirror.take(log_fixture.claim())


def test_a_relay_between_claim_and_take_leaves_the_document_to_whoever_takes_it(log_fixture: LogFixture):
    """Housekeeping that mirrors a claimed job does not take its document: so another spooler that does is noticed."""
    log_fixture.queue("j.json", b"{}")
    log_fixture.inbox.take("rydberg", "w")
    job = log_fixture.claim()
    log_fixture.mirror.relay_all()
    assert log_fixture.files() == ["events/rydberg/j.json", "jobs/queued/rydberg/j.json"]
    log_fixture.storage.move("jobs/queued/rydberg/j.json", "jobs/running/j.json")
    log_fixture.mirror.relay("j")
    assert not log_fixture.mirror.take(job)


def test_what_another_spooler_holds_is_not_moved_by_the_end_of_a_job(log_fixture: LogFixture):
    """A job that ended before its document was taken leaves it to whoever took it."""
    log_fixture.queue("j.json", b"{}")
    log_fixture.inbox.take("rydberg", "w")
    job = log_fixture.claim()
    log_fixture.storage.move("jobs/queued/rydberg/j.json", "jobs/running/j.json")
    log_fixture.log.append(
        job, Failed(stage="lease", blame="infrastructure", faults=(), fault_count=0), attempt=1, actor="w"
    )
    log_fixture.mirror.relay_all()
    assert [path for path in log_fixture.files() if path.startswith("jobs/")] == ["jobs/running/j.json"]


def test_a_job_document_that_is_nowhere_is_written_again(log_fixture: LogFixture):
    """A storage that has lost its documents, or is another one, makes no job disappear: the log has them all."""
    log_fixture.queue("j.json", b'{"a": 2}')
    log_fixture.inbox.take("rydberg", "w")
    log_fixture.storage.delete("jobs/queued/rydberg/j.json")
    assert log_fixture.mirror.take(log_fixture.claim())
    log_fixture.mirror.relay("j")
    assert log_fixture.storage.get("jobs/running/j.json") == b'{"a": 2}'


def test_a_storage_that_does_not_answer_is_not_an_empty_one(log_fixture: LogFixture):
    """While it is not known where the document is, the job is neither run nor withdrawn."""
    log_fixture.queue("j.json", b"{}")
    log_fixture.inbox.take("rydberg", "w")
    job = log_fixture.claim()
    assert log_fixture.mirror.take(job)
    log_fixture.cursor.put_place("j", "")  # as after a death between the move and the record of it

    ours = log_fixture.folder / layout.taken("j")
    ours.rename(log_fixture.folder / "kept")
    ours.symlink_to(ours)  # whoever asks for it now gets an error of the system
    with pytest.raises(StorageUnavailable):
        log_fixture.mirror.take(job)
    ours.unlink()
    (log_fixture.folder / "kept").rename(ours)
    assert log_fixture.mirror.take(job)


def test_one_process_at_a_time_writes_a_jobs_documents(tmp_path: Path):
    """A lock of a job that another process holds is waited for, and is free when that process is killed."""
    code = (
        "import sys, time; from pathlib import Path; from storage.documents.locks import JobLocks\n"
        "with JobLocks(Path(sys.argv[1])).held('j'): print('held', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    got = threading.Event()

    def wait() -> None:
        with JobLocks(tmp_path).held("j"):
            got.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert not got.wait(0.5)
    other.kill()
    other.communicate()
    assert got.wait(10)
    waiter.join()


def test_a_file_time_in_the_future_keeps_nothing_waiting(log_fixture: LogFixture):
    """Half a document is judged when it has lain unchanged here for long enough, whatever its own time says."""
    log_fixture.inbox = Inbox(log_fixture.log, log_fixture.stores, max_bytes=1000, settle_seconds=0.3)
    log_fixture.queue("a.json", b"{", age=-(10**6))
    log_fixture.queue("b.json", b"{", age=-(10**11))
    assert log_fixture.inbox.take("rydberg", "w") == ([], 2)
    time.sleep(0.4)
    assert sorted(log_fixture.inbox.take("rydberg", "w").jobs) == ["a", "b"]


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
    from storage import layout  # noqa: PLC0415

    for bad in ("../x", "a/b", "..", "", ".", "a\\b", "x" * 201, "a\nb", f"{uuid.uuid4()}/../x"):
        for make in (layout.running, layout.deleted, lambda job_id: layout.queued("rydberg", job_id)):
            with pytest.raises(BadName):
                make(bad)
    with pytest.raises(BadName):
        layout.queue("../rydberg")


class TwoSteps(FolderStorage):
    """A folder that can only copy and delete, and in which the next delete never comes, as after a kill."""

    abilities = Abilities(atomic_move=False)
    killed = False

    def move(self, source: str, target: str) -> None:
        content = self.get(source)
        try:
            self.create(target, content)
        except DocumentExists:
            self.delete(source)
            raise DocumentMissing(source) from None
        self.delete(source)

    def delete(self, path: str) -> None:
        if self.killed:
            self.killed = False
            raise StorageUnavailable("killed before the delete")
        super().delete(path)


@pytest.mark.parametrize("at", ["take", "relay"])
@pytest.mark.parametrize("end", ["cancelled", "done"])
@on("sqlite")
def test_a_move_in_two_steps_leaves_no_copy(tmp_path: Path, log_fixture: LogFixture, at: str, end: str):
    """Where a document is copied and deleted, a mover killed in between leaves nothing behind once the job has ended."""
    log_fixture.storage = TwoSteps(log_fixture.folder.as_uri())
    log_fixture.mirror = Mirror(log_fixture.log, log_fixture.cursor, Stores.single(log_fixture.storage))
    log_fixture.submit()
    log_fixture.mirror.relay("j")
    job = log_fixture.claim()
    log_fixture.storage.killed = at == "take"
    with pytest.raises(StorageUnavailable) if at == "take" else contextlib.nullcontext():
        log_fixture.mirror.take(job)
    log_fixture.storage.killed = at == "relay"
    with pytest.raises(StorageUnavailable) if at == "relay" else contextlib.nullcontext():
        log_fixture.mirror.relay("j")
    if at == "relay":
        assert len([path for path in log_fixture.files() if path.startswith(("jobs/", "staged/"))]) == 2
    job = log_fixture.log.append(job, given_back("killed", START), attempt=1, actor="w")
    if end == "cancelled":
        facts = (CancelRequested(by="ann"), Cancelled())
        log_fixture.log.append(job, *facts, attempt=1, actor="w")
    else:
        log_fixture.finish(log_fixture.take())
    log_fixture.mirror.relay("j")
    place = "jobs/deleted/j.json" if end == "cancelled" else "jobs/finished/rydberg/j.json"
    assert [path for path in log_fixture.files() if path.startswith(("jobs/", "staged/"))] == [place]
    assert list(Verifier(log_fixture.log.engine, Stores.single(log_fixture.storage)).all()) == []
