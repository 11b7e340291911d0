"""Verify, of jobs that have not ended: whoever lays down a result, a status or anything else before its time is found out."""

import json
from pathlib import Path

import pytest

from models.errors import Fault
from models.events import Compiled, Completed, Failed, Revived, Uploaded, Validated, Withdrawn
from models.job import Job
from models.retry import given_back
from storage import layout
from storage.audit.verify import Verifier
from storage.documents.leftovers import Leftovers
from storage.log.holds import Held, Holds
from storage.providers.stores import Stores
from tests.contract.conftest import Houses
from tests.contract.databases import on
from tests.contract.house import LATER, RESULT, RESULT_SHA256, START, House

pytestmark = on("sqlite")  # it is about documents
FORGED = json.dumps({"job_id": "j", "status": "DONE", "results": []}).encode()
DONE = json.dumps({"job_id": "j", "status": "DONE", "detail": "", "error_message": "None"}).encode()
STEPS = ("QUEUED", "CLAIMED", "VALIDATED", "COMPILED", "EXECUTED", "UPLOADED", "RETRIED", "REVIVED")
LOST = Failed(stage="upload", blame="infrastructure", faults=(Fault(message="x"),), fault_count=1)


def brought_to(house: House, step: str, source: str = "cli") -> Job:
    """Bring the job `j` so far, with all of its documents mirrored."""
    job = house.submit("j", source)
    if source == "inbox":
        house.queue("j.json", b'{"a": 1}')
    if step != "QUEUED":
        job = house.take()
    facts = [Validated(experiments=1, shots=1), Compiled(program_sha256="p", program_bytes=1, seed=5)]
    if step in ("EXECUTED", "UPLOADED", "RETRIED", "REVIVED"):
        facts.append(house.executed(job))
    if step == "UPLOADED":
        facts.append(house.uploaded(job))
    most = {"QUEUED": 0, "CLAIMED": 0, "VALIDATED": 1, "COMPILED": 2, "EXECUTED": 3}.get(step, 4)
    for fact in facts[:most]:
        job = house.log.append(job, fact, attempt=1, actor="w")
    if step == "RETRIED":
        job = house.log.append(job, given_back("interrupted", START), attempt=1, actor="w")
    if step == "REVIVED":
        job = house.log.append(job, LOST, attempt=1, actor="w")
        house.mirror.relay_all()
        job = house.log.append(job, Revived(by="me"), attempt=1, actor="w")
    house.mirror.relay_all()
    return job


def found(house: House) -> set[tuple[str, str]]:
    """Return which jobs differ, and in what."""
    return {(each.job_id, each.what) for each in Verifier(house.log.engine, Stores.single(house.storage)).all()}


@pytest.fixture
def house(tmp_path: Path, houses: Houses) -> House:
    """An empty house."""
    return houses(tmp_path)


@pytest.mark.parametrize("source", ["cli", "inbox"])
@pytest.mark.parametrize("step", STEPS)
def test_nothing_may_be_there_before_its_time(house: House, step: str, source: str):
    """In each state: a job in good order has no finding, and every document that says more than the log is one."""
    brought_to(house, step, source)
    assert found(house) == set()
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
        before = house.storage.get(path) if house.storage.exists(path) else None
        house.storage.put(path, content)
        assert found(house) == {("j", what)}, path
        if before is None:
            house.storage.delete(path)
        else:
            house.storage.put(path, before)
    assert found(house) == set()


@pytest.mark.parametrize("step", ["EXECUTED", "RETRIED", "REVIVED"])
def test_what_was_executed_may_lie_there_before_the_log_says_so(house: House, step: str):
    """A worker that was killed between writing the result and saying so leaves no difference, and no other result."""
    brought_to(house, step)
    house.storage.put("results/rydberg/j.json", RESULT)
    assert found(house) == set()
    house.storage.put("results/rydberg/j.json", RESULT + b" ")
    assert found(house) == {("j", "result")}


