"""The pages of jobs: who sees them, what they show, and that nothing that a user has written does anything there."""

from collections.abc import Iterator
from typing import Any

import pytest

from models.errors import Fault
from models.facts import Fact, Failed, Validated
from models.job import Job
from tests import finished
from tests.api.conftest import SPIN, FrontDoor
from tests.api.visitor import HOSTILE, Visitor, words
from tests.finished import experiment


@pytest.fixture(scope="module")
def visitors(door: FrontDoor) -> Iterator[dict[str, Visitor]]:
    """Everybody, signed in."""
    found = {name: Visitor(door, name) for name in ("alice", "bob", "carol", "olga", "vic")}
    yield found
    for each in found.values():
        each.close()


def run(door: FrontDoor, job_id: str, *facts: Fact) -> Job:
    """Let a worker claim a job, and do this with it."""
    return finished.run(door.services, job_id, *facts)


def finish(door: FrontDoor, job_id: str, *experiments: dict[str, Any]) -> None:
    """Give a job a result."""
    finished.finish(door.services, job_id, *experiments)


def test_labels_and_groups_are_shown_and_found(door: FrontDoor, visitors: dict[str, Visitor]) -> None:
    """On the page of the job, in what happened, and as filters of the list."""
    job_id = door.submit("alice", labels={"sample": "A&7"}, group="rabi-1")
    door.ask("alice", "PATCH", f"/v1/jobs/{job_id}/labels", json={"labels": {"good": "yes", "sample": None}})
    page = visitors["alice"].get(f"/ui/jobs/{job_id}")
    assert 'href="/ui/jobs?label=good%3Dyes">good=yes</a>' in page
    assert 'href="/ui/groups/rabi-1">rabi-1</a>' in page
    assert "good=yes, no sample, by alice" in words(page)
    for found in ("label=good%3Dyes", "group=rabi-1", "label=good%3Dyes&group=rabi-1"):
        assert job_id[:12] in visitors["alice"].get(f"/ui/jobs?{found}")
    assert job_id[:12] not in visitors["alice"].get("/ui/jobs?label=good%3Dno")
    assert "NAME=VALUE" in visitors["alice"].get("/ui/jobs?label=good", code=422)


def test_who_finds_nothing_is_told_what_is_not_shown(visitors: dict[str, Visitor]) -> None:
    """A job of the command line with her name in it is none of hers yet; operators see it."""
    for page in ("/ui/jobs?label=no%3Dsuch", "/ui/groups"):
        assert "What came by the command line" in words(visitors["vic"].get(page))
        assert "What came by the command line" not in words(visitors["olga"].get(page))


def test_a_job_that_has_run_shows_its_figure_and_what_happened(door: FrontDoor, visitors: dict[str, Visitor]) -> None:
    """The histogram, its numbers as a table, each event, and the document; not who ran it where."""
    job_id = door.submit("alice")
    finish(door, job_id, experiment("experiment_0", "24", "25", "25", "27"))
    page = visitors["alice"].get(f"/ui/jobs/{job_id}")
    said = words(page)
    assert '<svg class="figure"' in page
    assert "experiment_0: 4 shots, 3 outcomes; mean 25.25" in said
    assert "experiment_0 25 2 50.00%" in said
    for title in ("Handed in", "Taken by a worker", "Checked", "Compiled", "Executed", "Result stored", "Done"):
        assert title in said
    assert "1 experiment, 4 shots, no faults" in said
    assert '["load",[0],[50]]' in said
    assert "worker-7" not in said
    assert "staged/" not in said
    assert "worker-7" in words(visitors["olga"].get(f"/ui/jobs/{job_id}"))


def test_a_sweep_is_a_heat_map_and_means(door: FrontDoor, visitors: dict[str, Visitor]) -> None:
    """One figure each, and the experiments one by one."""
    job_id = door.submit("alice")
    finish(door, job_id, *(experiment(f"experiment_{place}", "0", str(place)) for place in range(3)))
    page = visitors["alice"].get(f"/ui/jobs/{job_id}")
    assert page.count('<svg class="figure"') == 5
    assert "Share of each outcome in each experiment" in words(page)
    assert "Mean with its standard error in each experiment" in words(page)
    assert "3 experiments one by one" in words(page)


