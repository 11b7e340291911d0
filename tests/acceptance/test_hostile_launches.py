# ruff: noqa: UP031 - JSON is full of braces
"""Launches that nobody should be able to make, among good ones, from the first moment after a power cut."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.job import Job
from models.names import job_id_for
from tests.control_room import ControlRoom

BLANKS = " " * 44 + '[["load", [0], [50]], ["measure", [0], []],]'
DEEP = "[" * 400 + "]" * 400

JOBS = {
    "blanks": json.dumps({"program": BLANKS}),
    "comments": json.dumps({"program": "/**/" * 40 + "x"}),
    "lines": json.dumps({"program": "// a\n" * 5000 + " " * 5000}),
    "nested program": json.dumps({"program": "[" * 100_000}),
    "surrogate program": r'{"program": "\ud800"}',
    "surrogate user": r'{"user": "\ud800"}',
    "surrogate project": r'{"project": "\udfff"}',
    "surrogate key": r'{"key": "\ud800"}',
    "surrogate storage": r'{"storage": "\ud800"}',
    "surrogate in a document": r'{"document": {"experiment_0": "\ud800"}}',
    "surrogate as a name": r'{"\ud800": 1}',
    "nul program": r'{"program": "\u0000"}',
    "nul user": r'{"user": "\u0000"}',
    "nul in a document": r'{"document": {"experiment_0": "\u0000"}}',
    "nested document": '{"document": {"experiment_0": %s}}' % DEEP,
    "large seed": '{"seed": %d}' % 10**30,
    "large priority": '{"priority": %d}' % 10**30,
    "large shots": '{"shots": %d}' % 10**30,
    "large wires": '{"wires": %d}' % 10**30,
    "large number in a document": '{"document": {"experiment_0": {"shots": %d}}}' % 10**30,
    "nan": '{"seed": NaN}',
    "nan in a document": '{"document": {"experiment_0": {"shots": NaN}}}',
    "long user": json.dumps({"user": "u" * 100_000}),
}
BODIES = {name: '{"parameters": {"job": %s}}' % job for name, job in JOBS.items()} | {
    "strange parameter": '{"parameters": {"job": {}, "more": %s}}' % DEEP,
    "strange number": '{"parameters": {"job": {}, "more": %d}}' % 10**30,
    "surrogate label": r'{"parameters": {"job": {}}, "labels": {"a": "\ud800"}}',
    "surrogate variable": r'{"parameters": {"job": {}}, "job_variables": {"a": "\ud800"}}',
    "surrogate tag": r'{"parameters": {"job": {}}, "tags": ["\ud800"]}',
    "surrogate run name": r'{"parameters": {"job": {}}, "name": "\ud800"}',
    "surrogate context": r'{"parameters": {"job": {}}, "context": {"a": "\ud800"}}',
    "surrogate message": r'{"parameters": {"job": {}}, "state": {"type": "SCHEDULED", "message": "\ud800"}}',
    "surrogate state": r'{"parameters": {"job": {}}, "state": {"type": "SCHEDULED", "name": "\ud800"}}',
    "surrogate in the state's data": (
        r'{"parameters": {"job": {}}, "state": {"type": "SCHEDULED", "data": {"a": "\ud800"}}}'
    ),
    "nested state": '{"parameters": {"job": {}}, "state": {"type": "SCHEDULED", "data": {"a": %s}}}' % DEEP,
    "large number in the state's data": '{"parameters": {"job": {}}, "state": {"type": "SCHEDULED", "data": {"a": %d}}}'
    % 10**30,
    "surrogate idempotency key": r'{"parameters": {"job": {}}, "idempotency_key": "\ud800"}',
    "surrogate queue": r'{"parameters": {"job": {}}, "work_queue_name": "\ud800"}',
    "nested variable": '{"parameters": {"job": {}}, "job_variables": {"a": %s}}' % DEEP,
    "nested context": '{"parameters": {"job": {}}, "context": {"a": %s}}' % DEEP,
    "large label": '{"parameters": {"job": {}}, "labels": {"a": %d}}' % 10**30,
    "another's job": r'{"parameters": {"job_id": "\u0000"}}',
}
BODIES |= {
    f"unchecked {name}": '{"enforce_parameter_schema": false, "parameters": {"job": %s}}' % JOBS[name]
    for name in ("surrogate user", "nul user", "nested document", "large seed", "large priority", "nan", "long user")
}
HARMLESS = {"strange number", "large label", "surrogate in a document", "unchecked nan"}
"""What Prefect can give back: such a run may be a good job."""

OTHERS = {
    "reconcile": '{"parameters": {"more": %s}}' % DEEP,
    "verify": '{"parameters": {"job_id": "x"}, "labels": {"a": "\\ud800"}}',
    "publish-backends": '{"parameters": {"more": %s}}' % DEEP,
    "run-claimed-job": '{"parameters": {"job_id": "x", "attempt": 1, "more": %s}}' % DEEP,
}
LATER = (
    '{"parameters": {"more": %s}, "state":'
    ' {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}}}'
)


REFUSED = "refused-"
"""Begins the name of a run that was cleared away."""

UNDER_WAY, MEANWHILE = range(4), 9
"""The numbers of jobs that were under way at a power cut, and of one that came while nothing ran."""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlRoom]:
    """A control room that a power cut has ended with jobs under way: everything is registered, and nothing runs."""
    room = ControlRoom(tmp_path_factory.mktemp("room"), QULEDGER_LEASE_SECONDS="5", QULEDGER_PUBLISH_SECONDS="1")
    try:
        room.start()
        for number in UNDER_WAY:
            room.drop(number)
        room.wait(room.installation.states)
        room.kill()
        room.drop(MEANWHILE)
        # Only what was killed has so short a lease.
        del room.installation.environment["QULEDGER_LEASE_SECONDS"]
        yield room
    finally:
        if room.process is not None and room.process.poll() is None:
            room.stop()
        room.client.close()


def post(room: ControlRoom, deployment: str, body: str) -> httpx.Response:
    """Launch, once; what Prefect cannot store it may answer with 500 or 503, however often it is asked."""
    path = f"/deployments/{deployment}/create_flow_run"
    return room.ask("POST", path, content=body, headers={"Content-Type": "application/json"})


def runs_of(room: ControlRoom, jobs: list[Job]) -> list[tuple[dict[str, Any], Job]]:
    """Return each job with the run that launched it."""
    return [(room.run(str(room.installation.log.history(job.job_id)[0].flow_run_id)), job) for job in jobs]


def listed(room: ControlRoom) -> list[dict[str, Any]] | None:
    """Return the newest runs as Prefect's page lists them; None where the server cannot."""
    answer = room.ask("POST", "/flow_runs/filter", json={"limit": 200})
    return answer.json() if answer.status_code == httpx.codes.OK else None


