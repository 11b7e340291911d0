"""`quledger up`: jobs launched over HTTP, cancelled, and dropped by hand."""

import json
import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import yaml

from tests.control_room import GOOD, LONG, ControlRoom, control_room
from tests.installation import ROOT
from tests.postgres import Server
from tests.processes_in_waiting import API

ALL = os.environ.get("QULEDGER_TEST_CRASH") == "all"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlRoom]:
    """A control room for all tests of this module."""
    with control_room(tmp_path_factory.mktemp("room"), door=True) as room:
        yield room


def test_the_front_door_stands_beside_prefect(room: ControlRoom):
    """A job that is posted with a token runs like any other; the API is started again when it dies."""
    found = re.search(r"Pages and API: +(http://127\.0\.0\.1:\d+)/ui", room.output.read_text())
    assert found
    room.installation.run("user", "add", "alice")
    token = room.installation.run("token", "new", "alice").stdout.strip()
    with httpx.Client(base_url=found[1], headers={"Authorization": f"Bearer {token}"}, timeout=120) as client:
        posted = client.post("/v1/jobs", json={"backend": "singlequdit", "document": GOOD})
        assert posted.status_code == 201
        job_id = posted.json()["job_id"]
        result = client.get(f"/v1/jobs/{job_id}/result?wait=60")
        assert (result.status_code, result.json()["job_id"]) == (200, job_id)
    api = room.process_of(API)
    os.kill(api, signal.SIGKILL)
    room.wait(lambda: api not in room.processes())
    # Its port is never closed: whoever comes meanwhile is answered as soon as it is back.
    answer = httpx.get(f"{found[1]}/v1/jobs/{job_id}", headers={"Authorization": f"Bearer {token}"}, timeout=120)
    assert answer.json()["state"] == "DONE"


def test_a_launched_job_is_one_run_with_everything_to_see(room: ControlRoom):
    """The default job of the form runs at once: run name and tags, four task runs, artifacts, events, the result."""
    run = room.ended(room.launch({"user": "ann", "project": "cats", "shots": 123})["id"])
    assert (run["state_type"], run["state"]["message"]) == ("COMPLETED", "DONE")
    job_id = run["name"]
    job = room.installation.log.get(job_id)
    assert (job.state, job.user, job.project, job.source, job.flow_run_id) == (
        "DONE",
        "ann",
        "cats",
        "prefect",
        run["id"],
    )
    assert {"singlequdit", "ann", "cats"} <= set(run["tags"])
    result = room.installation.read(f"results/singlequdit/{job_id}.json")
    assert len(result["results"][0]["data"]["memory"]) == 123
    wanted = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    room.wait(lambda: len(room.ask("POST", "/task_runs/filter", json=wanted).json()) == 4)
    artifacts = {each["type"]: each["data"] for each in room.ask("POST", "/artifacts/filter", json=wanted).json()}
    assert sum(row["count"] for row in json.loads(artifacts["table"])) == 123
    assert "data:image/svg+xml;base64," in artifacts["markdown"]
    assert "| completed |" in artifacts["markdown"]
    events = {"filter": {"event": {"name": ["quledger.job.completed"]}}}
    room.wait(lambda: job_id in room.ask("POST", "/events/filter", json=events).text)


def test_a_bad_job_is_a_failed_run_with_its_faults(room: ControlRoom):
    """Faults of a program are the run's message; what cannot even be submitted is refused by name."""
    run = room.ended(room.launch({"program": '[["nope", [0], []]]'})["id"])
    assert run["state_type"] == "FAILED"
    assert "nope" in run["state"]["message"]
    assert "Traceback" not in run["state"]["message"]
    assert room.installation.states()[run["name"]] == "ERROR"
    empty = room.ended(room.launch({"program": " "})["id"])
    assert (empty["state_type"], "the program is empty" in empty["state"]["message"]) == ("FAILED", True)
    deployment = room.ask("GET", "/deployments/name/run-job/run-job").json()["id"]
    for job in ({"backend": "nope"}, {"shots": 0}, {"colour": "red"}):
        answer = room.ask("POST", f"/deployments/{deployment}/create_flow_run", json={"parameters": {"job": job}})
        assert answer.status_code == 409
        assert next(iter(job)) in answer.text