def test_what_a_job_has_left_can_be_downloaded(door: FrontDoor, visitors: dict[str, Visitor]) -> None:
    """To the letter; a browser keeps it, and shows nothing of it in our name."""
    job_id = door.submit("alice")
    finish(door, job_id, experiment("experiment_0", "1", "0", "1"))
    got = {
        name: visitors["alice"].client.get(f"/ui/jobs/{job_id}/{name}")
        for name in ("result.json", "result.csv", "result.parquet", "document.json")
    }
    assert got["result.json"].json()["results"][0]["data"]["memory"] == ["1", "0", "1"]
    assert got["result.csv"].text.splitlines()[0] == "experiment,outcome,count,frequency"
    assert got["result.parquet"].content[:4] == b"PAR1"
    assert got["document.json"].json() == SPIN
    assert all(each.headers["content-disposition"].startswith("attachment;") for each in got.values())
    assert all(each.headers["x-content-type-options"] == "nosniff" for each in got.values())
    visitors["alice"].get(f"/ui/jobs/{job_id}/result.exe", 404)
    visitors["alice"].get(f"/ui/jobs/{door.submit('alice')}/result.json", 409)


def test_what_users_write_is_text(door: FrontDoor, visitors: dict[str, Visitor]) -> None:
    """In the document, the faults, the names of experiments, the outcomes, the versions and the reasons."""
    done, failed, waiting = (door.submit("alice") for _ in range(3))
    finish(door, done, experiment(HOSTILE, HOSTILE, "1"), experiment("b" + HOSTILE, HOSTILE))
    fault = Fault(message=HOSTILE, experiment=HOSTILE, instruction=0, name=HOSTILE, field=HOSTILE)
    run(door, failed, Failed(stage="validation", blame="user", faults=(fault,), fault_count=3))
    answer = door.ask("alice", "POST", f"/v1/jobs/{waiting}/cancel", params={"reason": HOSTILE})
    assert answer.status_code == 200
    for job_id in (done, failed, waiting):
        for who in ("alice", "olga"):
            assert "alert(1)" in visitors[who].get(f"/ui/jobs/{job_id}")
    assert "And 2 more." in words(visitors["alice"].get(f"/ui/jobs/{failed}"))
    assert "alert(1)" in words(visitors["alice"].get("/ui/jobs?state=ERROR"))
    assert "alert(1)" in words(visitors["olga"].get("/ui/laboratory"))


def test_the_filters_say_again_what_was_asked(visitors: dict[str, Visitor]) -> None:
    """As text, whatever it is; what cannot be is told in a sentence."""
    for name in ("backend", "user", "project"):
        assert "No job is like this." in words(visitors["olga"].get(f"/ui/jobs?{name}=%22%3E%3Cscript%3E"))
    for query in ("state=%3Cscript%3E", "since=tomorrow", "until=0001-01-01", "q=%3Cscript%3E", "cursor=%3Cb%3E"):
        assert 'role="alert"' in visitors["olga"].get(f"/ui/jobs?{query}", 422)


@pytest.mark.parametrize("path", ["", "/live", "/document.json", "/result.json", "/diff", "/archive.zip"])
def test_a_job_of_somebody_else_is_not_there(door: FrontDoor, visitors: dict[str, Visitor], path: str) -> None:
    """It is answered like one that does not exist."""
    job_id = door.submit("alice")
    foreign = visitors["bob"].get(f"/ui/jobs/{job_id}{path}", 404)
    missing = visitors["bob"].get(f"/ui/jobs/{'0' * 24}{path}", 404)
    assert foreign == missing
    assert "There is no such job, or it is not yours." in words(foreign)
    for act in ("cancel", "retry", "rerun", "hide"):
        assert visitors["bob"].post(f"/ui/jobs/{job_id}/{act}").status_code == 404
    assert visitors["bob"].client.get(f"/ui/job-states?id={job_id}").json() == {}