def drains(room: ControlRoom) -> list[dict[str, Any]]:
    """Return the drains that have begun."""
    return [run for run in room.runs("drain-queue") if run["start_time"] and not run["name"].startswith(REFUSED)]


def test_good_launches_come_through_among_hostile_ones(room: ControlRoom) -> None:
    """Each good one is DONE in one attempt, each bad one refused or Failed with its reason, and every list answers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ControlRoom, "wait", lambda *_: None)  # not until it is ready: from the first answer on
        room.start()
    ControlRoom.wait(room, lambda: room.ask("GET", "/deployments/name/run-job/run-job").is_success, 300)
    ids = {
        name: room.ask("GET", f"/deployments/name/{flow}/{name}").json()["id"]
        for name, flow in [("run-job", "run-job"), ("run-claimed-job", "run-job")]
        + [(each, each) for each in ("reconcile", "verify", "publish-backends", "drain-queue")]
    }
    good, taken = [], {}
    for number, (name, body) in enumerate(BODIES.items()):
        answer = post(room, ids["run-job"], body)
        if answer.is_success:
            taken[name] = answer.json()["id"]
        if number % 3 == 0:
            good.append(room.launch({"shots": 10, "user": f"user{number}"})["id"])
    for name, body in OTHERS.items():
        post(room, ids[name], body)
    post(room, ids["drain-queue"], LATER % DEEP)
    good += [room.launch({"shots": 10})["id"] for _ in range(3)]

    room.wait(lambda: all(room.run(each)["state_type"] == "COMPLETED" for each in good), 240)
    # A drain that claims the job of a run which is under way already works on it in a run of its own.
    jobs = [room.installation.log.get(job_id_for("prefect", each)) for each in good]
    assert {(job.state, job.attempt) for job in jobs} == {("DONE", 1)}
    # Also the one that came before there was a drain has the name and tags of its job.
    named = [
        (run["name"], {"quledger", job.backend, job.user} - {"", *run["tags"]}) for run, job in runs_of(room, jobs)
    ]
    assert named == [(job.job_id, set()) for job in jobs]
    # One that begins in the year 2099 spoils the list of its deployment, which a worker asks for, until it is cleared.
    room.wait(lambda: listed(room) is not None, 120)
    for name, run_id in taken.items():
        if name not in HARMLESS:
            run = room.ended(run_id)
            assert run["state_type"] == "FAILED", (name, run["state"])
            assert run["state"]["message"], name
            assert "Traceback" not in run["state"]["message"], name
    runs = room.ask("POST", "/flow_runs/filter", json={"deployments": {"id": {"any_": [ids["run-job"]]}}, "limit": 200})
    refused = [run for run in runs.json() if run["name"].startswith(REFUSED)]
    assert refused
    assert {run["state_type"] for run in refused} == {"FAILED"}
    assert all("refused: Prefect cannot show" in run["state"]["message"] for run in refused)
    assert "run_unreadable action=" in (room.installation.home / "worker.log").read_text()
    assert not (room.installation.home / "standstill.log").read_text()
    room.installation.verified()


def test_a_power_cut_ends_nothing_for_good(room: ControlRoom) -> None:
    """Every process was killed with jobs under way; since `quledger up` they have ended, and so have new ones."""
    status = room.installation.store / "status" / "singlequdit" / f"{MEANWHILE:024x}.json"
    room.wait(status.exists, 60)
    dropped = [f"{number:024x}" for number in (*UNDER_WAY, MEANWHILE)]
    room.wait(lambda: [room.installation.states().get(job) for job in dropped] == ["DONE"] * len(dropped))
    # The drain that was killed is Crashed in Prefect, and holds no place.
    room.wait(lambda: sorted(run["state_type"] for run in drains(room)) == ["CRASHED", "RUNNING"])
    processes = room.processes()
    assert room.stop() == 130
    room.wait(lambda: not [pid for pid in processes if Path(f"/proc/{pid}").exists()], 10)
    assert room.installation.findings() == []
