"""Verify, of jobs that have not ended: a result, a status or anything else that lies there before its time is found."""

import json
from pathlib import Path

import pytest

from models.errors import Fault
from models.facts import Compiled, Completed, Failed, Revived, Uploaded, Validated, Withdrawn
from models.job import Job
from models.retry import given_back
from storage import layout
from storage.audit.verify import Verifier
from storage.documents.leftovers import Leftovers
from storage.log.holds import Held, Holds
from storage.providers.stores import Stores
from tests.contract.conftest import Houses
from tests.contract.databases import on
from tests.contract.log_fixture import LATER, RESULT, RESULT_SHA256, START, LogFixture

pytestmark = on("sqlite")  # it is about documents
FORGED = json.dumps({"job_id": "j", "status": "DONE", "results": []}).encode()
DONE = json.dumps({"job_id": "j", "status": "DONE", "detail": "", "error_message": "None"}).encode()
STEPS = ("QUEUED", "CLAIMED", "VALIDATED", "COMPILED", "EXECUTED", "UPLOADED", "RETRIED", "REVIVED")
LOST = Failed(stage="upload", blame="infrastructure", faults=(Fault(message="x"),), fault_count=1)


def brought_to(log_fixture: LogFixture, step: str, source: str = "cli") -> Job:
    """Bring the job `j` so far, with all of its documents mirrored."""
    job = log_fixture.submit("j", source)
    if source == "inbox":
        log_fixture.queue("j.json", b'{"a": 1}')
    if step != "QUEUED":
        job = log_fixture.take()
    facts = [Validated(experiments=1, shots=1), Compiled(program_sha256="p", program_bytes=1, seed=5)]
    if step in ("EXECUTED", "UPLOADED", "RETRIED", "REVIVED"):
        facts.append(log_fixture.executed(job))
    if step == "UPLOADED":
        facts.append(log_fixture.uploaded(job))
    most = {"QUEUED": 0, "CLAIMED": 0, "VALIDATED": 1, "COMPILED": 2, "EXECUTED": 3}.get(step, 4)
    for fact in facts[:most]:
        job = log_fixture.log.append(job, fact, attempt=1, actor="w")
    if step == "RETRIED":
        job = log_fixture.log.append(job, given_back("interrupted", START), attempt=1, actor="w")
    if step == "REVIVED":
        job = log_fixture.log.append(job, LOST, attempt=1, actor="w")
        log_fixture.relay.update_all()
        job = log_fixture.log.append(job, Revived(by="me"), attempt=1, actor="w")
    log_fixture.relay.update_all()
    return job


def found(log_fixture: LogFixture) -> set[tuple[str, str]]:
    """Return which jobs differ, and in what."""
    return {
        (each.job_id, each.what) for each in Verifier(log_fixture.log.engine, Stores.single(log_fixture.storage)).all()
    }


@pytest.fixture
def log_fixture(tmp_path: Path, log_fixtures: Houses) -> LogFixture:
    """An empty log_fixture."""
    return log_fixtures(tmp_path)


@pytest.mark.parametrize("source", ["cli", "inbox"])
@pytest.mark.parametrize("step", STEPS)
def test_nothing_may_be_there_before_its_time(log_fixture: LogFixture, step: str, source: str):
    """In each state: a job in good order has no finding, and every document that says more than the log is one."""
    brought_to(log_fixture, step, source)
    assert found(log_fixture) == set()
    for path, content, what in (
        ("results/rydberg/j.json", FORGED, "result"),
        ("status/rydberg/j.json", DONE, "status"),
        ("status/rydberg/j.json", DONE.replace(b"DONE", b"ERROR"), "status"),
        ("staged/j.7.json", FORGED, "staged"),
        ("staged/j.1-0123456789abcdef.json", FORGED, "staged"),
        ("jobs/finished/rydberg/j.json", b'{"a": 1}', "place"),
        ("jobs/deleted/j.json", b'{"a": 1}', "place"),
        ("staged/j.document.json", b'{"a": 2}', "place"),
    ):
        before = log_fixture.storage.get(path) if log_fixture.storage.exists(path) else None
        log_fixture.storage.put(path, content)
        assert found(log_fixture) == {("j", what)}, path
        if before is None:
            log_fixture.storage.delete(path)
        else:
            log_fixture.storage.put(path, before)
    assert found(log_fixture) == set()


@pytest.mark.parametrize("step", ["EXECUTED", "RETRIED", "REVIVED"])
def test_what_was_executed_may_lie_there_before_the_log_says_so(log_fixture: LogFixture, step: str):
    """A worker that was killed between writing the result and saying so leaves no difference, and no other result."""
    brought_to(log_fixture, step)
    log_fixture.storage.put("results/rydberg/j.json", RESULT)
    assert found(log_fixture) == set()
    log_fixture.storage.put("results/rydberg/j.json", RESULT + b" ")
    assert found(log_fixture) == {("j", "result")}


