"""Jobs that are handed in together: each as if it were alone, all in one transaction, and none of them twice."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.errors import BadName, IdempotencyConflict, JobHeld, JobRejected, LogUnavailable, UnknownBackend
from models.job import Job
from models.names import job_id_of_key
from models.settings import Settings
from models.submissions import Begun, Submission, owner_of
from storage.documents.postgres_locks import PostgresJobLocks
from storage.log.event_log import EventLog
from storage.log.holds import Held
from tasks.jobs.submission import NotEnded, cancel, hide, submit_all, submit_document
from tasks.services import Services
from tests.contract.children import submit_group, submit_group_and_die
from tests.contract.databases import Databases, on
from tests.contract.test_statements import BEGIN, counted
from tests.processes import SECONDS, process, run_together


@pytest.fixture
def services(tmp_path: Path, databases: Databases) -> Iterator[Services]:
    """A laboratory with an empty log, which takes documents of at most 100 bytes."""
    services = Services(Settings(home=tmp_path / "home", database=databases.new(tmp_path), max_document_mb=0.0001))
    yield services
    if isinstance(services.locks, PostgresJobLocks):
        services.locks.close()
    services.log.engine.dispose()


def job(nth: int = 0, **said: Any) -> Submission:
    """Return a submission by a token of alice's; each number has a document of its own."""
    fields = {"backend": "rydberg", "document": b'{"nth": %d}' % nth, "user": "alice", "source": "api"}
    return Submission(**(fields | said))


def begun(services: Services, *submissions: Submission) -> list[Job]:
    """Hand in jobs, each of which has to be new; return them."""
    answers = submit_all(services, submissions)
    jobs = [answer.job for answer in answers if isinstance(answer, Begun) and answer.is_new]
    assert len(jobs) == len(submissions), answers
    return jobs


def test_a_group_is_one_transaction_of_few_statements(services: Services):
    """However many jobs: one statement for each table, and none to look for ids that are new."""
    begin = BEGIN[services.log.engine.dialect.name]
    with counted(services.log.engine) as statements:
        begun(services, *(job(nth) for nth in range(50)))
    assert len(statements) == begin + (1 - begin) + 4, statements
    with counted(services.log.engine) as statements:
        begun(services, *(job(nth, key=f"k{nth}") for nth in range(50)))
    assert len(statements) == begin + (1 - begin) + 2 + 4, statements


def test_a_group_keeps_its_order(services: Services):
    """Its jobs are served in the order in which they were handed in, and the newest of them is listed first."""
    jobs = begun(services, *(job(nth) for nth in range(30)))
    assert [each.job_id for each in services.log.jobs(limit=100)] == [each.job_id for each in reversed(jobs)]
    assert sorted(each.received_at for each in jobs) == [each.received_at for each in jobs]
    assert len({each.received_at for each in jobs}) == 30
    assert services.log.get(jobs[7].job_id) == jobs[7]
    assert [event.kind for event in services.log.history(jobs[7].job_id)] == ["submitted"]


def test_each_job_is_answered_as_if_it_were_alone(services: Services):
    """What is wrong with one is said of that one, all of it, and keeps no other from its place."""
    given = [
        job(1),
        job(backend="nosuch"),
        job(user="a\nb", project="p\x00", priority=10**7, key=""),
        job(document=b"x" * 101),
        job(job_id="../x", key="k"),
        job(user=""),
        job(storage="nosuch"),
        job(2, derived_from="no job id"),
        job(3, shots=-1),
        job(4),
    ]
    answers = submit_all(services, given)
    kinds = [type(answer) for answer in answers]
    bad = [UnknownBackend, BadName, JobRejected, BadName, BadName, BadName, BadName, BadName]
    assert kinds == [Begun, *bad, Begun]
    assert all(
        word in str(answers[2]) for word in ("the user 'a", "the project 'p", "the priority", "the key is empty")
    )
    assert "either of them says which job" in str(answers[4])
    assert len(services.log.jobs()) == 2
    assert submit_all(services, []) == []


def test_what_is_said_of_a_job_stands_in_its_first_event(services: Services):
    """Whom it belongs to, what it was made from, how many shots it has; where nothing is said, nothing is written."""
    first, second = begun(services, job(1, shots=500, derived_from="j0", project="qed"), job(2, source="cli"))
    fact = services.log.submission(first.job_id)
    assert (fact.source, fact.user, fact.project, fact.shots, fact.derived_from) == ("api", "alice", "qed", 500, "j0")
    assert (owner_of(first), owner_of(second)) == ("alice", "")
    (event,) = services.log.history(second.job_id)
    assert "shots" not in event.data
    assert "derived_from" not in event.data


def test_a_key_is_one_job_within_a_group_and_between_groups(services: Services):
    """The first one begins it, whoever comes with the same document gets it, with another one a refusal."""
    first, again, other, free = submit_all(services, [job(1, key="k"), job(1, key="k"), job(2, key="k"), job(1)])
    assert isinstance(first, Begun)
    assert first.is_new
    assert again == Begun(first.job, is_new=False)
    assert isinstance(other, IdempotencyConflict)
    assert isinstance(free, Begun)
    assert free.job.job_id != first.job.job_id
    assert submit_all(services, [job(1, key="k")]) == [Begun(first.job, is_new=False)]
    assert isinstance(submit_all(services, [job(2, key="k")])[0], IdempotencyConflict)


