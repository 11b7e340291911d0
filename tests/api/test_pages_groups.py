"""The pages of groups and of two jobs side by side: what they show, to whom, and that nothing of it does anything."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.groups import MAX_PARAMETERS
from tests.api.conftest import SPIN, FrontDoor
from tests.api.test_exports import jobs_in
from tests.api.visitor import HOSTILE, Visitor, words
from tests.finished import experiment, finish

TEMPLATE = json.loads(json.dumps(SPIN).replace("1.57", '"{theta}"'))


@pytest.fixture(scope="module")
def visitors(door: FrontDoor) -> Iterator[dict[str, Visitor]]:
    """Everybody, signed in."""
    found = {name: Visitor(door, name) for name in ("alice", "bob", "carol")}
    yield found
    for each in found.values():
        each.close()


def swept(door: FrontDoor, group: str, *memories: tuple[str, ...]) -> list[str]:
    """Hand in a sweep for alice's project; those of its jobs for which there is a memory are DONE."""
    rows = [{"theta": 0.5 * place} for place in range(3)]
    sweep = {"backend": "singlequdit", "template": TEMPLATE, "group": group, "rows": rows, "project": "atoms"}
    jobs: list[str] = door.ask("alice", "POST", "/v1/groups", json=sweep).json()["jobs"]
    for job_id, memory in zip(jobs, memories, strict=False):
        finish(door.services, job_id, experiment("experiment_0", *memory))
    return jobs


def test_a_group_has_a_page(door: FrontDoor, visitors: dict[str, Visitor]) -> None:
    """Its states, its figure, a row for each job with what was swept; found from lists and jobs, and as CSV."""
    jobs = swept(door, "rabi.1", ("1", "2"), ("3", "3"))
    page = visitors["carol"].get("/ui/groups/rabi.1")
    text = words(page)
    assert "3 jobs" in text
    assert "1 QUEUED 2 DONE" in text
    assert "Mean with its standard error over theta" in text
    assert page.count('class="dot series series-0"') == 2
    assert f"{jobs[0][:12]} DONE 0 2 1.5 ± 0.5" in text
    assert f"{jobs[1][:12]} DONE 0.5 2 3 ± 0" in text
    assert f"{jobs[2][:12]} QUEUED 1" in text
    assert "rabi.1" in words(visitors["carol"].get("/ui/groups"))
    assert 'href="/ui/groups/rabi.1"' in visitors["carol"].get(f"/ui/jobs/{jobs[0]}")
    assert 'href="/ui/groups/rabi.1"' in visitors["carol"].get("/ui/jobs")
    table = visitors["carol"].client.get("/ui/groups/rabi.1/results.csv")
    assert (table.headers["content-type"], len(table.text.splitlines())) == ("text/csv; charset=utf-8", 4)
    for path in ("/ui/groups/rabi.1", "/ui/groups/rabi.1/results.csv", "/ui/groups/nosuch"):
        visitors["bob"].get(path, 404)


def test_two_groups_are_compared(door: FrontDoor, visitors: dict[str, Visitor]) -> None:
    """Where what was swept is the same; one that is not there is told, and shown as the text that it is."""
    swept(door, "one", ("1", "2"))
    swept(door, "two", ("2", "3"))
    text = words(visitors["alice"].get("/ui/groups/one?with=two"))
    assert "theta wire mean_a error_a mean_b error_b difference sigmas 0 0 1.5 0.5 2.5 0.5 1 1.414" in text
    swept(door, "empty")
    assert "no results with the same parameters" in words(visitors["alice"].get("/ui/groups/one?with=empty"))
    wrong = visitors["alice"].get(f"/ui/groups/one?with={HOSTILE}", 422)
    assert "There is no such group to compare it with." in words(wrong)


def test_a_figure_over_two_parameters(door: FrontDoor, visitors: dict[str, Visitor]) -> None:
    """A heat map; names of parameters are text."""
    names = [HOSTILE[:40], "b"]
    assert len(names) < MAX_PARAMETERS
    for place in range(4):
        row = {names[0]: place % 2, names[1]: place // 2}
        body = {"backend": "singlequdit", "document": SPIN, "group": "grid", "parameters": [row]}
        job_id = door.ask("bob", "POST", "/v1/jobs", json=body).json()["job_id"]
        finish(door.services, job_id, experiment("experiment_0", str(place)))
    page = visitors["bob"].get("/ui/groups/grid")
    assert page.count('<rect class="cell"') == 4
    assert "Mean of the first wire or bit, from 0 (faint) to 3:" in words(page)


def test_two_jobs_are_compared(door: FrontDoor, visitors: dict[str, Visitor]) -> None:
    """From the page of a job; who may not see the other one learns nothing of it."""
    jobs = swept(door, "pair", ("1", "2"), ("1", "1"))
    base = f"/ui/jobs/{jobs[0]}/diff"
    assert 'name="with"' in visitors["carol"].get(base)
    text = words(visitors["carol"].get(f"{base}?with={jobs[1]}"))
    assert "document: experiment_0.instructions[1][2][0] 0.0 0.5" in text
    assert "experiment_0 no 2 0.5" in text
    assert "shot by shot" in words(visitors["carol"].get(f"{base}?with={jobs[0][:10]}"))
    secret = door.submit("bob")
    foreign, missing = (visitors["carol"].get(f"{base}?with={each}", 422) for each in (secret, "0" * 24))
    assert foreign.replace(secret, "0" * 24) == missing
    assert "or it is not yours" in words(foreign)
    visitors["bob"].get(base, 404)


def test_an_archive_is_had_from_the_page(door: FrontDoor, visitors: dict[str, Visitor], tmp_path: Path) -> None:
    """By the owner; who may not have one is offered none."""
    job_id = swept(door, "archived", ("1", "2"))[0]
    path = f"/ui/jobs/{job_id}/archive.zip"
    assert path in visitors["alice"].get(f"/ui/jobs/{job_id}")
    assert path not in visitors["carol"].get(f"/ui/jobs/{job_id}")
    assert jobs_in(visitors["alice"].client.get(path).content, tmp_path) == {job_id}
    visitors["carol"].get(path, 403)
    visitors["bob"].get(path, 404)