def test_a_worker_that_is_staging_its_result_is_no_difference(log_fixture: LogFixture):
    """What lies staged before `executed` is in the log belongs to an attempt that has compiled; no other has any."""
    brought_to(log_fixture, "VALIDATED")
    log_fixture.storage.put("staged/j.1.json", RESULT)
    assert found(log_fixture) == {("j", "staged")}
    log_fixture.log.append(
        log_fixture.log.get("j"), Compiled(program_sha256="p", program_bytes=1, seed=5), attempt=1, actor="w"
    )
    log_fixture.relay.update_all()
    assert found(log_fixture) == set()


@pytest.mark.parametrize("step", ["EXECUTED", "UPLOADED", "RETRIED", "REVIVED"])
def test_a_staged_result_that_was_changed_or_removed_is_noticed(log_fixture: LogFixture, step: str):
    """What an attempt has computed is compared with its hash before anybody has accepted it."""
    brought_to(log_fixture, step)
    path = layout.staged("j", 1)
    log_fixture.flip(path, 0)
    assert found(log_fixture) == {("j", "staged")}
    log_fixture.storage.delete(path)
    assert found(log_fixture) == {("j", "staged")}


def test_what_a_dead_attempt_has_staged_goes_with_the_job(log_fixture: LogFixture):
    """A worker died between staging its result and saying so; when the job ends, in ERROR too, nothing is left."""
    brought_to(log_fixture, "COMPILED")
    log_fixture.storage.put("staged/j.1.json", RESULT)
    log_fixture.log.append(log_fixture.log.get("j"), given_back("interrupted", START), attempt=1, actor="w")
    job = log_fixture.claim()
    log_fixture.relay.update_all()
    assert found(log_fixture) == set()
    log_fixture.log.append(job, LOST, attempt=2, actor="w")
    log_fixture.relay.update_all()
    assert found(log_fixture) == set()
    assert not log_fixture.storage.exists("staged/j.1.json")


def test_what_is_kept_of_a_job_in_error_is_what_was_executed(log_fixture: LogFixture):
    """Whoever changes the result that waits for another chance is found out before anybody gives it one."""
    log_fixture.log.append(brought_to(log_fixture, "EXECUTED"), LOST, attempt=1, actor="w")
    log_fixture.relay.update_all()
    assert found(log_fixture) == set()
    log_fixture.flip("staged/j.1.json", 0)
    assert found(log_fixture) == {("j", "staged")}


@pytest.mark.parametrize("ended", ["DONE", "ERROR"])
def test_what_a_worker_stages_after_the_end_is_swept(log_fixture: LogFixture, ended: str):
    """Woken and killed between staging and its refused append, it leaves a difference that goes by itself."""
    brought_to(log_fixture, "RETRIED")
    job = log_fixture.claim()
    after = [log_fixture.uploaded(job), Completed()] if ended == "DONE" else [LOST]
    log_fixture.log.append(job, *after, attempt=2, actor="w")
    log_fixture.relay.update_all()
    leftovers = Leftovers(log_fixture.log, log_fixture.stores)
    assert leftovers.sweep("") == 0
    log_fixture.storage.put("staged/j.2.json", RESULT)
    log_fixture.storage.put("staged/j.2-0123456789abcdef.json", FORGED)
    assert found(log_fixture) == {("j", "staged")}
    assert leftovers.sweep("") == 1
    assert log_fixture.storage.exists("staged/j.1.json") is (
        ended == "ERROR"
    )  # what was executed is kept for another chance
    assert not log_fixture.storage.exists("staged/j.2.json")
    assert log_fixture.storage.exists(
        "staged/j.2-0123456789abcdef.json"
    )  # of nobody whom the log knows: it is evidence
    log_fixture.storage.delete("staged/j.2-0123456789abcdef.json")
    assert found(log_fixture) == set()


def test_what_a_job_under_way_has_staged_is_not_swept(log_fixture: LogFixture):
    """While a job may still go on nobody knows which of its results will be of use."""
    brought_to(log_fixture, "EXECUTED")
    log_fixture.submit("k")
    job = log_fixture.claim()
    log_fixture.storage.put("staged/k.1.json", RESULT)
    Holds(log_fixture.log.engine).put(Held("k", "", "x"))
    log_fixture.log.append(job, LOST, attempt=1, actor="w")
    assert Leftovers(log_fixture.log, log_fixture.stores).sweep("") == 0
    assert log_fixture.storage.exists("staged/j.1.json")
    assert log_fixture.storage.exists("staged/k.1.json")