def test_a_worker_that_is_staging_its_result_is_no_difference(house: House):
    """What lies staged before `executed` is in the log belongs to an attempt that has compiled; no other may have any."""
    brought_to(house, "VALIDATED")
    house.storage.put("staged/j.1.json", RESULT)
    assert found(house) == {("j", "staged")}
    house.log.append(house.log.get("j"), Compiled(program_sha256="p", program_bytes=1, seed=5), attempt=1, actor="w")
    house.mirror.relay_all()
    assert found(house) == set()


@pytest.mark.parametrize("step", ["EXECUTED", "UPLOADED", "RETRIED", "REVIVED"])
def test_a_staged_result_that_was_changed_or_removed_is_noticed(house: House, step: str):
    """What an attempt has computed is compared with its hash before anybody has accepted it."""
    brought_to(house, step)
    path = layout.staged("j", 1)
    house.flip(path, 0)
    assert found(house) == {("j", "staged")}
    house.storage.delete(path)
    assert found(house) == {("j", "staged")}


def test_what_a_dead_attempt_has_staged_goes_with_the_job(house: House):
    """A worker died between staging its result and saying so; when the job ends, also in ERROR, nothing is left over."""
    brought_to(house, "COMPILED")
    house.storage.put("staged/j.1.json", RESULT)
    house.log.append(house.log.get("j"), given_back("interrupted", START), attempt=1, actor="w")
    job = house.claim()
    house.mirror.relay_all()
    assert found(house) == set()
    house.log.append(job, LOST, attempt=2, actor="w")
    house.mirror.relay_all()
    assert found(house) == set()
    assert not house.storage.exists("staged/j.1.json")


def test_what_is_kept_of_a_job_in_error_is_what_was_executed(house: House):
    """Whoever changes the result that waits for another chance is found out before anybody gives it one."""
    house.log.append(brought_to(house, "EXECUTED"), LOST, attempt=1, actor="w")
    house.mirror.relay_all()
    assert found(house) == set()
    house.flip("staged/j.1.json", 0)
    assert found(house) == {("j", "staged")}


@pytest.mark.parametrize("ended", ["DONE", "ERROR"])
def test_what_a_worker_stages_after_the_end_is_swept(house: House, ended: str):
    """Woken and killed between staging and its refused append, it leaves a difference that goes without anybody's help."""
    brought_to(house, "RETRIED")
    job = house.claim()
    after = [house.uploaded(job), Completed()] if ended == "DONE" else [LOST]
    house.log.append(job, *after, attempt=2, actor="w")
    house.mirror.relay_all()
    leftovers = Leftovers(house.log, house.stores)
    assert leftovers.sweep("") == 0
    house.storage.put("staged/j.2.json", RESULT)
    house.storage.put("staged/j.2-0123456789abcdef.json", FORGED)
    assert found(house) == {("j", "staged")}
    assert leftovers.sweep("") == 1
    assert house.storage.exists("staged/j.1.json") is (ended == "ERROR")  # what was executed is kept for another chance
    assert not house.storage.exists("staged/j.2.json")
    assert house.storage.exists("staged/j.2-0123456789abcdef.json")  # of nobody whom the log knows: it is evidence
    house.storage.delete("staged/j.2-0123456789abcdef.json")
    assert found(house) == set()


def test_what_a_job_under_way_has_staged_is_not_swept(house: House):
    """While a job may still go on nobody knows which of its results will be of use."""
    brought_to(house, "EXECUTED")
    house.submit("k")
    job = house.claim()
    house.storage.put("staged/k.1.json", RESULT)
    Holds(house.log.engine).put(Held("k", "", "x"))
    house.log.append(job, LOST, attempt=1, actor="w")
    assert Leftovers(house.log, house.stores).sweep("") == 0
    assert house.storage.exists("staged/j.1.json")
    assert house.storage.exists("staged/k.1.json")


def test_a_withdrawn_job_has_nothing_staged(house: House):
    """Another spooler that took a job puts nothing into our folder of staged results."""
    house.submit("j")
    house.log.append(house.claim(), Withdrawn(), attempt=1, actor="w")
    house.mirror.relay_all()
    assert found(house) == set()
    house.storage.put("staged/j.1.json", FORGED)
    assert found(house) == {("j", "staged")}


