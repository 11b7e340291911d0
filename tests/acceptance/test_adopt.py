"""A store that sqooler's own spooler has left behind is taken over: its readers see what they saw."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from models import clock
from tests.program import Program
from tests.sqooler_peer import Peer

PLANS = {
    "done": "done",
    "failed": "error",
    "with a result": "finish",
    "moved": "finish",
    "deleted": "run",
    "running": "run",
    "torn": "run",
    "queued": "run",
    "unannounced": "run",
}
FINISHED = ("with a result", "moved")


def contents(store: Path) -> dict[str, bytes]:
    """Return every document of a store."""
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def test_a_store_of_the_peer_is_taken_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, peer: Peer
):
    """First it is only said what would be done; then what has ended stays as it is, and the rest can be run."""
    store = tmp_path / "store"
    store.mkdir()
    made: dict[str, str] = peer(str(store), "make", module="stuck")
    monkeypatch.setenv("QULEDGER_STORAGE", store.as_uri())
    program = Program(tmp_path / "home", capsys)

    def read() -> dict[str, Any]:
        """Return what the peer's readers see: the status of each job that has one, and each result."""
        seen: dict[str, Any] = {}
        for kind, job_id in made.items():
            if kind != "unannounced":
                seen[f"status {kind}"] = peer(str(store), "status", "singlequdit", job_id)
            if kind in ("done", *FINISHED):
                seen[f"result {kind}"] = peer(str(store), "result", "singlequdit", job_id)
        return seen

    before, files = read(), contents(store)
    planned = program.json("adopt")
    assert {job["job_id"]: job["plan"] for job in planned["jobs"]} == {made[kind]: plan for kind, plan in PLANS.items()}
    assert contents(store) == files
    assert "no event log" in program.refused("list")

    applied = program.json("adopt", "--apply")
    assert [job["plan"] for job in applied["jobs"]] == [job["plan"] for job in planned["jobs"]]
    after = read()
    for kind in FINISHED:
        assert before[f"status {kind}"]["status"] == "INITIALIZING"
        assert after.pop(f"status {kind}")["status"] == "DONE"
        del before[f"status {kind}"]
    assert after == before
    left = contents(store)
    ended = [made["done"], made["failed"]]
    of_ended = {path for path in left if any(each in path for each in ended) and not path.startswith("events/")}
    assert {path: left[path] for path in of_ended} == {path: files[path] for path in files if path in of_ended}

    assert program.json("verify")["findings"] == []
    assert program.json("adopt")["jobs"] == []
    assert [event["kind"] for event in program.json("history", made["done"])] == ["submitted", "adopted"]
    assert program.json("status", made["failed"])["error_message"] == before["status failed"]["error_message"]
    assert len(program.json("result", made["done"])["results"][0]["data"]["memory"]) == 3
    program.json("rebuild")
    assert program.json("verify")["findings"] == []
    with program.services() as services:
        for kind in ("running", "torn", "deleted", "queued", "unannounced"):
            job = services.log.claim_job(made[kind], "w", clock.now() + timedelta(hours=1))
            assert job is not None
            assert services.relay.take(job), kind


def test_what_cannot_be_taken_over_is_left_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """A job of no backend, a backend that is not here, a result that is gone: code 1, and nothing is changed."""
    store = tmp_path / "store"
    status = {"job_id": "", "status": "DONE", "detail": "Got your json.", "error_message": "None"}
    documents = {
        "jobs/running/nobodys.json": {},
        "jobs/queued/theirs/unserved.json": {},
        "jobs/finished/rydberg/lost.json": {},
        "status/rydberg/lost.json": status | {"job_id": "lost"},
        "status/rydberg/gone.json": status | {"job_id": "gone"},
        "jobs/queued/rydberg/notes.txt": {},
    }
    for path, document in documents.items():
        (store / path).parent.mkdir(parents=True, exist_ok=True)
        (store / path).write_text(json.dumps(document))
    monkeypatch.setenv("QULEDGER_STORAGE", store.as_uri())
    program = Program(tmp_path / "home", capsys)
    files = contents(store)
    code, out, _ = program("adopt", "--apply", "--json")
    assert code == 1
    assert {job["job_id"]: job["why"] for job in json.loads(out)["jobs"]} == {
        "nobodys": "nothing says of which backend it is",
        "unserved": "this installation has no backend theirs",
        "lost": "it is DONE, and its result is missing or cannot be read",
        "gone": "its document is nowhere",
    }
    assert contents(store) == files
    assert program("adopt", "rydberg", "--json")[0] == 1
    assert "no storage and no backend is called so" in program.refused("adopt", "No/Such")
