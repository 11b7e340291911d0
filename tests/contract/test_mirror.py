"""The mirror and the inbox: what front ends find in the storage, and what is taken from it."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import DocumentExists, DocumentMissing, StorageUnavailable
from models.facts import Cancelled, CancelRequested, Failed, Revived, Withdrawn
from models.job import State
from models.retry import given_back
from storage import layout
from storage.audit.verify import Verifier
from storage.documents.relay import Relay
from storage.providers.folder import FolderStorage
from storage.providers.protocol import Abilities
from storage.providers.stores import Stores
from tests.contract.conftest import Houses
from tests.contract.databases import on
from tests.contract.log_fixture import START, LogFixture, events_in


@pytest.fixture
def log_fixture(tmp_path: Path, log_fixtures: Houses) -> LogFixture:
    """An empty log_fixture."""
    return log_fixtures(tmp_path)


def test_our_own_submission_looks_like_a_front_ends(log_fixture: LogFixture):
    """A job that came through our door lies in the queue, with the first status beside it."""
    log_fixture.submit()
    log_fixture.relay.update("j")
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
    log_fixture.relay.update("j")
    assert log_fixture.files() == ["events/rydberg/j.json", "jobs/queued/rydberg/j.json"]


def test_the_document_follows_the_job(log_fixture: LogFixture):
    """A claimed job lies in running, a done one in finished; the staged result is gone at the end."""
    log_fixture.submit()
    log_fixture.relay.update("j")
    job = log_fixture.take()
    log_fixture.relay.update("j")
    assert log_fixture.files() == ["events/rydberg/j.json", "jobs/running/j.json", "status/rydberg/j.json"]
    log_fixture.finish(job)
    log_fixture.relay.update("j")
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
    log_fixture.relay.update("j")
    assert log_fixture.storage.get("jobs/deleted/j.json") == b'{"a": 1}'


def test_a_revived_job_is_no_longer_in_error(log_fixture: LogFixture):
    """When an operator revives a job, front ends see it wait again, and its document is no longer among the deleted."""
    log_fixture.submit()
    job = log_fixture.claim()
    failed = Failed(stage="lease", blame="infrastructure", faults=(), fault_count=0)
    job = log_fixture.log.append(job, failed, attempt=1, actor="w")
    log_fixture.relay.update("j")
    log_fixture.log.append(job, Revived(by="op"), attempt=1, actor="op")
    log_fixture.relay.update("j")
    assert log_fixture.files() == ["events/rydberg/j.json", "jobs/running/j.json", "status/rydberg/j.json"]
    status = log_fixture.read("status/rydberg/j.json")
    assert isinstance(status, dict)
    assert status["status"] == "INITIALIZING"


def test_the_mirror_holds_the_same_events(log_fixture: LogFixture):
    """The mirrored history reads back as exactly the events of the log, hashes included."""
    log_fixture.submit()
    log_fixture.finish(log_fixture.claim())
    log_fixture.relay.update("j")
    events = events_in(log_fixture.storage.get("events/rydberg/j.json"), "j")
    assert events == log_fixture.log.history("j")
    assert all(event.digest() == event.hash for event in events)


def test_a_relay_done_twice_changes_nothing(log_fixture: LogFixture):
    """Relaying again writes nothing and leaves nobody behind."""
    log_fixture.submit()
    assert log_fixture.relay.update_all() == (1, 0)
    stamps = {path: (log_fixture.folder / path).stat().st_mtime_ns for path in log_fixture.files()}
    assert log_fixture.relay.update_all() == (0, 0)
    log_fixture.relay.update("j")
    assert stamps == {path: (log_fixture.folder / path).stat().st_mtime_ns for path in log_fixture.files()}


def test_a_backlog_is_relayed_job_by_job(log_fixture: LogFixture, monkeypatch: pytest.MonkeyPatch):
    """However many jobs are behind, each step is one of them; one that cannot be relayed is passed by."""
    monkeypatch.setattr("storage.documents.relay.BATCH", 2)
    for number in range(5):
        log_fixture.submit(f"j{number}")
    (log_fixture.folder / "events" / "rydberg" / "j1.json").mkdir(parents=True)
    steps = log_fixture.relay.catch_up()
    assert next(steps)
    assert [job_id for job_id, _ in log_fixture.cursor.behind()] == ["j1", "j2", "j3", "j4"]
    assert list(steps) == [False, True, True, True]
    assert (log_fixture.cursor.behind(), log_fixture.cursor.count_behind()) == ([("j1", "")], 1)


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
            log_fixture.relay.update("j")
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
    log_fixture.relay.update("j")
    log_fixture.storage.delete("jobs/queued/rydberg/j.json")
    log_fixture.take()
    log_fixture.relay.update("j")
    assert log_fixture.storage.get("jobs/running/j.json") == b'{"a": 1}'


def test_a_job_that_another_spooler_took_is_not_ours(log_fixture: LogFixture):
    """A queued document that lies where we have not put it belongs to somebody else; one that is back is ours again."""
    log_fixture.queue("j.json", b"{}")
    log_fixture.inbox.take("rydberg", "w")
    log_fixture.storage.move("jobs/queued/rydberg/j.json", "jobs/running/j.json")
    job = log_fixture.claim()
    assert not log_fixture.relay.take(job)
    log_fixture.log.append(job, Withdrawn(), attempt=1, actor="w")
    log_fixture.relay.update("j")
    assert log_fixture.files() == ["events/rydberg/j.json", "jobs/running/j.json"]
    assert log_fixture.inbox.take("rydberg", "w").jobs == []
    log_fixture.storage.move("jobs/running/j.json", "jobs/queued/rydberg/j.json")
    log_fixture.inbox.take("rydberg", "w")
    assert log_fixture.log.get("j").state is State.QUEUED
    assert log_fixture.relay.take(log_fixture.claim())


def test_a_relay_between_claim_and_take_leaves_the_document_to_whoever_takes_it(log_fixture: LogFixture):
    """Housekeeping that mirrors a claimed job does not take its document: so another spooler that does is noticed."""
    log_fixture.queue("j.json", b"{}")
    log_fixture.inbox.take("rydberg", "w")
    job = log_fixture.claim()
    log_fixture.relay.update_all()
    assert log_fixture.files() == ["events/rydberg/j.json", "jobs/queued/rydberg/j.json"]
    log_fixture.storage.move("jobs/queued/rydberg/j.json", "jobs/running/j.json")
    log_fixture.relay.update("j")
    assert not log_fixture.relay.take(job)


def test_what_another_spooler_holds_is_not_moved_by_the_end_of_a_job(log_fixture: LogFixture):
    """A job that ended before its document was taken leaves it to whoever took it."""
    log_fixture.queue("j.json", b"{}")
    log_fixture.inbox.take("rydberg", "w")
    job = log_fixture.claim()
    log_fixture.storage.move("jobs/queued/rydberg/j.json", "jobs/running/j.json")
    log_fixture.log.append(
        job, Failed(stage="lease", blame="infrastructure", faults=(), fault_count=0), attempt=1, actor="w"
    )
    log_fixture.relay.update_all()
    assert [path for path in log_fixture.files() if path.startswith("jobs/")] == ["jobs/running/j.json"]


def test_a_job_document_that_is_nowhere_is_written_again(log_fixture: LogFixture):
    """A storage that has lost its documents, or is another one, makes no job disappear: the log has them all."""
    log_fixture.queue("j.json", b'{"a": 2}')
    log_fixture.inbox.take("rydberg", "w")
    log_fixture.storage.delete("jobs/queued/rydberg/j.json")
    assert log_fixture.relay.take(log_fixture.claim())
    log_fixture.relay.update("j")
    assert log_fixture.storage.get("jobs/running/j.json") == b'{"a": 2}'


def test_a_storage_that_does_not_answer_is_not_an_empty_one(log_fixture: LogFixture):
    """While it is not known where the document is, the job is neither run nor withdrawn."""
    log_fixture.queue("j.json", b"{}")
    log_fixture.inbox.take("rydberg", "w")
    job = log_fixture.claim()
    assert log_fixture.relay.take(job)
    log_fixture.cursor.put_place("j", "")  # as after a death between the move and the record of it

    ours = log_fixture.folder / layout.taken("j")
    ours.rename(log_fixture.folder / "kept")
    ours.symlink_to(ours)  # whoever asks for it now gets an error of the system
    with pytest.raises(StorageUnavailable):
        log_fixture.relay.take(job)
    ours.unlink()
    (log_fixture.folder / "kept").rename(ours)
    assert log_fixture.relay.take(job)


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
    """Where a document is copied and deleted, a mover killed in between leaves nothing once the job has ended."""
    log_fixture.storage = TwoSteps(log_fixture.folder.as_uri())
    log_fixture.relay = Relay(log_fixture.log, log_fixture.cursor, Stores.single(log_fixture.storage))
    log_fixture.submit()
    log_fixture.relay.update("j")
    job = log_fixture.claim()
    log_fixture.storage.killed = at == "take"
    with pytest.raises(StorageUnavailable) if at == "take" else contextlib.nullcontext():
        log_fixture.relay.take(job)
    log_fixture.storage.killed = at == "relay"
    with pytest.raises(StorageUnavailable) if at == "relay" else contextlib.nullcontext():
        log_fixture.relay.update("j")
    if at == "relay":
        assert len([path for path in log_fixture.files() if path.startswith(("jobs/", "staged/"))]) == 2
    job = log_fixture.log.append(job, given_back("killed", START), attempt=1, actor="w")
    if end == "cancelled":
        facts = (CancelRequested(by="ann"), Cancelled())
        log_fixture.log.append(job, *facts, attempt=1, actor="w")
    else:
        log_fixture.finish(log_fixture.take())
    log_fixture.relay.update("j")
    place = "jobs/deleted/j.json" if end == "cancelled" else "jobs/finished/rydberg/j.json"
    assert [path for path in log_fixture.files() if path.startswith(("jobs/", "staged/"))] == [place]
    assert list(Verifier(log_fixture.log.engine, Stores.single(log_fixture.storage)).all()) == []