def test_a_result_that_was_uploaded_is_compared_before_the_job_is_done(house: House):
    """Between `uploaded` and `completed` the hash in the log is what counts."""
    job = brought_to(house, "UPLOADED")
    assert isinstance(job.uploaded, Uploaded)
    assert job.uploaded.sha256 == RESULT_SHA256
    house.flip("results/rydberg/j.json", 0)
    assert found(house) == {("j", "result")}
    house.storage.delete("results/rydberg/j.json")
    assert found(house) == {("j", "result")}


def test_the_first_status_is_the_front_ends(house: House):
    """A job of the inbox may have no status yet, or one in its front end's words; a job of ours has ours."""
    brought_to(house, "CLAIMED", "inbox")
    house.storage.put("status/rydberg/j.json", b'{"job_id": "j", "status": "QUEUED", "detail": "in line"}')
    assert found(house) == set()
    for content in (b'{"job_id": "k", "status": "QUEUED"}', b'{"job_id": "j"}', b"[1", b"", b"\xff"):
        house.storage.put("status/rydberg/j.json", content)
        assert found(house) == {("j", "status")}
    house.storage.delete("status/rydberg/j.json")
    assert found(house) == set()


def test_a_job_of_ours_has_the_status_that_we_wrote(house: House):
    """What was handed in through our own door has a status from the first moment on, to the byte."""
    brought_to(house, "QUEUED")
    house.flip("status/rydberg/j.json", -3)
    assert found(house) == {("j", "status")}
    house.storage.delete("status/rydberg/j.json")
    assert found(house) == {("j", "status")}


def test_a_job_that_nobody_has_taken_yet_cannot_have_ended(house: House):
    """A job that waits in the inbox, unknown to the log, with a final status or a result is named."""
    house.queue("new.json", b'{"a": 1}')
    house.storage.put("status/rydberg/new.json", DONE.replace(b'"j"', b'"new"'))
    assert found(house) == {("new", "foreign")}
    house.storage.put("status/rydberg/new.json", b'{"job_id": "new", "status": "INITIALIZING"}')
    assert found(house) == set()
    house.storage.put("results/rydberg/new.json", FORGED)
    assert found(house) == {("new", "foreign")}


def test_what_may_not_be_there_is_named_also_while_the_mirror_is_behind(house: House):
    """A job whose documents wait to be written is named as behind, and what cannot come from any worker as well."""
    house.submit("j")
    assert found(house) == {("j", "behind")}
    house.storage.put("results/rydberg/j.json", FORGED)
    house.storage.put("status/rydberg/j.json", DONE)
    assert found(house) == {("j", "behind"), ("j", "result"), ("j", "status")}


def test_a_status_that_is_still_the_last_one_is_merely_behind(house: House):
    """The status of a job that was given another chance says ERROR until the mirror follows."""
    job = house.log.append(brought_to(house, "CLAIMED"), LOST, attempt=1, actor="w")
    house.mirror.relay_all()
    house.log.append(job, Revived(by="me"), attempt=1, actor="w")
    assert found(house) == {("j", "behind")}
    house.storage.put("status/rydberg/j.json", DONE)
    assert found(house) == {("j", "behind"), ("j", "status")}


def test_a_worker_that_goes_on_meanwhile_causes_no_finding(house: House, monkeypatch: pytest.MonkeyPatch):
    """The result of a job that is completed between the look at the log and the look at the storage is none too many."""
    job = brought_to(house, "COMPILED")
    exists = house.storage.exists

    def busy(path: str) -> bool:
        if path == "results/rydberg/j.json" and house.log.get("j").executed is None:
            after = house.log.append(job, house.executed(job), house.uploaded(job), attempt=1, actor="w")
            house.mirror.relay("j")
            assert after.state == "UPLOADED"
        return exists(path)

    monkeypatch.setattr(house.storage, "exists", busy)
    assert found(house) == set()
    assert house.log.heartbeat({"j": 1}, LATER)
