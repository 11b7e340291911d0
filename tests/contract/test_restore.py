"""Rebuild and restore: from the events alone come the same views, from the mirror alone comes the same log."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from models.errors import LogBroken, LogUnavailable, MirrorBroken
from storage.audit.rebuild import rebuild
from storage.audit.restore import LogNotEmpty, restore
from storage.audit.verify import Verifier
from storage.documents.job_documents import JobDocuments
from storage.documents.relay import Relay
from storage.log.database import open_database, reading, writing
from storage.log.mirror_cursor import MirrorCursor
from storage.providers.registry import open_storage
from storage.providers.stores import Stores
from tests.contract.conftest import Houses, Told
from tests.contract.databases import Databases, on
from tests.contract.log_fixture import LATER, LOST, LogFixture, dumped


def story(log_fixture: LogFixture) -> None:
    """Bring jobs into several states; the mirror of all but one is up to date."""
    log_fixture.submit("done")
    log_fixture.finish(log_fixture.claim())
    log_fixture.submit("failed")
    log_fixture.log.append(log_fixture.claim(), LOST, attempt=1, actor="w")
    log_fixture.submit("running")
    log_fixture.take()
    log_fixture.relay.update_all()
    log_fixture.submit("waiting")


@pytest.fixture
def log_fixture(log_fixture_after: Told) -> LogFixture:
    """A log_fixture after that story."""
    return log_fixture_after(story)


@pytest.fixture
def other(tmp_path: Path, log_fixtures: Houses) -> LogFixture:
    """A second log_fixture, whose log is empty."""
    return log_fixtures(tmp_path / "second")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE job SET fold = '{}' WHERE job_id = 'done'",
        "UPDATE job SET state = 'QUEUED', phase = 'waiting' WHERE job_id = 'done'",
        "UPDATE job SET job_id = 'ghost' WHERE job_id = 'running'",
        "DELETE FROM job WHERE job_id = 'failed'",
        "INSERT INTO mirror VALUES ('zzz', 3, '', false)",
        "INSERT INTO mirror VALUES ('aaa', 3, '', false)",
        "UPDATE mirror SET behind = false WHERE job_id = 'waiting'",
        "UPDATE mirror SET behind = true WHERE job_id = 'done'",
    ],
)
def test_rebuilt_views_are_the_same_to_the_byte(log_fixture: LogFixture, damage: str):
    """Whatever happened to a view, a rebuild brings back exactly what stood there."""
    before = dumped(log_fixture)
    log_fixture.tamper(damage)
    assert dumped(log_fixture) != before
    assert rebuild(log_fixture.log.engine) == {"jobs": 4, "events": 13, "streams": 0}
    assert dumped(log_fixture) == before
    rebuild(log_fixture.log.engine)
    assert dumped(log_fixture) == before


@pytest.mark.parametrize("change", ["seq = 99", "place = 'jobs/elsewhere.json'", "seq = -7", "place = ''"])
def test_a_cursor_that_cannot_be_true_begins_anew(log_fixture: LogFixture, change: str):
    """A rebuilt cursor that cannot have been true is behind, and one relay brings everything right."""
    before = dumped(log_fixture)
    log_fixture.tamper(f"UPDATE mirror SET {change} WHERE job_id = 'done'")
    rebuild(log_fixture.log.engine)
    assert ("done", "") in log_fixture.cursor.behind()
    log_fixture.relay.update("done")
    assert dumped(log_fixture) == before


def test_a_rebuild_keeps_the_leases_of_running_attempts(log_fixture: LogFixture):
    """A heartbeat survives a rebuild; the lease of an attempt that is over does not."""
    log_fixture.log.heartbeat({"running": 1}, LATER)
    with writing(log_fixture.log.engine) as connection:
        connection.execute(text("INSERT INTO lease VALUES ('done', 1, 'x'), ('ghost', 1, 'x')"))
    rebuild(log_fixture.log.engine)
    with reading(log_fixture.log.engine) as connection:
        assert list(connection.scalars(text("SELECT job_id FROM lease"))) == ["running"]


def test_a_rebuild_refuses_broken_histories(log_fixture: LogFixture):
    """A rebuild names every job with a broken chain and changes nothing, not even what it could put right."""
    log_fixture.tamper(
        "UPDATE event SET data = replace(data, 'a', 'b') WHERE job_id = 'done' AND seq = 0",
        "UPDATE event SET recorded_at = CAST(x'ff' AS TEXT) WHERE job_id = 'running' AND seq = 1",
        "DELETE FROM event WHERE job_id = 'failed' AND seq = 0",
        "UPDATE job SET state = 'X' WHERE job_id = 'waiting'",
    )
    before = dumped(log_fixture)
    with pytest.raises(LogBroken, match=r"done.*failed.*running") as refusal:
        rebuild(log_fixture.log.engine)
    assert "waiting" not in str(refusal.value)
    assert dumped(log_fixture) == before


def test_a_log_comes_back_from_its_mirror(log_fixture: LogFixture, other: LogFixture):
    """From a complete mirror alone comes a log with the same bytes, and after one relay its cursors are the same."""
    log_fixture.relay.update_all()
    assert restore(other.log.engine, log_fixture.storage) == {"jobs": 4, "events": 13}
    assert dumped(other, cursors=False) == dumped(log_fixture, cursors=False)
    assert {job_id for job_id, _ in other.cursor.behind()} == {"done", "failed", "running", "waiting"}
    files = log_fixture.files()
    Relay(other.log, other.cursor, Stores.single(log_fixture.storage)).update_all()
    assert dumped(other) == dumped(log_fixture)
    assert log_fixture.files() == files
    assert list(Verifier(other.log.engine, Stores.single(log_fixture.storage)).all()) == []


def test_a_log_comes_back_into_another_storage(log_fixture: LogFixture, other: LogFixture):
    """A restored log writes the documents of its jobs wherever it goes on; only results are not in the log."""
    log_fixture.relay.update_all()
    restore(other.log.engine, log_fixture.storage)
    other.relay.update_all()
    assert set(log_fixture.files()) - set(other.files()) == {"results/rydberg/done.json"}
    assert {(each.job_id, each.what) for each in Verifier(other.log.engine, Stores.single(other.storage)).all()} == {
        ("done", "result")
    }


def test_a_relay_that_was_cut_short_leaves_nothing_behind(
    log_fixture: LogFixture, other: LogFixture, monkeypatch: pytest.MonkeyPatch
):
    """Where the mirror knew of the end of a job and its document was not moved yet, a restored log moves it."""
    job = log_fixture.log.get("running")
    log_fixture.log.append(job, LOST, attempt=1, actor="w")
    with monkeypatch.context() as killed:
        killed.setattr(JobDocuments, "place_document", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            log_fixture.relay.update("running")
    restore(other.log.engine, log_fixture.storage)
    Relay(other.log, other.cursor, Stores.single(log_fixture.storage)).update_all()
    assert "jobs/deleted/running.json" in log_fixture.files()
    assert "jobs/running/running.json" not in log_fixture.files()


def test_a_memory_storage_will_do(other: LogFixture, tmp_path: Path, log_fixtures: Houses):
    """A log is restored from any storage of the contract."""
    log_fixture = log_fixtures(tmp_path)
    log_fixture.submit("j")
    storage = open_storage(f"memory://restore-test-{uuid.uuid4().hex}")
    Relay(log_fixture.log, MirrorCursor(log_fixture.log.engine), Stores.single(storage)).update_all()
    restore(other.log.engine, storage)
    assert dumped(other, cursors=False) == dumped(log_fixture, cursors=False)


@pytest.mark.parametrize("what", ["job", "lease", "mirror"])
def test_a_log_that_is_not_empty_is_left_alone(log_fixture: LogFixture, other: LogFixture, what: str):
    """Nothing is restored into a database that holds anything."""
    if what == "job":
        other.submit("own")
    else:
        values = {"lease": "('x', 1, '')", "mirror": "('x', 1, '', false)"}[what]
        with writing(other.log.engine) as connection:
            connection.execute(text(f"INSERT INTO {what} VALUES {values}"))
    before = dumped(other)
    with pytest.raises(LogNotEmpty):
        restore(other.log.engine, log_fixture.storage)
    assert dumped(other) == before


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Return a function that changes the JSON of the history of `done`."""

    def apply(store: Path) -> None:
        path = store / "events/rydberg/done.json"
        document = json.loads(path.read_bytes())
        change(document)
        path.write_text(json.dumps(document))

    return apply


