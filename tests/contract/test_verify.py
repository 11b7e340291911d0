"""Verify: whoever changes anything behind the log's back is found out, and the job is named."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from models.audit import Finding, Run, contradiction
from models.errors import LogUnavailable, UnknownJob
from models.events import Compiled, Failed, Refused, Validated, Withdrawn
from storage.audit.verify import RunsOf, Verifier
from storage.log.database import open_database, reading, writing
from storage.providers.stores import Stores
from tests.contract.conftest import Houses
from tests.contract.databases import Databases, on
from tests.contract.house import UNGUARD, House

FAILED = Failed(stage="validation", blame="user", faults=(), fault_count=0)


@pytest.fixture
def house(tmp_path: Path, houses: Houses) -> House:
    """A house with one job in each place, all of them mirrored."""
    house = houses(tmp_path)
    house.submit("done")
    house.finish(house.claim())
    house.submit("failed")
    house.log.append(house.claim(), FAILED, attempt=1, actor="w")
    house.submit("running")
    house.take()
    house.submit("claimed")
    house.claim()
    house.submit("waiting")
    house.mirror.relay_all()
    return house


def first_status(job_id: str, word: str = "INITIALIZING") -> bytes:
    """Return a status as a front end writes it."""
    status = {"job_id": job_id, "status": word, "detail": "Got your json.", "error_message": "None"}
    return json.dumps(status, indent=1).encode()


def verified(house: House, runs_of: RunsOf | None = None) -> list[Finding]:
    """Return everything that differs."""
    return list(Verifier(house.log.engine, Stores.single(house.storage), runs_of).all())


def named(findings: list[Finding]) -> set[tuple[str, str]]:
    """Return which jobs differ, and in what."""
    return {(finding.job_id, finding.what) for finding in findings}


def test_nothing_differs_where_nothing_was_touched(house: House):
    """A house in good order has no findings, whether all jobs are asked about or one."""
    verifier = Verifier(house.log.engine, Stores.single(house.storage))
    assert list(verifier.all()) == []
    assert verifier.jobs == 5
    for job_id in ("done", "failed", "running", "waiting"):
        assert list(verifier.job(job_id)) == []


def test_an_unknown_job_is_no_clean_job(house: House):
    """Asking about a job that nobody knows is an error."""
    with pytest.raises(UnknownJob):
        list(Verifier(house.log.engine, Stores.single(house.storage)).job("nosuch"))


COLUMNS = ("attempt", "kind", "data", "recorded_at", "actor", "flow_run_id", "prev_hash", "hash")


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("seq", [0, 3, 6])
def test_one_byte_of_an_event_is_noticed(house: House, column: str, seq: int):
    """Whatever field of whatever event is changed by one byte, the chain of that job is named."""
    change = {
        "attempt": "attempt + 1",
        "actor": "'~'",
        "flow_run_id": "'x'",
        "recorded_at": "replace(recorded_at, 'T', ' ')",
    }.get(column, f"substr({column}, 1, length({column}) - 2) || '~' || substr({column}, -1)")
    house.tamper(f"UPDATE event SET {column} = {change} WHERE job_id = 'done' AND seq = {seq}")
    assert named(verified(house)) == {("done", "chain")}
    assert named(list(Verifier(house.log.engine, Stores.single(house.storage)).job("done"))) == {("done", "chain")}


@on("sqlite")  # PostgreSQL stores no text that is none
def test_every_single_byte_of_an_event_counts(house: House):
    """Each byte of an event's data and time, changed alone to a byte that is no text, is noticed."""
    for column in ("data", "recorded_at"):
        query = f"SELECT CAST({column} AS BLOB) FROM event WHERE job_id = 'done' AND seq = 3"
        with reading(house.log.engine) as connection:
            content = connection.execute(text(query)).scalar_one()
        for at in range(len(content)):
            bad = (content[:at] + bytes([content[at] ^ 0x80]) + content[at + 1 :]).hex()
            where = "WHERE job_id = 'done' AND seq = 3"
            house.tamper(f"UPDATE event SET {column} = CAST(x'{bad}' AS TEXT) {where}")
            assert named(list(Verifier(house.log.engine, Stores.single(house.storage)).job("done"))) == {
                ("done", "chain")
            }
            house.tamper(f"UPDATE event SET {column} = CAST(x'{content.hex()}' AS TEXT) {where}")
    assert verified(house) == []


