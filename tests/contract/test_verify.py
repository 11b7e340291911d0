"""Verify: whoever changes anything behind the log's back is found out, and the job is named."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from models.audit import Finding, Run
from models.errors import LogUnavailable, UnknownJob
from models.facts import Compiled, Failed, Refused, Validated, Withdrawn
from storage.audit.verify import RunsOf, Verifier
from storage.log.database import open_database, reading, writing
from storage.providers.stores import Stores
from tests.contract.conftest import Told
from tests.contract.databases import Databases, on
from tests.contract.log_fixture import UNGUARD, LogFixture

FAILED = Failed(stage="validation", blame="user", faults=(), fault_count=0)


def story(log_fixture: LogFixture) -> None:
    """Bring one job to each place, all of them mirrored."""
    log_fixture.submit("done")
    log_fixture.finish(log_fixture.claim())
    log_fixture.submit("failed")
    log_fixture.log.append(log_fixture.claim(), FAILED, attempt=1, actor="w")
    log_fixture.submit("running")
    log_fixture.take()
    log_fixture.submit("claimed")
    log_fixture.claim()
    log_fixture.submit("waiting")
    log_fixture.relay.update_all()


@pytest.fixture
def log_fixture(log_fixture_after: Told) -> LogFixture:
    """A log_fixture after that story."""
    return log_fixture_after(story)


def first_status(job_id: str, word: str = "INITIALIZING") -> bytes:
    """Return a status as a front end writes it."""
    status = {"job_id": job_id, "status": word, "detail": "Got your json.", "error_message": "None"}
    return json.dumps(status, indent=1).encode()


def verified(log_fixture: LogFixture, runs_of: RunsOf | None = None) -> list[Finding]:
    """Return everything that differs."""
    return list(Verifier(log_fixture.log.engine, Stores.single(log_fixture.storage), runs_of).all())


def named(findings: list[Finding]) -> set[tuple[str, str]]:
    """Return which jobs differ, and in what."""
    return {(finding.job_id, finding.what) for finding in findings}


def test_nothing_differs_where_nothing_was_touched(log_fixture: LogFixture):
    """A log_fixture in good order has no findings, whether all jobs are asked about or one."""
    verifier = Verifier(log_fixture.log.engine, Stores.single(log_fixture.storage))
    assert list(verifier.all()) == []
    assert verifier.jobs == 5
    for job_id in ("done", "failed", "running", "waiting"):
        assert list(verifier.job(job_id)) == []


def test_an_unknown_job_is_no_clean_job(log_fixture: LogFixture):
    """Asking about a job that nobody knows is an error."""
    with pytest.raises(UnknownJob):
        list(Verifier(log_fixture.log.engine, Stores.single(log_fixture.storage)).job("nosuch"))


COLUMNS = ("attempt", "kind", "data", "recorded_at", "actor", "flow_run_id", "prev_hash", "hash")


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize(
    ("databases", "seq"), [("sqlite", 0), ("sqlite", 3), ("sqlite", 6), ("postgresql", 3)], indirect=["databases"]
)
def test_one_byte_of_an_event_is_noticed(log_fixture: LogFixture, column: str, seq: int):
    """Whatever field of whatever event is changed by one byte, the chain of that job is named."""
    change = {
        "attempt": "attempt + 1",
        "actor": "'~'",
        "flow_run_id": "'x'",
        "recorded_at": "replace(recorded_at, 'T', ' ')",
    }.get(column, f"substr({column}, 1, length({column}) - 2) || '~' || substr({column}, -1)")
    log_fixture.tamper(f"UPDATE event SET {column} = {change} WHERE job_id = 'done' AND seq = {seq}")
    assert named(verified(log_fixture)) == {("done", "chain")}
    assert named(list(Verifier(log_fixture.log.engine, Stores.single(log_fixture.storage)).job("done"))) == {
        ("done", "chain")
    }


@on("sqlite")  # PostgreSQL stores no text that is none
def test_every_single_byte_of_an_event_counts(log_fixture: LogFixture):
    """Each byte of an event's data and time, changed alone to a byte that is no text, is noticed."""
    for column in ("data", "recorded_at"):
        query = f"SELECT CAST({column} AS BLOB) FROM event WHERE job_id = 'done' AND seq = 3"
        with reading(log_fixture.log.engine) as connection:
            content = connection.execute(text(query)).scalar_one()
        for at in range(len(content)):
            bad = (content[:at] + bytes([content[at] ^ 0x80]) + content[at + 1 :]).hex()
            where = "WHERE job_id = 'done' AND seq = 3"
            log_fixture.tamper(f"UPDATE event SET {column} = CAST(x'{bad}' AS TEXT) {where}")
            assert named(list(Verifier(log_fixture.log.engine, Stores.single(log_fixture.storage)).job("done"))) == {
                ("done", "chain")
            }
            log_fixture.tamper(f"UPDATE event SET {column} = CAST(x'{content.hex()}' AS TEXT) {where}")
    assert verified(log_fixture) == []