def test_a_withdrawn_job_has_nothing_staged(log_fixture: LogFixture):
    """Another spooler that took a job puts nothing into our folder of staged results."""
    log_fixture.submit("j")
    log_fixture.log.append(log_fixture.claim(), Withdrawn(), attempt=1, actor="w")
    log_fixture.relay.update_all()
    assert found(log_fixture) == set()
    log_fixture.storage.put("staged/j.1.json", FORGED)
    assert found(log_fixture) == {("j", "staged")}


def test_a_result_that_was_uploaded_is_compared_before_the_job_is_done(log_fixture: LogFixture):
    """Between `uploaded` and `completed` the hash in the log is what counts."""
    job = brought_to(log_fixture, "UPLOADED")
    assert isinstance(job.uploaded, Uploaded)
    assert job.uploaded.sha256 == RESULT_SHA256
    log_fixture.flip("results/rydberg/j.json", 0)
    assert found(log_fixture) == {("j", "result")}
    log_fixture.storage.delete("results/rydberg/j.json")
    assert found(log_fixture) == {("j", "result")}


def test_the_first_status_is_the_front_ends(log_fixture: LogFixture):
    """A job of the inbox may have no status yet, or one in its front end's words; a job of ours has ours."""
    brought_to(log_fixture, "CLAIMED", "inbox")
    log_fixture.storage.put("status/rydberg/j.json", b'{"job_id": "j", "status": "QUEUED", "detail": "in line"}')
    assert found(log_fixture) == set()
    for content in (b'{"job_id": "k", "status": "QUEUED"}', b'{"job_id": "j"}', b"[1", b"", b"\xff"):
        log_fixture.storage.put("status/rydberg/j.json", content)
        assert found(log_fixture) == {("j", "status")}
    log_fixture.storage.delete("status/rydberg/j.json")
    assert found(log_fixture) == set()


def test_a_job_of_ours_has_the_status_that_we_wrote(log_fixture: LogFixture):
    """What was handed in through our own door has a status from the first moment on, to the byte."""
    brought_to(log_fixture, "QUEUED")
    log_fixture.flip("status/rydberg/j.json", -3)
    assert found(log_fixture) == {("j", "status")}
    log_fixture.storage.delete("status/rydberg/j.json")
    assert found(log_fixture) == {("j", "status")}


def test_a_job_that_nobody_has_taken_yet_cannot_have_ended(log_fixture: LogFixture):
    """A job that waits in the inbox, unknown to the log, with a final status or a result is named."""
    log_fixture.queue("new.json", b'{"a": 1}')
    log_fixture.storage.put("status/rydberg/new.json", DONE.replace(b'"j"', b'"new"'))
    assert found(log_fixture) == {("new", "foreign")}
    log_fixture.storage.put("status/rydberg/new.json", b'{"job_id": "new", "status": "INITIALIZING"}')
    assert found(log_fixture) == set()
    log_fixture.storage.put("results/rydberg/new.json", FORGED)
    assert found(log_fixture) == {("new", "foreign")}


def test_what_may_not_be_there_is_named_also_while_the_mirror_is_behind(log_fixture: LogFixture):
    """A job whose documents wait to be written is named as behind, and what cannot come from any worker as well."""
    log_fixture.submit("j")
    assert found(log_fixture) == {("j", "behind")}
    log_fixture.storage.put("results/rydberg/j.json", FORGED)
    log_fixture.storage.put("status/rydberg/j.json", DONE)
    assert found(log_fixture) == {("j", "behind"), ("j", "result"), ("j", "status")}


def test_a_status_that_is_still_the_last_one_is_merely_behind(log_fixture: LogFixture):
    """The status of a job that was given another chance says ERROR until the mirror follows."""
    job = log_fixture.log.append(brought_to(log_fixture, "CLAIMED"), LOST, attempt=1, actor="w")
    log_fixture.relay.update_all()
    log_fixture.log.append(job, Revived(by="me"), attempt=1, actor="w")
    assert found(log_fixture) == {("j", "behind")}
    log_fixture.storage.put("status/rydberg/j.json", DONE)
    assert found(log_fixture) == {("j", "behind"), ("j", "status")}


def test_a_worker_that_goes_on_meanwhile_causes_no_finding(log_fixture: LogFixture, monkeypatch: pytest.MonkeyPatch):
    """The result of a job that is completed between a look at the log and one at the storage is none too many."""
    job = brought_to(log_fixture, "COMPILED")
    exists = log_fixture.storage.exists

    def busy(path: str) -> bool:
        if path == "results/rydberg/j.json" and log_fixture.log.get("j").executed is None:
            after = log_fixture.log.append(
                job, log_fixture.executed(job), log_fixture.uploaded(job), attempt=1, actor="w"
            )
            log_fixture.relay.update("j")
            assert after.state == "UPLOADED"
        return exists(path)

    monkeypatch.setattr(log_fixture.storage, "exists", busy)
    assert found(log_fixture) == set()
    assert log_fixture.log.heartbeat({"j": 1}, LATER)
