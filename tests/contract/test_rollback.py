"""A log that was set back to an older copy: what its mirror knows is kept, named, and taken over by a restore."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from flows.draining.inbox_poller import Looks
from models.errors import JobHeld, LogNotEmpty, LogUnavailable, MirrorAhead
from models.events import Cancelled, CancelRequested, Validated
from models.job import State
from models.settings import Settings
from storage import layout
from storage.audit.rebuild import rebuild
from storage.audit.restore import Fork, restore
from storage.audit.rollback import Rollback
from storage.audit.verify import Verifier
from storage.documents.inbox import Inbox
from storage.documents.marks import Marks, mark_in
from storage.documents.relay import Mirror
from storage.log.database import reading, writing
from storage.log.holds import Held, Holds
from tasks.jobs.submission import cancel as cancel_job
from tasks.jobs.submission import submit_document
from tasks.services import Services, use
from tests.contract.conftest import Houses
from tests.contract.databases import on
from tests.contract.house import DOCUMENT, UNGUARD, House

AHEAD = "its mirrored history goes on to event 6, and the log ends at event 0"
UNKNOWN = "its history is in the mirror, and the log does not know the job"


@pytest.fixture
def house(tmp_path: Path, houses: Houses) -> House:
    """An empty house."""
    return houses(tmp_path)


def set_back(house: House, job_id: str, seq: int, *, mark: int | None = None) -> None:
    """Make the database an older copy of itself: nothing after that event has ever been."""
    house.tamper()
    with writing(house.log.engine) as connection:
        connection.execute(text("DELETE FROM event WHERE job_id = :id AND seq > :seq"), {"id": job_id, "seq": seq})
        if mark is not None:
            connection.execute(text("UPDATE log_mark SET mark = :mark"), {"mark": mark})
    rebuild(house.log.engine)
    with writing(house.log.engine) as connection:
        connection.execute(
            text("UPDATE mirror SET seq = -1, place = '', behind = true WHERE job_id = :id"), {"id": job_id}
        )


def finished(house: House, job_id: str = "j") -> None:
    """Run a job to its end, mirrored."""
    house.submit(job_id)
    house.mirror.relay(job_id)
    house.finish(house.take())
    house.mirror.relay(job_id)


def anew(house: House) -> tuple[Mirror, Rollback, Marks]:
    """Return what a process has that begins now."""
    marks = Marks(house.log.engine, house.stores)
    return Mirror(house.log, house.cursor, house.stores, marks=marks), Rollback(house.log, house.stores, marks), marks


def contents(house: House) -> dict[str, bytes]:
    """Return every document but those that only show that somebody was there."""
    return {path: house.storage.get(path) for path in house.files() if not path.startswith("staged/.")}


def test_a_longer_mirrored_history_is_never_written_over(house: House):
    """Neither the relay nor a new attempt writes any document of a job of which the mirror knows more."""
    finished(house)
    before = contents(house)
    set_back(house, "j", 0)
    mirror, _, _ = anew(house)
    with pytest.raises(MirrorAhead):
        mirror.relay("j")
    assert Holds(house.log.engine).all() == [Held("j", "", AHEAD)]
    assert mirror.relay_all() == (0, 0)
    assert contents(house) == before


def test_a_new_attempt_looks_before_it_touches_anything(house: House):
    """Where nothing was seen at the start, the attempt itself ends before it has moved or written a document."""
    finished(house)
    before = contents(house)
    set_back(house, "j", 0)
    mirror, _, _ = anew(house)
    with pytest.raises(MirrorAhead):
        mirror.take(house.claim())
    assert contents(house) == before


def test_a_held_job_is_claimed_by_nobody(house: House):
    """It neither waits nor runs, its lease does not run out, and other jobs are served."""
    house.submit("held")
    house.submit("other")
    Holds(house.log.engine).put(Held("held", "", UNKNOWN))
    assert house.log.counts() == {"rydberg": {"waiting": 1}}
    assert house.claim().job_id == "other"
    assert house.log.claim(["rydberg"], "w", house.log.get("other").lease_until) is None  # type: ignore[arg-type]
    assert house.log.claim_job("held", "w", house.log.get("other").lease_until) is None  # type: ignore[arg-type]
    Holds(house.log.engine).release("held")
    assert house.claim().job_id == "held"


def test_a_mark_says_at_the_start_that_the_log_was_set_back(house: House):
    """With a mark above the log's, every job of which the mirror knows more is held before anything is claimed."""
    _, rollback, marks = anew(house)
    rollback.compare("")
    assert mark_in(house.storage) == marks.ours()
    finished(house)
    marks.before_writing("")
    marks.end()
    assert mark_in(house.storage) == marks.ours()
    assert marks.ours().mark == 2
    set_back(house, "j", 0, mark=1)
    _, rollback, marks = anew(house)
    rollback.compare("")
    assert Holds(house.log.engine).all() == [Held("j", "", AHEAD)]
    assert marks.ours().mark == 3
    assert house.log.claim(["rydberg"], "w", house.log.get("j").submitted_at) is None


