"""An idempotency key is its user's own, in one project, on every database and at whatever moment it is used."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from models.errors import IdempotencyConflict, InputError
from models.facts import Submitted
from models.job import Job
from models.names import job_id_for, job_id_of_key
from models.requests import JobRequest
from models.settings import Settings
from models.submissions import Submission
from storage.log.event_log import EventLog
from storage.log.submissions import Entry, begin_all
from tasks.jobs.submission import submit_document
from tasks.services import Services
from tests.contract.children import submit_keys
from tests.contract.databases import Databases, on
from tests.contract.log_fixture import START
from tests.processes import run_together
from tests.releases.frozen import FrozenHome

DOCUMENT = b'{"a": 1}'


@pytest.fixture
def log(tmp_path: Path, databases: Databases) -> EventLog:
    """An empty log."""
    return EventLog(databases.open(databases.new(tmp_path)))


def submitted(log: EventLog, key: str = "k", document: bytes = DOCUMENT, **fields: Any) -> Job:
    """Hand in a job with a key."""
    about = {"backend": "rydberg", "source": "cli", "received_at": START, "idempotency_key": key} | fields
    (answer,) = begin_all(log.engine, [Entry(Submitted.of(document, keep_up_to=99, **about))], "test")
    if isinstance(answer, InputError):
        raise answer
    return answer.job


def test_one_key_of_each_user_in_each_project_is_one_job(log: EventLog):
    """Users and projects share no job through a key, and each of them finds his own again."""
    owners = [{"user": user, "project": project} for user in ("", "alice", "bob") for project in ("", "p", "q")]
    jobs = [submitted(log, **owner) for owner in owners]
    assert len({job.job_id for job in jobs}) == len(owners)
    assert [(job.user, job.project) for job in jobs] == [(owner["user"], owner["project"]) for owner in owners]
    assert [submitted(log, **owner).job_id for owner in owners] == [job.job_id for job in jobs]
    assert submitted(log, backend="fermions").job_id not in {job.job_id for job in jobs}


def test_a_user_is_one_however_the_name_is_spelt(tmp_path: Path):
    """Accents that are written apart, as Macs do in names of files, make no other user."""
    services = Services(Settings(home=tmp_path))
    jobs = [
        submit_document(services, Submission(backend="rydberg", document=DOCUMENT, user=name, project=name, key="k"))
        for name in ("Zoe\u0308", "Zo\u00eb")
    ]
    assert jobs[0].job_id == jobs[1].job_id
    assert (jobs[0].user, jobs[0].project) == ("Zo\u00eb", "Zo\u00eb")


def test_another_document_under_the_same_key_is_refused_to_its_owner_alone(log: EventLog):
    """Who uses his key for another document is told so; somebody else with that key and document has a job of it."""
    first = submitted(log, user="alice")
    with pytest.raises(IdempotencyConflict, match="another document"):
        submitted(log, document=b"{}", user="alice")
    other = submitted(log, document=b"{}", user="mallory")
    assert other.job_id != first.job_id
    assert other.user == "mallory"


def test_no_two_owners_are_written_alike():
    """Whatever user, project and key hold, the id of another combination is another one."""
    parts = ["", "a", "b", "a:b", "b:c", "a b", "a,b", 'a"', "a\\", "ab", "a\u0000b", "[", "key", "0"]
    ids = [job_id_of_key("rydberg", *parts) for parts in itertools.product(parts, repeat=3)]
    ids += [job_id_of_key("rydberg", "a", "", "b:c", nth) for nth in range(1, 5)]
    assert len(set(ids)) == len(ids)


@on("sqlite")
def test_a_job_that_bears_the_id_of_a_key_is_gone_round(log: EventLog):
    """Who knows how ids are made and is quicker, with the same or another document, keeps nobody from his job."""
    for nth, (document, key) in enumerate([(DOCUMENT, None), (b"{}", None), (DOCUMENT, "other")]):
        squatter = Submitted.of(
            document,
            keep_up_to=99,
            backend="rydberg",
            source="inbox",
            received_at=START,
            idempotency_key=key,
            user="mallory",
        )
        log.submit(job_id_of_key("rydberg", "alice", "", "k", nth), squatter, "test")
    log.submit(job_id_for("rydberg", "k"), squatter, "test")
    job = submitted(log, user="alice")
    assert job.job_id == job_id_of_key("rydberg", "alice", "", "k", 3)
    assert job.user == "alice"
    assert submitted(log, user="alice").job_id == job.job_id
    with pytest.raises(IdempotencyConflict, match="another document"):
        submitted(log, document=b"{}", user="alice")


def test_processes_that_use_one_key_at_once_have_one_job(tmp_path: Path, databases: Databases):
    """Two processes of one user and one of another hand in 20 keys together: 20 jobs for each user."""
    url = databases.new(tmp_path)
    log = EventLog(databases.open(url))
    said = run_together(submit_keys, *((url, user, 20) for user in ("alice", "alice", "bob")))
    assert said[0] == said[1]
    assert len({*said[0], *said[2]}) == 40
    assert len(log.jobs(limit=100)) == 40


def test_keys_of_the_last_release_find_their_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """After an upgrade a key still leads its user to the job of that time, through each door, and nobody else."""
    home = FrozenHome.of("0.1.0", tmp_path / "frozen")
    url = f"sqlite:///{tmp_path / 'log.db'}"
    home.fill(url)
    for name, value in home.settings.items():
        monkeypatch.setenv(name, value)
    services = Services(Settings(database=url))
    try:
        (old,) = [job for job in services.log.jobs(user="alice", limit=100) if job.project == "rabi"]
        nobodys = services.log.submission(job_id_for("rydberg", "no-user"))
        raw = services.log.submission(old.job_id).raw
        assert raw is not None
        assert nobodys.raw is not None
        mine = {"user": "alice", "project": "rabi", "key": "sweep-1"}

        def submit(backend: str, document: bytes, **said: Any) -> Job:
            return submit_document(services, Submission(backend=backend, document=document, **said))

        assert submit("singlequdit", raw, **mine) == old
        request = JobRequest(backend="singlequdit", program=raw.decode(), **mine)
        assert submit("singlequdit", request.job_document(), **mine, source="prefect", run_id="r") == old
        assert submit("rydberg", nobodys.raw, key="no-user").state == "DONE"
        with pytest.raises(IdempotencyConflict, match="another document"):
            submit("singlequdit", raw + b" ", **mine)
        for other in ({"user": "mallory"}, {"project": ""}, {"key": "sweep-2"}, {"source": "api"}):
            assert submit("singlequdit", raw, **(mine | other)).job_id != old.job_id
        assert submit("rydberg", nobodys.raw, key="no-user", user="bob").state == "QUEUED"
    finally:
        services.log.engine.dispose()