def test_one_key_is_one_job(room: ControlRoom):
    """A key used again is the same job; with another document the run fails and says so; another user has his own."""
    first = room.ended(room.launch({"key": "k-1"})["id"])
    again = room.ended(room.launch({"key": "k-1"})["id"])
    other = room.ended(room.launch({"key": "k-1", "shots": 7})["id"])
    bobs = room.ended(room.launch({"key": "k-1", "user": "bob"})["id"])
    assert (bobs["state"]["message"], bobs["name"] == first["name"]) == ("DONE", False)
    assert (first["state"]["message"], again["state_type"]) == ("DONE", "COMPLETED")
    assert first["name"] in again["state"]["message"]
    assert (other["state_type"], "another document" in other["state"]["message"]) == ("FAILED", True)
    run = room.launch({}, idempotency_key="of-prefect")
    assert room.launch({}, idempotency_key="of-prefect")["id"] == run["id"]
    assert room.ended(run["id"])["state_type"] == "COMPLETED"


def test_many_clients_launch_at_once(room: ControlRoom):
    """Eight clients post jobs at the same time, each with a key: each job runs once."""
    launched_at_once(room, each=50 if ALL else 2)


@pytest.mark.skipif(not ALL, reason="one more control room: part of `make crash`")
def test_many_clients_launch_at_once_on_postgresql(tmp_path: Path, postgres: Server):
    """The same with Prefect's database and ours on PostgreSQL."""
    ours, prefects = postgres.create("launched"), postgres.create("prefect")
    server = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": prefects.replace("postgresql://", "postgresql+asyncpg://")}
    with control_room(tmp_path, QULEDGER_DATABASE=ours, **server) as room:
        launched_at_once(room, each=50)
        room.installation.log.engine.dispose()
    postgres.drop(ours)
    postgres.drop(prefects)


def launched_at_once(room: ControlRoom, each: int) -> None:
    """Let eight clients launch so many jobs each, and see that every job is done once."""
    before = set(room.installation.states())

    def client(number: int) -> list[str]:
        return [
            room.launch({"document": GOOD, "user": f"u{number}", "key": f"{number}-{i}"})["id"] for i in range(each)
        ]

    with ThreadPoolExecutor(8) as pool:
        runs = [run_id for part in pool.map(client, range(8)) for run_id in part]
    for run_id in runs:
        assert room.ended(run_id, 900)["state"]["message"] == "DONE"
    states = {job_id: state for job_id, state in room.installation.states().items() if job_id not in before}
    assert list(states.values()) == ["DONE"] * 8 * each
    assert {run["name"] for run in map(room.run, runs)} == set(states)
    log = room.installation.log
    uploads = Counter(event.kind for job_id in states for event in log.history(job_id))["uploaded"]
    assert uploads == 8 * each
    assert room.installation.findings() == []


def test_a_job_dropped_by_hand_is_done_without_anybody(room: ControlRoom):
    """With everything idle, a file in the queue folder is DONE in a second or two; a busy machine gets a minute."""
    room.installation.queue("singlequdit", f"{1:024x}.json", json.dumps(GOOD).encode())
    status = room.installation.store / "status" / "singlequdit" / f"{1:024x}.json"
    room.wait(status.exists, 60)
    assert json.loads(status.read_bytes())["status"] == "DONE"


@pytest.mark.parametrize("where", ["prefect", "here"])
def test_a_running_job_is_cancelled_within_seconds(room: ControlRoom, where: str):
    """A cancel in Prefect or at the command line stops the computation, and is Cancelled in both."""
    run_id = room.launch({"backend": "multiqudit", "document": LONG})["id"]
    room.wait(lambda: room.installation.states().get(room.run(run_id)["name"]) == "COMPILED")
    job_id = room.run(run_id)["name"]
    if where == "prefect":
        room.ask("POST", f"/flow_runs/{run_id}/set_state", json={"state": {"type": "CANCELLING"}}).raise_for_status()
    else:
        room.installation.run("cancel", job_id, "--reason", "changed my mind")
    run = room.ended(run_id)
    assert (run["state_type"], run["state"]["message"]) == ("CANCELLED", "the job was cancelled")
    assert room.installation.states()[job_id] == "CANCELLED"
    kinds = [event["kind"] for event in room.installation.history(job_id)]
    assert kinds[-2:] == ["cancel_requested", "cancelled"]
    assert room.installation.read(f"status/multiqudit/{job_id}.json")["error_message"] == "None; The job was cancelled."
    assert room.installation.run("cancel", job_id, check=False).returncode == 2
    assert room.installation.findings() == []