@pytest.mark.parametrize("seq", [0, 3, 6])
def test_an_event_that_was_removed_is_missed(log_fixture: LogFixture, seq: int):
    """An event that was deleted is a gap; where it was the last one, the views and the mirror still know it."""
    log_fixture.tamper(f"DELETE FROM event WHERE job_id = 'done' AND seq = {seq}")
    found = named(verified(log_fixture))
    assert found <= {("done", what) for what in ("chain", "view", "ahead", "place", "status", "result", "staged")}
    assert ("done", "view" if seq == 6 else "chain") in found


def test_a_history_that_was_removed_is_missed(log_fixture: LogFixture):
    """Where all events of a job are gone, what is left of it in views and storage is named."""
    with writing(log_fixture.log.engine) as connection:
        for statement in (*UNGUARD[log_fixture.log.engine.dialect.name], "DELETE FROM event WHERE job_id = 'done'"):
            connection.execute(text(statement))
    assert named(verified(log_fixture)) == {("done", "view"), ("done", "foreign")}


def test_a_true_hash_does_not_make_a_step_allowed(log_fixture: LogFixture):
    """An event that carries the right hashes, and that the state machine forbids, is named."""
    job = log_fixture.log.get("failed")
    with writing(log_fixture.log.engine) as connection:
        log_fixture.log._write(connection, job, Validated(experiments=1, shots=1), attempt=1, actor="w")
    (finding,) = verified(log_fixture)
    assert (finding.job_id, finding.what) == ("failed", "chain")
    assert "not allowed" in finding.message


VIEW = ("backend", "user", "project", "phase", "state", "received_at", "submitted_at", "not_before", "fold")


@pytest.mark.parametrize("column", VIEW)
def test_one_byte_of_a_view_is_noticed(log_fixture: LogFixture, column: str):
    """Whatever text of the view is changed by one byte, the job and the column are named."""
    log_fixture.tamper(f"UPDATE job SET \"{column}\" = substr(\"{column}\", 2) || '~' WHERE job_id = 'running'")
    views = [finding for finding in verified(log_fixture) if finding.what == "view"]
    assert named(views) == {("running", "view")}
    assert column in views[0].message


@pytest.mark.parametrize(
    "change",
    ["seq = seq + 1", "seq = 0", "seq = 'x', behind = true", "place = place || 'x'", "behind = true, seq = 99"],
)
def test_a_cursor_that_cannot_be_is_noticed(log_fixture: LogFixture, databases: Databases, change: str):
    """A cursor of the mirror that says what cannot be is named as a view that differs."""
    if "'x', " in change and databases.kind == "postgresql":
        change = "seq = -7, behind = true"  # a number can be nothing else
    log_fixture.tamper(f"UPDATE mirror SET {change} WHERE job_id = 'done'")
    assert ("done", "view") in named(verified(log_fixture))


@pytest.mark.parametrize("table", ["job", "mirror"])
def test_a_row_too_few_or_too_many_is_noticed(log_fixture: LogFixture, table: str):
    """A view without a row of a job, or with a row of no job, is named."""
    log_fixture.tamper(f"UPDATE {table} SET job_id = 'ghost' WHERE job_id = 'done'")
    assert {("done", "view"), ("ghost", "view")} <= named(verified(log_fixture))