def write(path: str, content: bytes) -> Callable[[Path], None]:
    """Return a function that writes one file into the store."""

    def apply(store: Path) -> None:
        (store / path).parent.mkdir(parents=True, exist_ok=True)
        (store / path).write_bytes(content)

    return apply


def copy(source: str, target: str) -> Callable[[Path], None]:
    """Return a function that copies one file of the store."""
    return lambda store: write(target, (store / source).read_bytes())(store)


DONE = "events/rydberg/done.json"
BAD_MIRRORS: dict[str, tuple[Callable[[Path], None], str]] = {
    "gap": (edit(lambda d: d["events"].pop(2)), f"{DONE}: event 2 is missing"),
    "first gone": (edit(lambda d: d["events"].pop(0)), f"{DONE}: event 0 is missing"),
    "twice": (edit(lambda d: d["events"].insert(2, d["events"][1])), f"{DONE}: event 1 comes twice"),
    "order": (edit(lambda d: d["events"].reverse()), f"{DONE}: event 0 is missing"),
    "nothing": (edit(lambda d: d["events"].clear()), f"{DONE}: it has no events"),
    "data": (edit(lambda d: d["events"][0]["data"].update(user="eve")), f"{DONE}: event 0 is not what was written"),
    "actor": (edit(lambda d: d["events"][3].update(actor="eve")), f"{DONE}: event 3 is not what was written"),
    "kind": (edit(lambda d: d["events"][3].update(kind="failed")), f"{DONE}: event 3 is not what was written"),
    "hash": (edit(lambda d: d["events"][3].update(hash="0" * 64)), f"{DONE}: event 3 is not what was written"),
    "fact": (edit(lambda d: d["events"][3].update(data={"kind": "?"})), f"{DONE}: the data of event 3"),
    "no fact": (edit(lambda d: d["events"][3].update(data=[])), f"{DONE}: the data of event 3"),
    "not an event": (edit(lambda d: d["events"][3].update(seq="x")), f"{DONE}: event 3 is no event"),
    "more": (edit(lambda d: d["events"][3].update(more=1)), f"{DONE}: event 3 is not what was written"),
    "no list": (edit(lambda d: d.update(events={})), f"{DONE}: its events are no list"),
    "version": (edit(lambda d: d.update(version=2)), f"{DONE}: it is a history of version 2"),
    "other job": (edit(lambda d: d.update(job_id="eve")), f"{DONE}: it is the history of another job, 'eve'"),
    "renamed": (copy(DONE, "events/rydberg/eve.json"), "events/rydberg/eve.json: it is the history of another job"),
    "other backend": (copy(DONE, "events/fermions/done.json"), "events/fermions/done.json: the job is of the backend"),
    "no JSON": (write(DONE, b"{"), f"{DONE}: it is not JSON"),
    "no text": (write(DONE, b"\xff\xfe\x00"), f"{DONE}: it is not JSON"),
    "deep": (write(DONE, b"[" * 200_000), f"{DONE}: it is not JSON"),
    "a status": (write(DONE, b'{"job_id": "done"}'), f"{DONE}: it is no history"),
    "a number": (write(DONE, b"7"), f"{DONE}: it is no history"),
    "stranger": (write("events/rydberg/notes.txt", b""), "events/rydberg/notes.txt: it is no history"),
    "stranger above": (write("events/notes.json", b""), "events/notes.json: it is no folder of a backend"),
    "bad name": (write("events/rydberg/a b.json", b""), "events/rydberg/a b.json: it is no history"),
    "folder": (write("events/rydberg/x.json/y", b""), "events/rydberg/x.json: it is no history"),
    "bad folder": (write("events/No Backend/x.json", b""), "events/No Backend: it is no folder of a backend"),
}