def test_a_key_of_a_token_is_not_that_of_a_name(services: Services):
    """Who only calls himself alice neither gets her jobs by her keys nor keeps her from them."""
    named = submit_document(services, job(1, key="k", source="cli"))
    (hers,) = begun(services, job(1, key="k"))
    assert hers.job_id != named.job_id
    (second,) = begun(services, job(2, key="other"))
    assert submit_document(services, job(3, key="other", source="prefect")).job_id != second.job_id
    squatted = job_id_of_key("rydberg", "alice", "", "third", is_proven=True)
    begun(services, job(4, user="mallory", job_id=squatted))
    (third,) = begun(services, job(4, key="third"))
    assert third.job_id == job_id_of_key("rydberg", "alice", "", "third", 1, is_proven=True)


def test_an_id_that_is_given_is_one_job(services: Services):
    """Whoever comes second, with another document or as somebody else, is refused."""
    (first,) = begun(services, job(1, job_id="job-1"))
    assert first.job_id == "job-1"
    assert submit_all(services, [job(1, job_id="job-1")]) == [Begun(first, is_new=False)]
    others = [job(2, job_id="job-1"), job(1, job_id="job-1", user="bob"), job(1, job_id="job-1", source="cli")]
    others += [job(1, job_id="job-1", project="qed"), job(1, job_id="job-1", backend="fermions")]
    assert [type(answer) for answer in submit_all(services, others)] == [IdempotencyConflict] * 5


def test_a_held_job_is_not_handed_in_again(services: Services):
    """Of a key, and of an id that was given, while all others of the group are."""
    by_key = job_id_of_key("rydberg", "alice", "", "k", is_proven=True)
    services.holds.put(Held(by_key, "", "why"), Held("job-1", "", "why"))
    answers = submit_all(services, [job(1, key="k"), job(2), job(3, job_id="job-1")])
    assert [type(answer) for answer in answers] == [JobHeld, Begun, JobHeld]
    assert len(services.log.jobs()) == 1


def test_a_single_submission_writes_its_documents_a_group_does_not(services: Services):
    """The relay of a drain follows for the jobs of a group."""
    (grouped,) = begun(services, job(1))
    single = submit_document(services, job(2))
    assert [job_id for job_id, _ in services.cursor.behind()] == [grouped.job_id]
    assert services.stores.of("").exists(f"events/rydberg/{single.job_id}.json")


def test_a_job_that_has_ended_is_hidden_once(services: Services):
    """From then on lists leave it out; one that may still change stays, and says what to do."""
    (each,) = begun(services, job(1))
    with pytest.raises(NotEnded, match="it is QUEUED; cancel it"):
        hide(services, each.job_id, by="alice")
    ended = cancel(services, each.job_id, by="alice")
    hidden = hide(services, each.job_id, by="alice")
    assert hide(services, each.job_id, by="alice") == hidden == services.log.get(each.job_id)
    assert (hidden.state, hidden.is_hidden, hidden.updated_at) == (ended.state, True, ended.updated_at)
    assert [event.kind for event in services.log.history(each.job_id)][-2:] == ["cancelled", "hidden"]
    services.holds.put(Held(each.job_id, "", "why"))
    with pytest.raises(JobHeld):
        hide(services, each.job_id, by="alice")


def test_eight_processes_with_one_key_have_one_job(tmp_path: Path, databases: Databases):
    """Each hands in groups with the same keys in its own order; no job is begun twice, and nobody waits for ever."""
    url = databases.new(tmp_path)
    log = EventLog(databases.open(url))
    keys = [f"k{nth}" for nth in range(40)]
    shuffled = [keys[nth * 5 :] + keys[: nth * 5] for nth in range(8)]
    said = run_together(submit_group, *((str(tmp_path), url, each, 8) for each in shuffled))
    assert all(dict(each) == dict(said[0]) for each in said)
    assert len(log.jobs(limit=1000)) == len(keys) == len(set(dict(said[0]).values()))


@pytest.mark.parametrize(("point", "left"), [("submission.written", 0), ("submission.committed", 20)])
def test_a_group_that_dies_is_handed_in_again(tmp_path: Path, databases: Databases, point: str, left: int):
    """All of its jobs are in the log, or none; posted again, each is there once, and is said to be new or not."""
    url = databases.new(tmp_path)
    log = EventLog(databases.open(url))
    keys = [f"k{nth}" for nth in range(20)]
    child = process(submit_group_and_die, point, str(tmp_path), url, keys)
    child.start()
    child.join(SECONDS)
    assert child.exitcode == -signal.SIGKILL
    assert len(log.jobs(limit=100)) == left
    services = Services(Settings(home=tmp_path / "home", database=url))
    answers = submit_all(services, [job(0, key=key) for key in keys])
    assert [isinstance(answer, Begun) and answer.is_new for answer in answers] == [left == 0] * 20
    assert len(log.jobs(limit=100)) == 20
    services.log.engine.dispose()


@on("sqlite")
def test_a_log_that_does_not_answer_has_none_of_them(tmp_path: Path, services: Services):
    """The caller is told once, not job by job."""
    begun(services, job(1))
    Path(services.log.engine.url.database or "").unlink()
    with pytest.raises(LogUnavailable):
        submit_all(services, [job(2), job(3)])