def test_only_what_may_be_done_is_offered(door: FrontDoor, visitors: dict[str, Visitor]) -> None:
    """Who looks at a job of his project sees no button; and what a button would send is refused."""
    job_id = door.submit("alice", project="atoms")
    assert f"/ui/jobs/{job_id}/cancel" in visitors["alice"].get(f"/ui/jobs/{job_id}")
    assert f"/ui/jobs/{job_id}/cancel" not in visitors["carol"].get(f"/ui/jobs/{job_id}")
    assert visitors["carol"].post(f"/ui/jobs/{job_id}/cancel").status_code == 403
    assert "/ui/submit" not in visitors["vic"].get("/ui/jobs")


def test_a_job_is_cancelled_run_again_and_put_away(door: FrontDoor, visitors: dict[str, Visitor]) -> None:
    """Each by a form; one that is sent twice makes one job."""
    alice = visitors["alice"]
    job_id = door.submit("alice")
    assert alice.post(f"/ui/jobs/{job_id}/cancel").headers["location"] == f"/ui/jobs/{job_id}"
    assert "CANCELLED" in words(alice.get(f"/ui/jobs/{job_id}"))
    again = [alice.post(f"/ui/jobs/{job_id}/rerun", key="once").headers["location"] for _ in range(2)]
    assert again[0] == again[1] != f"/ui/jobs/{job_id}"
    assert f"Follows from {job_id[:12]}" in words(alice.get(again[0]))
    assert alice.post(f"/ui/jobs/{job_id}/hide").headers["location"] == "/ui/jobs"
    alice.get(f"/ui/jobs/{job_id}", 404)
    assert "put away" in words(visitors["olga"].get(f"/ui/jobs/{job_id}"))


def test_a_job_that_the_laboratory_failed_is_tried_again(door: FrontDoor, visitors: dict[str, Visitor]) -> None:
    """Where the document is at fault it is not offered."""
    lost, wrong = door.submit("alice"), door.submit("alice")
    run(door, lost, Failed(stage="lease", blame="infrastructure", faults=(), fault_count=0))
    run(door, wrong, Failed(stage="validation", blame="user", faults=(), fault_count=0))
    assert "/retry" not in visitors["alice"].get(f"/ui/jobs/{wrong}")
    assert "/retry" in visitors["alice"].get(f"/ui/jobs/{lost}")
    visitors["alice"].post(f"/ui/jobs/{lost}/retry")
    assert "QUEUED" in words(visitors["alice"].get(f"/ui/jobs/{lost}"))


def test_a_page_is_told_when_its_job_changes(door: FrontDoor, visitors: dict[str, Visitor]) -> None:
    """At once where it has changed already; states of a list come together."""
    job_id = door.submit("alice")
    part = visitors["alice"].get(f"/ui/jobs/{job_id}/live")
    assert part.lstrip().startswith("<div data-live=")
    assert 'data-seen="0"' in part
    run(door, job_id, Validated(experiments=1, shots=4))
    assert 'data-says="Job ' + job_id[:8] + ': VALIDATED"' in visitors["alice"].get(f"/ui/jobs/{job_id}/live?seen=0")
    states = visitors["alice"].client.get("/ui/job-states", params={"id": [job_id, "f" * 24]}).json()
    assert states == {job_id: {"state": "VALIDATED", "tone": "run", "final": False}}


def test_the_list_goes_on_by_a_cursor(door: FrontDoor, visitors: dict[str, Visitor]) -> None:
    """Fifty at a time, each job once."""
    bodies = [{"backend": "singlequdit", "document": SPIN} for _ in range(60)]
    door.ask("bob", "POST", "/v1/jobs:batch", json={"jobs": bodies})
    seen: list[str] = []
    address: str | None = "/ui/jobs"
    while address is not None:
        page = visitors["bob"].get(address)
        seen += [part[:24] for part in page.split('href="/ui/jobs/')[1:]]
        found = (
            page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0] if 'rel="next"' in page else None
        )
        address = found and found.replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 60