DOCUMENTS = {
    "events/rydberg/done.json": ("done", "history"),
    "events/rydberg/waiting.json": ("waiting", "history"),
    "status/rydberg/done.json": ("done", "status"),
    "status/rydberg/failed.json": ("failed", "status"),
    "results/rydberg/done.json": ("done", "result"),
    "jobs/finished/rydberg/done.json": ("done", "place"),
    "jobs/deleted/failed.json": ("failed", "place"),
    "jobs/running/running.json": ("running", "place"),
    "jobs/queued/rydberg/waiting.json": ("waiting", "place"),
}


@on("sqlite")  # the storage is what is looked at
@pytest.mark.parametrize("path", DOCUMENTS)
def test_one_byte_of_a_document_is_noticed(log_fixture: LogFixture, path: str):
    """Each kind of document, changed by one byte anywhere in it or removed, is named with its job."""
    size = (log_fixture.folder / path).stat().st_size
    for at in sorted({0, 1, size // 2, size - 1}):
        log_fixture.flip(path, at)
        assert named(verified(log_fixture)) == {DOCUMENTS[path]}
        log_fixture.flip(path, at)
    assert verified(log_fixture) == []
    log_fixture.storage.delete(path)
    assert named(verified(log_fixture)) == {DOCUMENTS[path]}


@on("sqlite")  # the storage is what is looked at
@pytest.mark.parametrize(
    ("path", "job_id", "what"),
    [
        ("jobs/queued/rydberg/done.json", "done", "place"),
        ("jobs/running/waiting.json", "waiting", "place"),
        ("jobs/finished/rydberg/failed.json", "failed", "place"),
        ("results/rydberg/failed.json", "failed", "result"),
        ("staged/done.1.json", "done", "staged"),
        ("staged/ghost.1.json", "", "foreign"),
        ("staged/notes.txt", "", "foreign"),
        ("events/fermions/done.json", "done", "foreign"),
        ("results/fermions/done.json", "done", "foreign"),
        ("events/rydberg/ghost.json", "ghost", "foreign"),
        ("results/rydberg/ghost.json", "ghost", "foreign"),
        ("status/rydberg/ghost.json", "ghost", "foreign"),
        ("jobs/running/ghost.json", "ghost", "foreign"),
        ("jobs/deleted/ghost.json", "ghost", "foreign"),
        ("jobs/finished/rydberg/ghost.json", "ghost", "foreign"),
        ("events/rydberg/notes.txt", "", "foreign"),
        ("events/notes.txt", "", "foreign"),
        ("events/No Backend/x.json", "", "foreign"),
        ("jobs/queued/rydberg/notes.txt", "", "foreign"),
    ],
)
def test_a_document_too_many_is_named(log_fixture: LogFixture, path: str, job_id: str, what: str):
    """A document that lies where the log has none is named with its path."""
    log_fixture.storage.put(path, b"{}")
    (finding,) = verified(log_fixture)
    assert (finding.job_id, finding.what) == (job_id, what)
    assert path.rpartition("/")[0] in finding.message


def test_what_waits_in_the_inbox_is_not_foreign(log_fixture: LogFixture):
    """A job that a front end has handed in and nobody has taken yet is no finding, nor is half a document."""
    log_fixture.queue("new.json", b"{}")
    log_fixture.storage.put("status/rydberg/new.json", first_status("new"))
    log_fixture.storage.put("events/rydberg/.done.json.123.tmp", b"{")
    assert verified(log_fixture) == []


def test_a_mirror_that_is_merely_behind_says_what_to_do(log_fixture: LogFixture):
    """A job whose documents wait for the relay is reported as behind, and as nothing else."""
    log_fixture.log.append(log_fixture.log.get("running"), FAILED, attempt=1, actor="w")
    (finding,) = verified(log_fixture)
    assert (finding.job_id, finding.what, "quledger reconcile" in finding.message) == ("running", "behind", True)
    log_fixture.relay.update_all()
    assert verified(log_fixture) == []


def test_a_job_that_moves_on_while_it_is_looked_at_does_not_differ(
    log_fixture: LogFixture, monkeypatch: pytest.MonkeyPatch
):
    """A worker that writes between the look at the log and the look at the storage causes no finding."""
    get = log_fixture.storage.get

    def busy(path: str) -> bytes:
        if path == "events/rydberg/running.json" and log_fixture.log.get("running").attempt == 1:
            job = log_fixture.log.get("running")
            if job.seq == 1:
                log_fixture.log.append(job, FAILED, attempt=1, actor="w")
                log_fixture.relay.update("running")
        return get(path)

    monkeypatch.setattr(log_fixture.storage, "get", busy)
    assert verified(log_fixture) == []


def test_a_refused_write_is_part_of_a_clean_history(log_fixture: LogFixture):
    """A refusal that the log recorded after the end of a job differs from nothing once it is mirrored."""
    job = log_fixture.log.get("done")
    with writing(log_fixture.log.engine) as connection:
        refused = Refused(refused_kind="completed", refused_attempt=1, worker="w", reason="late")
        log_fixture.log._write(connection, job, refused, attempt=1, actor="w")
    log_fixture.relay.update_all()
    assert verified(log_fixture) == []


def test_a_job_in_error_keeps_its_staged_result(log_fixture: LogFixture):
    """The result of a job that was computed and never uploaded is no leftover, since the job may be revived."""
    facts = (Validated(experiments=1, shots=1), Compiled(program_sha256="p", program_bytes=1, seed=5))
    job = log_fixture.log.get("running")
    log_fixture.log.append(job, *facts, log_fixture.executed(job), FAILED, attempt=1, actor="w")
    log_fixture.relay.update_all()
    assert log_fixture.storage.exists("staged/running.1.json")
    assert verified(log_fixture) == []


def test_a_withdrawn_job_has_nothing_but_a_history(log_fixture: LogFixture):
    """The documents of a job that another spooler took are that one's, whatever they are."""
    log_fixture.storage.delete("jobs/queued/rydberg/waiting.json")
    log_fixture.log.append(log_fixture.claim(), Withdrawn(), attempt=1, actor="w")
    log_fixture.relay.update_all()
    log_fixture.storage.put("jobs/finished/rydberg/waiting.json", b"other")
    log_fixture.storage.put("results/rydberg/waiting.json", b"{}")
    assert verified(log_fixture) == []


def test_prefect_is_asked_about_final_jobs_only(log_fixture: LogFixture):
    """Prefect is asked about the jobs that have ended, and what it says wrongly is named."""
    asked: list[str] = []

    def runs_of(job_ids: list[str]) -> list[Run]:
        asked.extend(job_ids)
        return [Run("r", "failed", "RUNNING"), Run("q", "done", "COMPLETED")]

    assert named(verified(log_fixture, runs_of)) == {("failed", "prefect")}
    assert asked == ["done", "failed"]


@pytest.mark.parametrize("make", ["nothing", "empty", "older", "newer", "text"])
def test_a_database_that_is_not_todays_is_refused(tmp_path: Path, make: str):
    """No database, an empty one, an older, a newer one, or no database at all is refused and left as it is."""
    path = tmp_path / "log.db"
    if make in ("older", "newer"):
        engine = open_database(f"sqlite:///{path}")
        with writing(engine) as connection:
            connection.execute(text(f"UPDATE alembic_version SET version_num = '{make}'"))
        engine.dispose()
    elif make != "nothing":
        path.write_bytes(b"" if make == "empty" else b"no database " * 99)
    before = path.read_bytes() if path.exists() else None
    said = {"nothing": "no event log", "empty": "no event log", "text": "not a database"}.get(make, make)
    with pytest.raises(LogUnavailable, match=said):
        open_database(f"sqlite:///{path}", existing=True)
    assert (path.read_bytes() if path.exists() else None) == before


def test_the_message_is_one_line(log_fixture: LogFixture):
    """A finding is one line, whatever a foreign file is called."""
    log_fixture.storage.put("events/rydberg/a\nb\x1b[31m.json", b"{}")
    (finding,) = verified(log_fixture)
    assert str(finding).isprintable()
    assert json.loads(finding.model_dump_json())["what"] == "foreign"
