"""OQTOPUS: the list of a user's jobs, narrowed and page by page."""

import pytest

from tests.api.conftest import FrontDoor
from tests.api.oqtopus_laboratory import Oqtopus, finish


@pytest.fixture(scope="module")
def jobs(door: FrontDoor) -> list[str]:
    """Five jobs of bob's, oldest first: the second succeeded, the third was cancelled."""
    bob = Oqtopus(door, "bob")
    found = [bob.submitted(name=f"run {number}", description="50% of H2") for number in range(5)]
    finish(door, found[1], {"counts": {"0": 100}})
    bob.ask("POST", f"/jobs/{found[2]}/cancel")
    return found


@pytest.fixture
def bob(door: FrontDoor) -> Oqtopus:
    """The user whose jobs are listed."""
    return Oqtopus(door, "bob")


def ids(bob: Oqtopus, query: str) -> list[str]:
    """Return the ids of a list."""
    answer = bob.ask("GET", f"/jobs{query}")
    assert answer.status_code == 200, answer.text
    return [each["job_id"] for each in answer.json()]


def test_the_newest_comes_first_unless_asked_otherwise(bob: Oqtopus, jobs: list[str]):
    """All fields but the files."""
    assert ids(bob, "") == jobs[::-1]
    assert ids(bob, "?order=ASC") == jobs
    newest = bob.ask("GET", "/jobs").json()[0]
    assert "job_info" not in newest
    assert (newest["name"], newest["status"], newest["shots"]) == ("run 4", "submitted", 100)


def test_pages(bob: Oqtopus, jobs: list[str]):
    """Behind the last page comes the last one again."""
    assert ids(bob, "?size=2") == [jobs[4], jobs[3]]
    assert ids(bob, "?size=2&page=3") == [jobs[0]]
    assert ids(bob, "?size=2&page=9") == [jobs[0]]
    assert ids(bob, "?size=5&page=2") == jobs[::-1]


def test_what_it_is_narrowed_to(bob: Oqtopus, jobs: list[str]):
    """Status, time, and a text in id, name or description."""
    assert ids(bob, "?status=succeeded") == [jobs[1]]
    assert ids(bob, "?status=cancelled") == [jobs[2]]
    assert ids(bob, "?status=submitted") == [jobs[4], jobs[3], jobs[0]]
    assert ids(bob, "?status=registered") == []
    assert ids(bob, "?q=run+3") == [jobs[3]]
    assert ids(bob, f"?q={jobs[0][4:12]}") == [jobs[0]]
    assert ids(bob, "?q=50%25") == jobs[::-1]
    assert ids(bob, "?q=nothing") == []
    moment = bob.job(jobs[2])["submitted_at"].replace("+00:00", "%2B0000")
    assert ids(bob, f"?start_time={moment}") == jobs[:1:-1]
    assert ids(bob, f"?end_time={moment}") == jobs[2::-1]
    assert ids(bob, f"?start_time={moment}&end_time={moment}") == [jobs[2]]
    assert ids(bob, f"?start_time={moment.removesuffix('%2B0000')}") == jobs[:1:-1]


def test_fields_that_were_asked_for_alone(bob: Oqtopus, jobs: list[str]):
    """One that a job does not have is null."""
    answer = bob.ask("GET", "/jobs?fields=job_id,status,ended_at,name&size=4&page=1&order=ASC").json()
    assert [list(each) for each in answer] == [["job_id", "status", "ended_at", "name"]] * 4
    assert [each["ended_at"] is None for each in answer] == [True, False, False, True]
    assert answer[0] == {"job_id": jobs[0], "status": "submitted", "ended_at": None, "name": "run 0"}


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("?status=done", "status"),
        ("?page=0", "page"),
        ("?size=0", "size"),
        ("?size=1001", "size"),
        ("?order=up", "order"),
        ("?fields=job_id,secret", "secret"),
        ("?start_time=yesterday", "start_time"),
        ("?more=1", "more"),
    ],
)
def test_what_cannot_be_asked(bob: Oqtopus, query: str, named: str):
    """Is named."""
    answer = bob.ask("GET", f"/jobs{query}")
    assert answer.status_code == 400
    assert named in answer.json()["message"]


def test_an_operator_sees_his_own_jobs_alone(door: FrontDoor, jobs: list[str]):
    """All of them stand in our own API and on the pages."""
    olga = Oqtopus(door, "olga")
    mine = olga.submitted()
    assert ids(olga, "") == [mine]
    assert set(jobs) & set(ids(Oqtopus(door, "alice"), "")) == set()
