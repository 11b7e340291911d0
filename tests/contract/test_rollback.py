"""A log that was set back to an older copy: what its mirror knows is kept, named, and taken over by a restore."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from flows.draining.inbox_poller import InboxPoller
from models.errors import JobHeld, LogUnavailable, MirrorAhead
from models.facts import Validated
from models.job import State
from models.settings import Settings
from models.submissions import Submission
from storage import layout
from storage.audit.verify import Verifier
from storage.documents.inbox import Inbox
from storage.documents.marks import mark_in
from storage.log.database import writing
from storage.log.holds import Held, Holds
from tasks.jobs.submission import cancel as cancel_job
from tasks.jobs.submission import submit_document
from tasks.services import Services
from tests.contract.conftest import Houses
from tests.contract.databases import on
from tests.contract.log_fixture import DOCUMENT, UNGUARD, LogFixture
from tests.contract.set_back import AHEAD, UNKNOWN, anew, contents, finished, set_back


@pytest.fixture
def log_fixture(tmp_path: Path, log_fixtures: Houses) -> LogFixture:
    """An empty log_fixture."""
    return log_fixtures(tmp_path)


def test_a_longer_mirrored_history_is_never_written_over(log_fixture: LogFixture):
    """Neither the relay nor a new attempt writes any document of a job of which the mirror knows more."""
    finished(log_fixture)
    before = contents(log_fixture)
    set_back(log_fixture, "j", 0)
    relay, _, _ = anew(log_fixture)
    with pytest.raises(MirrorAhead):
        relay.update("j")
    assert Holds(log_fixture.log.engine).all() == [Held("j", "", AHEAD)]
    assert relay.update_all() == (0, 0)
    assert contents(log_fixture) == before


def test_a_new_attempt_looks_before_it_touches_anything(log_fixture: LogFixture):
    """Where nothing was seen at the start, the attempt itself ends before it has moved or written a document."""
    finished(log_fixture)
    before = contents(log_fixture)
    set_back(log_fixture, "j", 0)
    relay, _, _ = anew(log_fixture)
    with pytest.raises(MirrorAhead):
        relay.take(log_fixture.claim())
    assert contents(log_fixture) == before


def test_a_held_job_is_claimed_by_nobody(log_fixture: LogFixture):
    """It neither waits nor runs, its lease does not run out, and other jobs are served."""
    log_fixture.submit("held")
    log_fixture.submit("other")
    Holds(log_fixture.log.engine).put(Held("held", "", UNKNOWN))
    assert log_fixture.log.counts() == {"rydberg": {"waiting": 1}}
    assert log_fixture.claim().job_id == "other"
    assert log_fixture.log.claim(["rydberg"], "w", log_fixture.log.get("other").lease_until) is None  # type: ignore[arg-type]
    assert log_fixture.log.claim_job("held", "w", log_fixture.log.get("other").lease_until) is None  # type: ignore[arg-type]
    Holds(log_fixture.log.engine).release("held")
    assert log_fixture.claim().job_id == "held"


def test_a_mark_says_at_the_start_that_the_log_was_set_back(log_fixture: LogFixture):
    """With a mark above the log's, every job of which the mirror knows more is held before anything is claimed."""
    _, rollback, marks = anew(log_fixture)
    rollback.compare("")
    assert mark_in(log_fixture.storage) == marks.ours()
    finished(log_fixture)
    marks.before_writing("")
    marks.end()
    assert mark_in(log_fixture.storage) == marks.ours()
    assert marks.ours().mark == 2
    set_back(log_fixture, "j", 0, mark=1)
    _, rollback, marks = anew(log_fixture)
    rollback.compare("")
    assert Holds(log_fixture.log.engine).all() == [Held("j", "", AHEAD)]
    assert marks.ours().mark == 3
    assert log_fixture.log.claim(["rydberg"], "w", log_fixture.log.get("j").submitted_at) is None


def test_nothing_is_compared_where_nothing_was_set_back(log_fixture: LogFixture, monkeypatch: pytest.MonkeyPatch):
    """A start on a storage that is no further than the log reads one document and lists nothing."""
    _, rollback, _ = anew(log_fixture)
    rollback.compare("")
    finished(log_fixture)
    monkeypatch.setattr(log_fixture.storage, "entries", lambda _folder: pytest.fail("a folder was listed"))
    _, rollback, _ = anew(log_fixture)
    rollback.compare("")
    assert Holds(log_fixture.log.engine).count() == 0


