"""Archives and tables over HTTP: what they hold, whose they are, and what they may cost."""

import io
import json
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.archives.checking import check
from storage.archives.container import reading
from tests.api.conftest import FrontDoor
from tests.api.test_jobs import problem
from tests.api.test_who_may import USERS, made, matrix
from tests.finished import experiment, finish

__all__ = ["matrix"]

# Whose job it is -> what each of USERS is answered who asks for its archive: others of a project see the job alone.
ARCHIVED = {
    "alice's": "401 200 404 404 404 200",
    "alice's, of the project": "401 200 404 403 404 200",
    "alice's, hidden": "401 404 404 404 404 200",
    "vic's": "401 404 404 404 200 200",
    "the name alice, by a shell": "401 404 404 404 404 200",
    "a name linked to bob": "401 404 403 404 404 200",
    "a project's, by a shell": "401 404 404 404 404 200",
}

# Of which of these jobs a table of each of USERS has rows; and of which an archive of all of a user's has.
ROWS = {
    "alice": {"alice's", "alice's, of the project"},
    "bob": {"a name linked to bob"},
    "carol": {"alice's, of the project"},
    "vic": {"vic's"},
    "olga": set(ARCHIVED),
}
OWN = {"alice": {"alice's", "alice's, of the project"}, "bob": set(), "carol": set(), "vic": {"vic's"}}


def asked(user: str) -> str | None:
    """Return who asks."""
    return None if user == "nobody" else user


def table(answer: httpx.Response) -> pa.Table:
    """Return the table of an answer."""
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.apache.parquet"), answer.text
    return pq.read_table(io.BytesIO(answer.content))


def jobs_in(content: bytes, folder: Path) -> set[str]:
    """Return the jobs of an archive in which nothing is wrong."""
    path = folder / "jobs.zip"
    path.write_bytes(content)
    with reading(path) as archive:
        assert check(archive).faults == []
        return set(json.loads(archive.get("manifest.json"))["jobs"])


@pytest.mark.parametrize("kind", ARCHIVED)
def test_an_archive_is_for_the_owner_and_for_operators(matrix: FrontDoor, kind: str) -> None:
    """It holds more than others of a project see."""
    path = f"/v1/export/archive?job={made(matrix, kind)}"
    codes = [matrix.ask(asked(user), "GET", path).status_code for user in USERS]
    assert " ".join(map(str, codes)) == ARCHIVED[kind]


def test_tables_and_archives_hold_what_may_be_seen(matrix: FrontDoor, tmp_path: Path) -> None:
    """For each user, of one job of each kind."""
    jobs = {made(matrix, kind): kind for kind in ARCHIVED}
    for user, kinds in ROWS.items():
        for what in ("jobs", "events"):
            rows = table(matrix.ask(user, "GET", f"/v1/export/{what}")).column("job_id").to_pylist()
            assert {jobs[job_id] for job_id in rows if job_id in jobs} == kinds, user
    for user, kinds in OWN.items():
        answer = matrix.ask(user, "GET", "/v1/export/archive")
        found = jobs_in(answer.content, tmp_path) if kinds else problem(answer, 422)
        assert {jobs[job_id] for job_id in found if job_id in jobs} == kinds, user
    problem(matrix.ask(None, "GET", "/v1/export/jobs"), 401)