@pytest.mark.parametrize("seq", [0, 3, 6])
def test_an_event_that_was_removed_is_missed(house: House, seq: int):
    """An event that was deleted is a gap; where it was the last one, the views and the mirror still know it."""
    house.tamper(f"DELETE FROM event WHERE job_id = 'done' AND seq = {seq}")
    found = named(verified(house))
    assert found <= {("done", what) for what in ("chain", "view", "ahead", "place", "status", "result", "staged")}
    assert ("done", "view" if seq == 6 else "chain") in found


def test_a_history_that_was_removed_is_missed(house: House):
    """Where all events of a job are gone, what is left of it in views and storage is named."""
    with writing(house.log.engine) as connection:
        for statement in (*UNGUARD[house.log.engine.dialect.name], "DELETE FROM event WHERE job_id = 'done'"):
            connection.execute(text(statement))
    assert named(verified(house)) == {("done", "view"), ("done", "foreign")}


def test_a_true_hash_does_not_make_a_step_allowed(house: House):
    """An event that carries the right hashes, and that the state machine forbids, is named."""
    job = house.log.get("failed")
    with writing(house.log.engine) as connection:
        house.log._write(connection, job, Validated(experiments=1, shots=1), attempt=1, actor="w")
    (finding,) = verified(house)
    assert (finding.job_id, finding.what) == ("failed", "chain")
    assert "not allowed" in finding.message


VIEW = ("backend", "user", "project", "phase", "state", "received_at", "submitted_at", "not_before", "fold")


@pytest.mark.parametrize("column", VIEW)
def test_one_byte_of_a_view_is_noticed(house: House, column: str):
    """Whatever text of the view is changed by one byte, the job and the column are named."""
    house.tamper(f"UPDATE job SET \"{column}\" = substr(\"{column}\", 2) || '~' WHERE job_id = 'running'")
    views = [finding for finding in verified(house) if finding.what == "view"]
    assert named(views) == {("running", "view")}
    assert column in views[0].message


@pytest.mark.parametrize(
    "change",
    ["seq = seq + 1", "seq = 0", "seq = 'x', behind = true", "place = place || 'x'", "behind = true, seq = 99"],
)
def test_a_cursor_that_cannot_be_is_noticed(house: House, databases: Databases, change: str):
    """A cursor of the mirror that says what cannot be is named as a view that differs."""
    if "'x', " in change and databases.kind == "postgresql":
        change = "seq = -7, behind = true"  # a number can be nothing else
    house.tamper(f"UPDATE mirror SET {change} WHERE job_id = 'done'")
    assert ("done", "view") in named(verified(house))


@pytest.mark.parametrize("table", ["job", "mirror"])
def test_a_row_too_few_or_too_many_is_noticed(house: House, table: str):
    """A view without a row of a job, or with a row of no job, is named."""
    house.tamper(f"UPDATE {table} SET job_id = 'ghost' WHERE job_id = 'done'")
    assert {("done", "view"), ("ghost", "view")} <= named(verified(house))


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