def test_a_mark_is_never_above_the_log_unless_it_was_set_back(log_fixture: LogFixture, monkeypatch: pytest.MonkeyPatch):
    """Killed between the log's mark and the storage's, nobody is alarmed; the storage's is the lower one."""
    _, rollback, _ = anew(log_fixture)
    rollback.compare("")
    with monkeypatch.context() as killed:
        killed.setattr(log_fixture.storage, "put", lambda *_: 1 / 0)
        _, rollback, marks = anew(log_fixture)
        with pytest.raises(ZeroDivisionError):
            rollback.compare("")
    found = mark_in(log_fixture.storage)
    assert found is not None
    assert (found.mark, marks.ours().mark) == (1, 2)
    assert list(Verifier(log_fixture.log.engine, log_fixture.stores).all()) == []


def test_a_process_that_has_not_compared_leaves_the_mark_alone(log_fixture: LogFixture):
    """A command that only hands in a job does not write over the one trace of what was lost."""
    _, rollback, _ = anew(log_fixture)
    rollback.compare("")
    before = mark_in(log_fixture.storage)
    relay, _, _ = anew(log_fixture)
    log_fixture.submit()
    relay.update("j")
    assert mark_in(log_fixture.storage) == before


def test_a_log_that_goes_back_under_our_eyes_is_compared_again(log_fixture: LogFixture):
    """A mark that is no higher than the last one of this process shows it."""
    _, rollback, marks = anew(log_fixture)
    rollback.compare("")
    marks.before_writing("")
    marks.end()
    set_back(log_fixture, "none", 0, mark=0)
    marks.before_writing("")
    marks.end()
    assert not rollback.is_compared("")


@on("sqlite")
def test_an_older_file_that_is_put_in_place_while_the_log_is_open_is_the_log_from_then_on(
    log_fixture: LogFixture, tmp_path: Path
):
    """A worker that goes on writes nothing into a file that has no name any more, and sees what the storage knows."""
    _, rollback, marks = anew(log_fixture)
    rollback.compare("")
    log_fixture.submit("old")
    log_fixture.relay.update_all()
    log, copy = tmp_path / "log.db", tmp_path / "copy.db"
    with contextlib.closing(sqlite3.connect(log)) as now, contextlib.closing(sqlite3.connect(copy)) as then:
        now.backup(then)
    finished(log_fixture)
    marks.before_writing("")
    marks.end()
    for file in (log, tmp_path / "log.db-wal", tmp_path / "log.db-shm"):
        file.unlink()
    with pytest.raises(LogUnavailable, match="its file cannot be found"):
        log_fixture.submit("lost")
    assert not log.exists()
    copy.rename(log)
    log_fixture.submit("new")
    with contextlib.closing(sqlite3.connect(log)) as now:
        assert now.execute("SELECT DISTINCT job_id FROM event ORDER BY 1").fetchall() == [("new",), ("old",)]
    marks.before_writing("")
    marks.end()
    assert not marks.is_compared("")
    rollback.compare("")
    assert Holds(log_fixture.log.engine).all() == [Held("j", "", UNKNOWN)]


def test_an_empty_log_on_a_used_storage_holds_what_it_does_not_know(
    log_fixture: LogFixture, tmp_path: Path, log_fixtures: Houses
):
    """Somebody who deleted the database is told so; nothing of the jobs so far is handed in or written again."""
    finished(log_fixture)
    before = contents(log_fixture)
    other = log_fixtures(tmp_path / "second")
    other.stores, other.storage = log_fixture.stores, log_fixture.storage
    _, rollback, _ = anew(other)
    rollback.compare("")
    assert Holds(other.log.engine).all() == [Held("j", "", UNKNOWN)]
    log_fixture.queue("j.json", DOCUMENT)
    assert Inbox(other.log, log_fixture.stores, max_bytes=1000, settle_seconds=5).take("rydberg", "w").jobs == []
    (log_fixture.folder / "jobs/queued/rydberg/j.json").unlink()
    assert contents(other) | before == before


def test_a_queued_document_with_a_mirrored_history_is_not_handed_in_again(log_fixture: LogFixture):
    """A job that came after the copy was made, and is in the queue still, is held and not submitted a second time."""
    log_fixture.queue("j.json", b'{"a": 1}')
    log_fixture.inbox.take("rydberg", "w")
    log_fixture.relay.update("j")
    set_back(log_fixture, "j", -1)
    with writing(log_fixture.log.engine) as connection:
        connection.execute(text("DELETE FROM mirror"))
    inbox = Inbox(log_fixture.log, log_fixture.stores, max_bytes=1000, settle_seconds=5)
    assert inbox.take("rydberg", "w") == ([], 0, 0)
    assert log_fixture.log.history("j") == []
    assert Holds(log_fixture.log.engine).why("j") == UNKNOWN