def test_nothing_is_compared_where_nothing_was_set_back(house: House, monkeypatch: pytest.MonkeyPatch):
    """A start on a storage that is no further than the log reads one document and lists nothing."""
    _, rollback, _ = anew(house)
    rollback.compare("")
    finished(house)
    monkeypatch.setattr(house.storage, "entries", lambda _folder: pytest.fail("a folder was listed"))
    _, rollback, _ = anew(house)
    rollback.compare("")
    assert Holds(house.log.engine).count() == 0


def test_a_mark_is_never_above_the_log_unless_it_was_set_back(house: House, monkeypatch: pytest.MonkeyPatch):
    """Killed between the log's mark and the storage's, nobody is alarmed; the storage's is the lower one."""
    _, rollback, _ = anew(house)
    rollback.compare("")
    with monkeypatch.context() as killed:
        killed.setattr(house.storage, "put", lambda *_: 1 / 0)
        _, rollback, marks = anew(house)
        with pytest.raises(ZeroDivisionError):
            rollback.compare("")
    found = mark_in(house.storage)
    assert found is not None
    assert (found.mark, marks.ours().mark) == (1, 2)
    assert list(Verifier(house.log.engine, house.stores).all()) == []


def test_a_process_that_has_not_compared_leaves_the_mark_alone(house: House):
    """A command that only hands in a job does not write over the one trace of what was lost."""
    _, rollback, _ = anew(house)
    rollback.compare("")
    before = mark_in(house.storage)
    mirror, _, _ = anew(house)
    house.submit()
    mirror.relay("j")
    assert mark_in(house.storage) == before


def test_a_log_that_goes_back_under_our_eyes_is_compared_again(house: House):
    """A mark that is no higher than the last one of this process shows it."""
    _, rollback, marks = anew(house)
    rollback.compare("")
    marks.before_writing("")
    marks.end()
    set_back(house, "none", 0, mark=0)
    marks.before_writing("")
    marks.end()
    assert not rollback.is_compared("")


@on("sqlite")
def test_an_older_file_that_is_put_in_place_while_the_log_is_open_is_the_log_from_then_on(house: House, tmp_path: Path):
    """A worker that goes on writes nothing into a file that has no name any more, and sees what the storage knows."""
    _, rollback, marks = anew(house)
    rollback.compare("")
    house.submit("old")
    house.mirror.relay_all()
    log, copy = tmp_path / "log.db", tmp_path / "copy.db"
    with contextlib.closing(sqlite3.connect(log)) as now, contextlib.closing(sqlite3.connect(copy)) as then:
        now.backup(then)
    finished(house)
    marks.before_writing("")
    marks.end()
    for file in (log, tmp_path / "log.db-wal", tmp_path / "log.db-shm"):
        file.unlink()
    with pytest.raises(LogUnavailable, match="its file cannot be found"):
        house.submit("lost")
    assert not log.exists()
    copy.rename(log)
    house.submit("new")
    with contextlib.closing(sqlite3.connect(log)) as now:
        assert now.execute("SELECT DISTINCT job_id FROM event ORDER BY 1").fetchall() == [("new",), ("old",)]
    marks.before_writing("")
    marks.end()
    assert not marks.is_compared("")
    rollback.compare("")
    assert Holds(house.log.engine).all() == [Held("j", "", UNKNOWN)]