@pytest.mark.parametrize("path", DOCUMENTS)
def test_one_byte_of_a_document_is_noticed(house: House, path: str):
    """Each kind of document, changed by one byte anywhere in it or removed, is named with its job."""
    size = (house.folder / path).stat().st_size
    for at in sorted({0, 1, size // 2, size - 1}):
        house.flip(path, at)
        assert named(verified(house)) == {DOCUMENTS[path]}
        house.flip(path, at)
    assert verified(house) == []
    house.storage.delete(path)
    assert named(verified(house)) == {DOCUMENTS[path]}


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
def test_a_document_too_many_is_named(house: House, path: str, job_id: str, what: str):
    """A document that lies where the log has none is named with its path."""
    house.storage.put(path, b"{}")
    (finding,) = verified(house)
    assert (finding.job_id, finding.what) == (job_id, what)
    assert path.rpartition("/")[0] in finding.message


def test_what_waits_in_the_inbox_is_not_foreign(house: House):
    """A job that a front end has handed in and nobody has taken yet is no finding, nor is half a document."""
    house.queue("new.json", b"{}")
    house.storage.put("status/rydberg/new.json", first_status("new"))
    house.storage.put("events/rydberg/.done.json.123.tmp", b"{")
    assert verified(house) == []


def test_a_mirror_that_is_merely_behind_says_what_to_do(house: House):
    """A job whose documents wait for the relay is reported as behind, and as nothing else."""
    house.log.append(house.log.get("running"), FAILED, attempt=1, actor="w")
    (finding,) = verified(house)
    assert (finding.job_id, finding.what) == ("running", "behind")
    assert "quledger reconcile" in finding.message
    house.mirror.relay_all()
    assert verified(house) == []


def test_a_job_that_moves_on_while_it_is_looked_at_does_not_differ(house: House, monkeypatch: pytest.MonkeyPatch):
    """A worker that writes between the look at the log and the look at the storage causes no finding."""
    get = house.storage.get

    def busy(path: str) -> bytes:
        if path == "events/rydberg/running.json" and house.log.get("running").attempt == 1:
            job = house.log.get("running")
            if job.seq == 1:
                house.log.append(job, FAILED, attempt=1, actor="w")
                house.mirror.relay("running")
        return get(path)

    monkeypatch.setattr(house.storage, "get", busy)
    assert verified(house) == []


def test_a_refused_write_is_part_of_a_clean_history(house: House):
    """A refusal that the log recorded after the end of a job differs from nothing once it is mirrored."""
    job = house.log.get("done")
    with writing(house.log.engine) as connection:
        refused = Refused(refused_kind="completed", refused_attempt=1, worker="w", reason="late")
        house.log._write(connection, job, refused, attempt=1, actor="w")
    house.mirror.relay_all()
    assert verified(house) == []


def test_a_job_in_error_keeps_its_staged_result(house: House):
    """The result of a job that was computed and never uploaded is no leftover, since the job may be revived."""
    facts = (Validated(experiments=1, shots=1), Compiled(program_sha256="p", program_bytes=1, seed=5))
    job = house.log.get("running")
    house.log.append(job, *facts, house.executed(job), FAILED, attempt=1, actor="w")
    house.mirror.relay_all()
    assert house.storage.exists("staged/running.1.json")
    assert verified(house) == []


def test_a_withdrawn_job_has_nothing_but_a_history(house: House):
    """The documents of a job that another spooler took are that one's, whatever they are."""
    house.storage.delete("jobs/queued/rydberg/waiting.json")
    house.log.append(house.claim(), Withdrawn(), attempt=1, actor="w")
    house.mirror.relay_all()
    house.storage.put("jobs/finished/rydberg/waiting.json", b"other")
    house.storage.put("results/rydberg/waiting.json", b"{}")
    assert verified(house) == []


@pytest.mark.parametrize(
    ("job_id", "state", "differs"),
    [
        ("done", "COMPLETED", False),
        ("done", "FAILED", True),
        ("done", "CANCELLED", True),
        ("done", "CRASHED", True),
        ("done", "RUNNING", True),
        ("failed", "FAILED", False),
        ("failed", "CRASHED", False),
        ("failed", "COMPLETED", True),
        ("failed", "PENDING", True),
        ("running", "RUNNING", False),
        ("running", "CRASHED", False),
    ],
)
def test_prefect_may_not_contradict_the_log(house: House, job_id: str, state: str, *, differs: bool):
    """The last run of a final job has to end as the job did; of a job under way Prefect may say anything."""
    job = house.log.get(job_id).model_copy(update={"flow_run_id": "last"})
    assert (contradiction(job, [Run("last", job_id, state)]) is not None) is differs
    assert contradiction(job, [Run("earlier", job_id, "CRASHED")]) is None
    assert contradiction(job, []) is None


def test_prefect_is_asked_about_final_jobs_only(house: House):
    """Prefect is asked about the jobs that have ended, and what it says wrongly is named."""
    asked: list[str] = []

    def runs_of(job_ids: list[str]) -> list[Run]:
        asked.extend(job_ids)
        return [Run("r", "failed", "RUNNING"), Run("q", "done", "COMPLETED")]

    assert named(verified(house, runs_of)) == {("failed", "prefect")}
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


def test_the_message_is_one_line(house: House):
    """A finding is one line, whatever a foreign file is called."""
    house.storage.put("events/rydberg/a\nb\x1b[31m.json", b"{}")
    (finding,) = verified(house)
    assert str(finding).isprintable()
    assert json.loads(finding.model_dump_json())["what"] == "foreign"