def test_verify_names_what_the_mirror_knows_and_the_log_does_not(log_fixture: LogFixture):
    """A job that is behind its mirror, a job that only the mirror knows, and a mark that is too high are named."""
    _, rollback, marks = anew(log_fixture)
    rollback.compare("")
    finished(log_fixture)
    finished(log_fixture, "k")
    marks.before_writing("")
    marks.end()
    set_back(log_fixture, "j", 0, mark=1)
    set_back(log_fixture, "k", -1)
    found = {(each.job_id, each.what) for each in Verifier(log_fixture.log.engine, log_fixture.stores).all()}
    assert {("j", "ahead"), ("", "ahead"), ("k", "foreign")} <= found
    assert ("j", "behind") not in found
    # Once a drain has looked it is known that these documents are nobody else's, and what is to be done.
    _, rollback, _ = anew(log_fixture)
    rollback.compare("")
    of_k = [each for each in Verifier(log_fixture.log.engine, log_fixture.stores).all() if each.job_id == "k"]
    assert [(each.what, each.message) for each in of_k] == [("ahead", f"{UNKNOWN}; run `quledger restore`")]
    log_fixture.storage.delete("events/rydberg/k.json")  # without it nobody says whose the others are
    of_k = [each for each in Verifier(log_fixture.log.engine, log_fixture.stores).all() if each.job_id == "k"]
    assert {each.what for each in of_k} == {"foreign"}


def test_a_held_job_is_neither_cancelled_nor_handed_in_again(tmp_path: Path):
    """What would be appended to it now would be a fork; the caller is told what to do instead."""
    services = Services(Settings(home=tmp_path))
    with_key = Submission(backend="rydberg", document=DOCUMENT, key="key")
    job = submit_document(services, Submission(backend="rydberg", document=DOCUMENT))
    keyed = submit_document(services, with_key)
    services.holds.put(Held(job.job_id, "", AHEAD), Held(keyed.job_id, "", AHEAD))
    with pytest.raises(JobHeld, match="quledger restore"):
        cancel_job(services, job.job_id, by="u")
    with pytest.raises(JobHeld, match="quledger restore"):
        submit_document(services, with_key)
    assert len(services.log.history(job.job_id)) == 1


def test_one_process_reads_a_mirrored_history_once_an_attempt(log_fixture: LogFixture, monkeypatch: pytest.MonkeyPatch):
    """A job from the queue costs no reading at all: that its history could be made says that there was none."""
    log_fixture.queue("j.json", b'{"a": 1}')
    log_fixture.inbox.take("rydberg", "w")
    read: list[str] = []
    original = log_fixture.storage.get
    monkeypatch.setattr(log_fixture.storage, "get", lambda path: read.append(path) or original(path))  # type: ignore[func-returns-value]
    job = log_fixture.take()
    log_fixture.relay.update("j")
    job = log_fixture.log.append(job, Validated(experiments=1, shots=1), attempt=1, actor="w")
    log_fixture.relay.update("j")
    assert layout.events("rydberg", "j") not in read


def test_a_document_that_waits_is_taken_again_when_the_log_has_forgotten_it(tmp_path: Path):
    """A drain goes on while an older copy is put in place: what it had taken in and not mirrored is not left."""
    services = Services(Settings(home=tmp_path))
    services.rollback.compare("")
    poller = InboxPoller(services, ["rydberg"])
    queue = tmp_path / "storage" / "jobs" / "queued" / "rydberg"
    queue.mkdir(parents=True)
    (queue / "q.json").write_bytes(DOCUMENT)

    def looked() -> int:
        return asyncio.run(poller.poll()).taken

    assert looked() == 1
    with writing(services.log.engine) as connection:
        for statement in (*UNGUARD["sqlite"], "DELETE FROM event", "DELETE FROM job", "DELETE FROM mirror"):
            connection.execute(text(statement))
        connection.execute(text("UPDATE log_mark SET mark = 0"))
    assert looked() == 0
    services.marks.compare()  # as housekeeping does
    assert looked() == 1
    assert services.log.get("q").state is State.QUEUED
    services.relay.update_all()
    assert list(Verifier(services.log.engine, services.stores).all()) == []