def test_an_empty_log_on_a_used_storage_holds_what_it_does_not_know(house: House, tmp_path: Path, houses: Houses):
    """Somebody who deleted the database is told so; nothing of the jobs so far is handed in or written again."""
    finished(house)
    before = contents(house)
    other = houses(tmp_path / "second")
    other.stores, other.storage = house.stores, house.storage
    _, rollback, _ = anew(other)
    rollback.compare("")
    assert Holds(other.log.engine).all() == [Held("j", "", UNKNOWN)]
    house.queue("j.json", DOCUMENT)
    assert Inbox(other.log, house.stores, max_bytes=1000, settle_seconds=5).take("rydberg", "w").jobs == []
    (house.folder / "jobs/queued/rydberg/j.json").unlink()
    assert contents(other) | before == before


def test_a_queued_document_with_a_mirrored_history_is_not_handed_in_again(house: House):
    """A job that came after the copy was made, and is in the queue still, is held and not submitted a second time."""
    house.queue("j.json", b'{"a": 1}')
    house.inbox.take("rydberg", "w")
    house.mirror.relay("j")
    set_back(house, "j", -1)
    with writing(house.log.engine) as connection:
        connection.execute(text("DELETE FROM mirror"))
    inbox = Inbox(house.log, house.stores, max_bytes=1000, settle_seconds=5)
    assert inbox.take("rydberg", "w") == ([], 0)
    assert house.log.history("j") == []
    assert Holds(house.log.engine).why("j") == UNKNOWN


def test_verify_names_what_the_mirror_knows_and_the_log_does_not(house: House):
    """A job that is behind its mirror, a job that only the mirror knows, and a mark that is too high are named."""
    _, rollback, marks = anew(house)
    rollback.compare("")
    finished(house)
    finished(house, "k")
    marks.before_writing("")
    marks.end()
    set_back(house, "j", 0, mark=1)
    set_back(house, "k", -1)
    found = {(each.job_id, each.what) for each in Verifier(house.log.engine, house.stores).all()}
    assert {("j", "ahead"), ("", "ahead"), ("k", "foreign")} <= found
    assert ("j", "behind") not in found
    # Once a drain has looked it is known that these documents are nobody else's, and what is to be done.
    _, rollback, _ = anew(house)
    rollback.compare("")
    of_k = [each for each in Verifier(house.log.engine, house.stores).all() if each.job_id == "k"]
    assert [(each.what, each.message) for each in of_k] == [("ahead", f"{UNKNOWN}; run `quledger restore`")]
    house.storage.delete("events/rydberg/k.json")  # without it nobody says whose the others are
    of_k = [each for each in Verifier(house.log.engine, house.stores).all() if each.job_id == "k"]
    assert {each.what for each in of_k} == {"foreign"}