def test_a_run_that_is_cancelled_too_late_ends_as_its_job_did(room: ControlRoom):
    """Cancelled a moment before the end, a run would stay Cancelling for ever: it is said what became of the job."""
    good = room.ended(room.launch({})["id"])
    bad = room.ended(room.launch({"program": '[["nope", [0], []]]'})["id"])
    later = {"state": {"type": "SCHEDULED", "state_details": {"scheduled_time": "2999-01-01T00:00:00Z"}}}
    unborn = room.launch({}, **later)
    for run, state in ((good, "CANCELLING"), (bad, "CANCELLING"), (unborn, "CANCELLING")):
        forced = {"state": {"type": state, "name": "Cancelling"}, "force": True}
        room.ask("POST", f"/flow_runs/{run['id']}/set_state", json=forced).raise_for_status()
    ends = [
        (run["state_type"], run["state"]["message"]) for run in (room.ended(each["id"]) for each in (good, bad, unborn))
    ]
    assert ends[0] == ("COMPLETED", "DONE")
    assert ends[1] == ("FAILED", bad["state"]["message"])
    assert ends[2][0] == "CANCELLED"
    assert room.installation.states()[good["name"]] == "DONE"
    forced = {"state": {"type": "CANCELLED", "name": "Cancelled"}, "force": True}
    room.ask("POST", f"/flow_runs/{good['id']}/set_state", json=forced).raise_for_status()
    room.wait(lambda: room.run(good["id"])["state_type"] == "COMPLETED")
    assert room.installation.run("verify", good["name"], PREFECT_API_URL=str(room.installation.api)).returncode == 0


def test_what_is_forced_in_prefect_changes_nothing(room: ControlRoom):
    """Somebody who forces a state in Prefect changes no job, and `verify` tells."""
    run = room.ended(room.launch({})["id"])
    forced = {"state": {"type": "FAILED", "message": "because I say so"}, "force": True}
    room.ask("POST", f"/flow_runs/{run['id']}/set_state", json=forced).raise_for_status()
    assert room.installation.states()[run["name"]] == "DONE"
    done = room.installation.run("verify", run["name"], check=False, PREFECT_API_URL=str(room.installation.api))
    assert (done.returncode, "Prefect says" in done.stdout) == (3, True)
    room.ask("DELETE", f"/flow_runs/{run['id']}").raise_for_status()
    assert room.installation.run("verify", run["name"], PREFECT_API_URL=str(room.installation.api)).returncode == 0


def test_verify_runs_as_a_flow(room: ControlRoom):
    """The deployment `verify` ends with an artifact that says what differs."""
    deployment = room.ask("GET", "/deployments/name/verify/verify").json()["id"]
    run = room.ended(room.ask("POST", f"/deployments/{deployment}/create_flow_run", json={}).json()["id"])
    assert "jobs verified" in run["state"]["message"]
    artifacts = room.ask("GET", "/artifacts/verify/latest").raise_for_status().json()
    assert run["state"]["message"] in artifacts["data"]


def test_an_automation_reacts(room: ControlRoom):
    """The example of an automation, with a threshold of one: a job that fails makes `verify` run."""
    automation = yaml.safe_load((ROOT / "examples" / "automation.yaml").read_text())
    automation["trigger"]["threshold"] = 1
    automation["actions"][0]["deployment_id"] = room.ask("GET", "/deployments/name/verify/verify").json()["id"]
    before = {run["id"] for run in room.runs("verify")}
    room.ask("POST", "/automations/", json=automation).raise_for_status()
    room.ended(room.launch({"program": "[]"})["id"])
    room.wait(lambda: {run["id"] for run in room.runs("verify")} - before)


def test_a_taken_port_is_said(tmp_path: Path, room: ControlRoom):
    """A port that is in use is named, and nothing is left running."""
    other = ControlRoom(tmp_path)
    done = other.installation.run("up", "--port", str(room.port), "--api-port", "0", check=False)
    assert (done.returncode, f"port {room.port}" in done.stderr) == (2, True)
