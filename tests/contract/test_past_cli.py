"""`quledger status --at`, `list --at`, `history --follow` and `diff`, as their user gives them."""

import json
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from models import clock
from models.facts import Cancelled
from models.submissions import Submission
from tasks.jobs.submission import submit_all
from tests.program import Program

SPIN = {"instructions": [["load", [0], [50]], ["measure", [0], []]], "num_wires": 1, "shots": 10}


@pytest.fixture
def program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """A laboratory with two jobs, of which the first was cancelled."""
    program = Program(tmp_path / "home", capsys)
    with program.services() as services:
        for job_id, shots in (("first", 10), ("second", 20)):
            document = json.dumps({"experiment_0": SPIN | {"shots": shots}}).encode()
            submit_all(services, [Submission(backend="singlequdit", document=document, user="ann", job_id=job_id)])
        services.log.append(services.log.get("first"), Cancelled(), attempt=0, actor="op")
    return program


def test_where_a_job_stood(program: Program):
    """Before it was cancelled it waited; before it was handed in there was none."""
    submitted, cancelled = program.json("history", "first")
    assert program.json("status", "first")["state"] == "CANCELLED"
    then = program.json("status", "first", "--at", submitted["recorded_at"])
    assert (then["state"], then["at"], then["seq"]) == ("QUEUED", submitted["recorded_at"], 0)
    assert program.json("status", "first", "--at", cancelled["recorded_at"])["state"] == "CANCELLED"
    refused = program.refused("status", "first", "--at", "2026-01-02T04:04:05+01:00")
    assert "job first had not been handed in by 2026-01-02 03:04:05 UTC" in refused
    assert "had not been handed in by" in program.refused("status", "first", "--at", "1h")
    assert "is no time" in program.refused("status", "first", "--at", "yesterday")
    for command in (("status", "first"), ("list",)):
        assert "is still to come" in program.refused(*command, "--at", "2999-01-01T00:00Z")
    assert "at   " in program.said("status", "first", "--at", submitted["recorded_at"])


def test_a_list_as_it_was(program: Program):
    """Jobs that came later are left out; what an index holds as it is now cannot be asked of the past."""
    first = program.json("history", "first")[0]["recorded_at"]
    assert [(job["job_id"], job["state"]) for job in program.json("list", "--at", first)] == [("first", "QUEUED")]
    now = clock.to_text(clock.now() + timedelta(seconds=1))
    states = {job["job_id"]: job["state"] for job in program.json("list", "--at", now, "--user", "ann")}
    assert states == {"first": "CANCELLED", "second": "QUEUED"}
    assert program.json("list", "--at", now, "--user", "bob") == []
    assert "--at goes with neither" in program.refused("list", "--at", now, "--state", "DONE")


def test_a_history_goes_on_until_the_end(program: Program):
    """Each event is a line, and the last one ends it."""
    done = [json.loads(line) for line in program.said("history", "first", "--follow", "--json").splitlines()]
    assert [event["kind"] for event in done] == ["submitted", "cancelled"]

    def cancel() -> None:
        with program.services() as services:
            services.log.append(services.log.get("second"), Cancelled(), attempt=0, actor="op")

    ending = threading.Timer(0.5, cancel)
    ending.start()
    lines = program.said("history", "second", "--follow").splitlines()
    ending.join()
    assert [line.split()[4] for line in lines] == ["submitted", "cancelled"]


def test_two_jobs_side_by_side(program: Program):
    """The code is 3 where they differ; a job and itself do not."""
    code, out, err = program("diff", "first", "second", "--json")
    said = json.loads(out)
    assert (code, err, said["same"], said["results"]) == (3, "", False, None)
    assert said["changes"] == {
        "state": ["CANCELLED", "QUEUED"],
        "document": [{"path": "experiment_0.shots", "one": "10", "other": "20"}],
    }
    assert "document: experiment_0.shots" in program("diff", "first", "second")[1]
    assert program.json("diff", "first", "first")["same"]
    assert program.said("diff", "first", "first") == "They are the same, shot by shot.\n"
    assert "no job has the id" in program.refused("diff", "first", "third")
    assert "it was never executed" in program.refused("rerun", "first", "--exact")
    assert "--dry-run goes with --exact" in program.refused("rerun", "first", "--dry-run")