@on("sqlite")  # a history is read the same way whatever the database; below, one with all faults is refused on each
@pytest.mark.parametrize("name", BAD_MIRRORS)
def test_a_bad_mirror_is_refused(log_fixture: LogFixture, other: LogFixture, name: str):
    """A mirror with anything wrong in it is refused with its place and what is wrong, and nothing is restored."""
    spoil, said = BAD_MIRRORS[name]
    spoil(log_fixture.folder)
    before = dumped(other)
    with pytest.raises(MirrorBroken) as refusal:
        restore(other.log.engine, log_fixture.storage)
    assert len(refusal.value.faults) == 1
    assert refusal.value.faults[0].startswith(said)
    assert dumped(other) == before == b""


def test_two_histories_of_one_job_are_refused(
    log_fixture: LogFixture, other: LogFixture, tmp_path: Path, log_fixtures: Houses
):
    """Two true histories under one job id, of two backends, are refused: only one can be the job's."""
    twin = log_fixtures(tmp_path / "twin")
    fact = twin.log.submission(twin.submit("done").job_id).model_copy(update={"backend": "fermions"})
    second = log_fixtures(tmp_path / "third")
    second.log.submit("done", fact, "test")
    second.relay.update_all()
    write("events/fermions/done.json", second.storage.get("events/fermions/done.json"))(log_fixture.folder)
    with pytest.raises(MirrorBroken, match="another history has the same job id"):
        restore(other.log.engine, log_fixture.storage)
    assert dumped(other) == b""


def test_all_faults_of_a_mirror_are_named_at_once(log_fixture: LogFixture, other: LogFixture):
    """Whoever has to repair a mirror reads the whole list at the first attempt."""
    for name in ("gap", "stranger", "stranger above", "other backend", "bad folder"):
        BAD_MIRRORS[name][0](log_fixture.folder)
    write("events/rydberg/failed.json", b"{}")(log_fixture.folder)
    with pytest.raises(MirrorBroken) as refusal:
        restore(other.log.engine, log_fixture.storage)
    assert len(refusal.value.faults) == 6
    assert all(fault in str(refusal.value) for fault in refusal.value.faults)
    assert dumped(other) == b""


def test_half_a_document_is_no_fault(log_fixture: LogFixture, other: LogFixture):
    """What a killed writer left beside a history does not keep a log from being restored."""
    write("events/rydberg/.done.json.0123.tmp", b"{")(log_fixture.folder)
    assert restore(other.log.engine, log_fixture.storage)["jobs"] == 3


def test_an_empty_mirror_is_no_mirror(tmp_path: Path, other: LogFixture):
    """A storage without a single history is refused: most likely its address is wrong."""
    with pytest.raises(MirrorBroken, match="no histories"):
        restore(other.log.engine, open_storage((tmp_path / "nosuch").as_uri()))


def test_a_database_of_a_newer_version_is_not_restored_into(tmp_path: Path, databases: Databases):
    """A database that a newer Quledger made is refused before anything is read."""
    url = databases.new(tmp_path)
    with writing(databases.open(url)) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LogUnavailable, match="newer Quledger"):
        open_database(url)
