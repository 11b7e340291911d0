"""A worker of Prefect's own, without any drain: it runs what is launched, and what a drain hands on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.control_room import ControlRoom
from tests.forked import ForkedModule
from tests.installation import ROOT, experiment
from tests.waiting import until

JOB = {"experiment_0": experiment(["load", [0], [20]], ["rlx", [0], [1.0]], ["measure", [0], []])}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Iterator[ControlRoom]:
    """The deployments on the session's server, and a plain process worker that serves their pool.

    The worker's `PYTHONPATH` holds modules named as ours, which none of the runs may import.
    """
    theirs = tmp_path_factory.mktemp("theirs")
    for name in ("models", "storage", "tasks", "flows"):
        (theirs / f"{name}.py").write_text('raise SystemExit("somebody else\'s module was imported")\n')
    room = ControlRoom(tmp_path_factory.mktemp("pool"), api=prefect_api)
    deploying = ForkedModule([sys.executable, "-m", "deployments.deploy"], env=room.installation.environment, cwd=ROOT)
    assert deploying.wait(300) == 0
    # Nobody asks here for what runs by schedule, and each run is a process that imports Prefect anew.
    for each in room.ask("POST", "/deployments/filter", json={}).raise_for_status().json():
        if each["schedules"]:
            room.ask("POST", f"/deployments/{each['id']}/pause_deployment").raise_for_status()
    worker = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", "quledger"],
        env=room.installation.environment
        | {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_HOME": str(room.installation.home / "p")}
        | {"PYTHONPATH": str(theirs)},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield room
    worker.kill()  # told to end, Prefect's own worker may take a minute
    worker.wait()
    room.client.close()


def test_a_launched_job_needs_no_drain(room: ControlRoom):
    """A plain worker submits the job, runs it and keeps to its key; its run is the job's run, by its name and tags."""
    run = room.ended(room.launch({"user": "bob", "key": "one"})["id"])
    assert (run["state_type"], run["state"]["message"]) == ("COMPLETED", "DONE")
    (job_id,) = room.installation.states()
    assert room.installation.log.get(job_id).flow_run_id == run["id"]
    assert (run["name"], {"singlequdit", "bob"} - {*run["tags"]}) == (job_id, set())
    wanted = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    room.wait(lambda: len(room.ask("POST", "/task_runs/filter", json=wanted).json()) == 4)


def test_a_heavy_backend_is_handed_on(room: ControlRoom):
    """A drain hands jobs of such a backend to the pool, one at a time where the backend can do no more."""
    settings = {"QULEDGER_DISPATCH": '{"singlequdit": "deployment"}', "QULEDGER_MOST_AT_ONCE": '{"singlequdit": 1}'}
    ids = [f"{index:024x}" for index in range(2)]
    for job_id in ids:
        room.installation.queue("singlequdit", f"{job_id}.json", json.dumps(JOB).encode())
    drain = room.installation.start("drain", "--until-empty", **settings)
    most = 0

    def has_ended() -> bool:
        nonlocal most
        counts = room.installation.log.counts() if (room.installation.home / "quledger.db").exists() else {}
        most = max(most, counts.get("singlequdit", {}).get("running", 0))
        return drain.poll() is not None

    until(has_ended, 600, pause=0.1, max_pause=0.1)
    assert drain.communicate()[0]
    states = room.installation.states()
    assert [states[job_id] for job_id in ids] == ["DONE", "DONE"]
    assert most == 1
    workers = {
        event["actor"] for job_id in ids for event in room.installation.history(job_id) if event["kind"] == "executed"
    }
    claims = {
        event["actor"] for job_id in ids for event in room.installation.history(job_id) if event["kind"] == "claimed"
    }
    assert all(actor.endswith("/pool") for actor in claims)
    assert not workers & {actor.removesuffix("/pool") for actor in claims}


def test_what_is_deployed_is_what_prefect_yaml_says(room: ControlRoom):
    """Each deployment is there, with its schedule, limit and a form that a physicist can fill in."""
    everything = room.ask("POST", "/deployments/filter", json={}).json()
    # Other tests have deployments on this server, too.
    found = {each["name"]: each for each in everything if each["work_pool_name"] == "quledger"}
    assert set(found) == {
        "run-job",
        "run-claimed-job",
        "drain-queue",
        "reconcile",
        "verify",
        "publish-backends",
        "health",
    }
    assert [each["schedule"]["interval"] for each in found["drain-queue"]["schedules"]] == [3600]
    assert found["drain-queue"]["global_concurrency_limit"]["limit"] == 1
    assert found["drain-queue"]["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    assert [each["schedule"]["interval"] for each in found["reconcile"]["schedules"]] == [60]
    form = json.dumps(found["run-job"]["parameter_openapi_schema"])
    assert '"enum": ["singlequdit", "multiqudit", "fermions", "rydberg", "qubits", "noisyqubits"]' in form
    assert str(Path(ROOT)) in json.dumps(found["run-job"]["pull_steps"])