def test_an_archive_proves_itself(door: FrontDoor, tmp_path: Path) -> None:
    """Results, documents and histories, whole; what cannot be is refused, and nothing is left in the home."""
    done, waiting = door.submit("alice", group="kept"), door.submit("alice", group="kept")
    finish(door.services, done, experiment("experiment_0", "1", "2"))
    before = {each.name for each in door.services.settings.folder.iterdir()}
    answer = door.ask("alice", "GET", f"/v1/export/archive?job={done[:12]}&job={waiting}")
    assert answer.headers["content-disposition"] == 'attachment; filename="quledger.zip"'
    assert jobs_in(answer.content, tmp_path) == {done, waiting}
    same = door.ask("alice", "GET", "/v1/export/archive?group=kept").content
    assert jobs_in(same, tmp_path) == {done, waiting}
    assert {each.name for each in door.services.settings.folder.iterdir()} == before
    both = door.ask("alice", "GET", f"/v1/export/archive?job={done}&group=kept")
    assert "not both" in problem(both, 422)["detail"]
    assert (
        "no such jobs of yours" in problem(door.ask("alice", "GET", "/v1/export/archive?group=nosuch"), 422)["detail"]
    )
    problem(door.ask("alice", "GET", "/v1/export/archive?job=nosuch"), 404)
    problem(door.ask("alice", "GET", "/v1/export/archive?wait=1"), 422)
    problem(door.ask("alice", "GET", "/v1/export/nosuch"), 422)


def test_tables_a_page_at_a_time(door: FrontDoor) -> None:
    """Users see no workers; a result that is gone is named; operators get events to the letter."""
    first, second = door.submit("alice", group="paged"), door.submit("alice", group="paged")
    finish(door.services, first, experiment("experiment_0", "1", "2"))
    answer = door.ask("alice", "GET", "/v1/export/jobs?group=paged&limit=1")
    assert table(answer).column("job_id").to_pylist() == [second]
    rest = {"group": "paged", "limit": "1", "cursor": answer.headers["x-next-cursor"]}
    answer = door.ask("alice", "GET", "/v1/export/jobs", params=rest)
    assert ("x-next-cursor" in answer.headers, table(answer).column("state").to_pylist()) == (False, ["DONE"])
    events = table(door.ask("alice", "GET", "/v1/export/events?group=paged")).to_pylist()
    assert "worker-7" not in json.dumps(events, default=str)
    assert {event["hash"] for event in events} == {None}
    whole = table(door.ask("olga", "GET", "/v1/export/events?group=paged")).to_pylist()
    assert [event["kind"] for event in whole] == [event["kind"] for event in events]
    assert "worker-7" in [event["actor"] for event in whole]
    results = table(door.ask("alice", "GET", "/v1/export/results?group=paged")).to_pylist()
    assert {row["outcome"]: row["count"] for row in results} == {"1": 1, "2": 1}
    door.services.stores.of("").delete(f"results/singlequdit/{first}.json")
    gone = door.ask("alice", "GET", "/v1/export/results?group=paged")
    assert (gone.headers["x-left-out"], table(gone).num_rows) == (first, 0)
    problem(door.ask("alice", "GET", "/v1/export/jobs?cursor=x"), 422)


def test_a_page_ends_where_it_becomes_too_much(door: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """One job at least is read, and the cursor leads to the next; an archive is refused."""
    ids = [door.submit("bob", group="large") for _ in range(3)]
    monkeypatch.setattr("deployments.api.lists.MAX_READ", 10)
    seen, cursor = [], ""
    for _ in ids:
        answer = door.ask("bob", "GET", "/v1/export/events", params={"group": "large", "cursor": cursor})
        seen += table(answer).column("job_id").to_pylist()
        cursor = answer.headers.get("x-next-cursor", "")
    assert (seen, cursor) == (ids[::-1], "")
    monkeypatch.setattr("deployments.api.exports.MAX_DOCUMENTS", 10)
    assert "too large" in problem(door.ask("bob", "GET", "/v1/export/archive?group=large"), 422)["detail"]


def test_a_user_has_one_export_at_a_time(door: FrontDoor) -> None:
    """Until it has come to him or was refused; others have theirs."""
    under_way = door.app.state.calls.exports._users
    under_way.add("alice")
    told = door.ask("alice", "GET", "/v1/export/jobs")
    assert "under way" in problem(told, 429)["detail"]
    assert int(told.headers["retry-after"]) > 0
    assert door.ask("bob", "GET", "/v1/export/jobs").status_code == 200
    under_way.remove("alice")
    problem(door.ask("alice", "GET", "/v1/export/archive?job=nosuch"), 404)
    assert door.ask("alice", "GET", "/v1/export/jobs").status_code == 200
    assert under_way == set()