def test_restore_brings_a_log_that_is_behind_up_to_its_mirror(house: House):
    """Jobs that are behind get the events that they lack, unknown ones come back, all others stay as they are."""
    finished(house)
    finished(house, "k")
    finished(house, "same")
    house.submit("ours-alone")
    histories = {job_id: house.log.history(job_id) for job_id in ("j", "k", "same", "ours-alone")}
    before = contents(house)
    set_back(house, "j", 2)
    set_back(house, "k", -1)
    with writing(house.log.engine) as connection:
        connection.execute(text("DELETE FROM mirror WHERE job_id = 'k'"))
    _, rollback, _ = anew(house)
    rollback._compare_histories("", house.storage, None)
    assert Holds(house.log.engine).count() == 2
    assert restore(house.log.engine, house.storage, ours=True) == {"jobs": 2, "events": 4 + 7}
    assert {job_id: house.log.history(job_id) for job_id in histories} == histories
    assert Holds(house.log.engine).count() == 0
    assert house.log.get("j").state is State.DONE
    mirror, _, _ = anew(house)
    mirror.relay_all()
    assert {path: before.get(path) for path in before} == {path: contents(house).get(path) for path in before}
    assert list(Verifier(house.log.engine, house.stores).all()) == []
    assert restore(house.log.engine, house.storage, ours=True) == {"jobs": 0, "events": 0}


def claim_again(house: House) -> None:
    """Go on with a log that was set back, in a way that nobody was told of."""
    house.claim()


def cancel(house: House) -> None:
    """Go on with it in a way that ends the job."""
    job = house.log.get("j")
    house.log.append(job, CancelRequested(by="u"), Cancelled(), attempt=job.attempt, actor="w")


@pytest.mark.parametrize(
    ("go_on", "kinds", "needs_word"),
    [(claim_again, ["claimed"], False), (cancel, ["cancel_requested", "cancelled"], True)],
)
def test_a_fork_is_settled_for_what_was_published(
    house: House,
    go_on: Callable[[House], None],
    kinds: list[str],
    needs_word: bool,  # noqa: FBT001 - a parameter of the test
):
    """What the log did alone is set aside and kept: unasked where it decided nothing, else only on somebody's word."""
    finished(house)
    published = house.log.history("j")
    set_back(house, "j", 0)
    go_on(house)
    alone = house.log.history("j")[1:]
    forks: list[Fork] = []
    restore(house.log.engine, house.storage, forks=forks)
    assert [fork.settled for fork in forks] == [not needs_word]
    assert f"from event 1 on the log holds {', '.join(kinds)}" in forks[0].message
    if needs_word:
        assert house.log.history("j")[1:] == alone
        assert "different stories from event 1 on" in Holds(house.log.engine).why("j")
        restore(house.log.engine, house.storage, forks=forks, mirror_wins=True)
    assert house.log.history("j") == published
    assert Holds(house.log.engine).count() == 0
    with reading(house.log.engine) as connection:
        kept = connection.execute(text("SELECT seq, kind, hash FROM set_aside ORDER BY seq")).all()
    assert [tuple(row) for row in kept] == [(event.seq, event.kind, event.hash) for event in alone]
    anew(house)[0].relay_all()
    assert list(Verifier(house.log.engine, house.stores).all()) == []


def test_an_event_goes_only_where_it_was_set_aside(house: House):
    """The database itself refuses to delete any other event, and anything that was set aside."""
    house.submit()
    for statement in ("DELETE FROM event", "UPDATE event SET kind = 'x'", "DELETE FROM event WHERE job_id = 'none'"):
        if house.log.engine.dialect.name == "sqlite" and "none" in statement:
            continue  # it looks at rows, and there are none
        with pytest.raises(Exception, match="append-only"), writing(house.log.engine) as connection:
            connection.execute(text(statement))
    with writing(house.log.engine) as connection:
        columns = "job_id, seq, attempt, kind, data, recorded_at, actor, flow_run_id, prev_hash, hash"
        connection.execute(text(f"INSERT INTO set_aside ({columns}, set_aside_at) SELECT {columns}, 'now' FROM event"))
        connection.execute(text("DELETE FROM event"))
    for statement in ("DELETE FROM set_aside", "UPDATE set_aside SET kind = 'x'"):
        with pytest.raises(Exception, match="append-only"), writing(house.log.engine) as connection:
            connection.execute(text(statement))


def test_the_mirror_of_another_laboratory_is_not_mixed_in(house: House, tmp_path: Path, houses: Houses):
    """A log that holds jobs takes nothing from a mirror that shares no job with it."""
    house.submit("ours")
    other = houses(tmp_path / "second")
    finished(other, "theirs")
    with pytest.raises(LogNotEmpty):
        restore(house.log.engine, other.storage)
    assert house.log.history("theirs") == []


def test_a_job_is_let_go_when_the_mirror_is_a_part_of_the_log_again(house: House):
    """A hold lasts for as long as the mirror knows more, and no longer: an operator may also put the mirror right."""
    finished(house)
    history = house.storage.get("events/rydberg/j.json")
    longer = json.loads(history)
    longer["events"].append(longer["events"][-1] | {"hash": "f" * 64})
    house.storage.put("events/rydberg/j.json", json.dumps(longer).encode())
    job = house.log.get("j")
    Holds(house.log.engine).put(Held("j", "", AHEAD))
    rollback = anew(house)[1]
    rollback.look_again("")
    assert Holds(house.log.engine).count() == 1
    house.storage.put("events/rydberg/j.json", history)
    rollback.look_again("")
    assert Holds(house.log.engine).count() == 0
    assert house.log.get("j") == job


def test_a_held_job_is_neither_cancelled_nor_handed_in_again(tmp_path: Path):
    """What would be appended to it now would be a fork; the caller is told what to do instead."""
    services = Services(Settings(home=tmp_path))
    use(services)
    try:
        job = submit_document("rydberg", DOCUMENT)
        keyed = submit_document("rydberg", DOCUMENT, key="key")
        services.holds.put(Held(job.job_id, "", AHEAD), Held(keyed.job_id, "", AHEAD))
        with pytest.raises(JobHeld, match="quledger restore"):
            cancel_job(services, job.job_id, by="u")
        with pytest.raises(JobHeld, match="quledger restore"):
            submit_document("rydberg", DOCUMENT, key="key")
        assert len(services.log.history(job.job_id)) == 1
    finally:
        use(None)


def test_one_process_reads_a_mirrored_history_once_an_attempt(house: House, monkeypatch: pytest.MonkeyPatch):
    """A job from the queue costs no reading at all: that its history could be made says that there was none."""
    house.queue("j.json", b'{"a": 1}')
    house.inbox.take("rydberg", "w")
    read: list[str] = []
    original = house.storage.get
    monkeypatch.setattr(house.storage, "get", lambda path: read.append(path) or original(path))  # type: ignore[func-returns-value]
    job = house.take()
    house.mirror.relay("j")
    job = house.log.append(job, Validated(experiments=1, shots=1), attempt=1, actor="w")
    house.mirror.relay("j")
    assert layout.events("rydberg", "j") not in read


def test_a_document_that_waits_is_taken_again_when_the_log_has_forgotten_it(tmp_path: Path):
    """A drain goes on while an older copy is put in place: what it had taken in and not mirrored yet is not left lying."""
    services = Services(Settings(home=tmp_path))
    services.rollback.compare("")
    looks = Looks(services, ["rydberg"])
    queue = tmp_path / "storage" / "jobs" / "queued" / "rydberg"
    queue.mkdir(parents=True)
    (queue / "q.json").write_bytes(DOCUMENT)

    def looked() -> int:
        return asyncio.run(looks.look()).taken

    assert looked() == 1
    with writing(services.log.engine) as connection:
        for statement in (*UNGUARD["sqlite"], "DELETE FROM event", "DELETE FROM job", "DELETE FROM mirror"):
            connection.execute(text(statement))
        connection.execute(text("UPDATE log_mark SET mark = 0"))
    assert looked() == 0
    services.marks.look()  # as housekeeping does
    assert looked() == 1
    assert services.log.get("q").state is State.QUEUED
    services.mirror.relay_all()
    assert list(Verifier(services.log.engine, services.stores).all()) == []
