"""What runs by itself under `quledger up` is watched running, at short intervals: schedules, drains, new starts."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.control_room import ControlRoom, computed, control_room
from tests.processes_in_waiting import FORK_SERVER, SERVER, WORKER, name_of
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ALL = os.environ.get("QULEDGER_TEST_CRASH") == "all"
OFTEN = {
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "3",
    # The long job ends also on a machine that has much else to do.
    "QULEDGER_WALL_SECONDS": "600",
    "QULEDGER_CPU_SECONDS": "300",
}
WAIT_SECONDS = 300
SHORT_HOUR = 15
FOLLOWED = 2
"""So many scheduled drains follow the first one, and another follows them."""

DROP_SECONDS = 4
"""Between two jobs: several in each short hour, so that one of them comes while drains change."""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlRoom]:
    """A control room for all tests of this module."""
    with control_room(tmp_path_factory.mktemp("room"), **OFTEN) as room:
        yield room


def schedule(room: ControlRoom, name: str, every: float, **parameters: Any) -> None:
    """Let a deployment run so often, as an operator does in the UI."""
    found = room.ask("GET", f"/deployments/name/{name}/{name}").raise_for_status().json()
    here = f"/deployments/{found['id']}"
    for each in found["schedules"]:
        body = {"schedule": {"interval": every}, "active": True}
        room.ask("PATCH", f"{here}/schedules/{each['id']}", json=body).raise_for_status()
    # Last: Prefect's scheduler looks within seconds at a deployment that was changed, and else once a minute.
    room.ask("PATCH", here, json={"parameters": found["parameters"] | parameters}).raise_for_status()


def fired(room: ControlRoom, name: str, *states: str) -> set[str]:
    """Return the runs that the schedule of a deployment has made and that are in one of these states."""
    return {run["id"] for run in room.runs(name, *states) if run["auto_scheduled"]}


def seconds_to_done(room: ControlRoom, job_id: str, dropped: datetime) -> float:
    """Return how long after that moment a job was done."""
    return float((room.installation.log.get(job_id).updated_at - dropped).total_seconds())


def computing(room: ControlRoom) -> psutil.Process:
    """Return the process that computes a job which takes seconds, as soon as it does."""
    assert room.process is not None
    program = psutil.Process(room.process.pid)

    def found() -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            forked = [each for each in program.children(recursive=True) if each.name() == name_of(FORK_SERVER)]
            return [each for each in forked if each.cpu_times().user > 1]
        return []

    process: psutil.Process = until(found, WAIT_SECONDS, pause=0.1, max_pause=0.1)[0]
    return process


def test_the_work_pool_shows_that_it_is_served(room: ControlRoom):
    """When `up` says its last line, pool, queue and each deployment are ready, and stay so: no dot is red."""
    assert room.ask("GET", "/work_pools/quledger").json()["status"] == "READY"
    for path in ("/work_pools/quledger/queues/filter", "/deployments/filter"):
        room.wait(lambda path=path: {each["status"] for each in room.ask("POST", path, json={}).json()} == {"READY"})
        assert all(each["last_polled"] for each in room.ask("POST", path, json={}).json())


def test_the_nightly_verify_runs_by_its_schedule(room: ControlRoom):
    """With a night of a few seconds, it compares and finds nothing."""
    schedule(room, "verify", 5)
    room.wait(lambda: fired(room, "verify", "COMPLETED"), WAIT_SECONDS)
    schedule(room, "verify", 24 * 3600)


def test_a_drain_shows_that_it_is_alive(room: ControlRoom):
    """A run that goes on for long sends its heartbeats."""
    beats = {"filter": {"event": {"name": ["prefect.flow-run.heartbeat"]}}}
    room.wait(lambda: room.ask("POST", "/events/filter", json=beats).json()["total"], WAIT_SECONDS)


def test_one_drain_follows_the_other_without_a_gap(room: ControlRoom):
    """With an hour of a quarter of a minute, jobs dropped all along are done, and one that runs over its end goes on.

    No job waits until the drain after next, which is what a gap looked like. How long they take is recorded elsewhere.
    """
    schedule(room, "drain-queue", SHORT_HOUR, time_budget=SHORT_HOUR - 3)
    long = room.drop(1000, computed(5), backend="multiqudit")
    process = computing(room)
    process.suspend()
    dropped: dict[str, datetime] = {}

    def drains_have_followed() -> bool:
        if len(fired(room, "drain-queue", "COMPLETED")) < FOLLOWED:
            dropped[room.drop(1001 + len(dropped))] = datetime.now(UTC)
            return False
        return True

    try:
        until(drains_have_followed, WAIT_SECONDS, pause=DROP_SECONDS, max_pause=DROP_SECONDS)
    finally:
        process.resume()
    room.wait(lambda: {room.installation.states().get(job) for job in (*dropped, long)} == {"DONE"}, WAIT_SECONDS)
    assert {room.installation.log.get(job).attempt for job in (*dropped, long)} == {1}
    assert max(seconds_to_done(room, job, at) for job, at in dropped.items()) < 2 * SHORT_HOUR
    assert room.installation.findings() == []


def test_reconcile_runs_by_its_schedule(room: ControlRoom):
    """With the schedule of prefect.yaml as it is, two runs that it made complete, a minute apart."""
    room.wait(lambda: len(fired(room, "reconcile", "COMPLETED")) >= 2, WAIT_SECONDS)


def test_housekeeping_begins_at_once(room: ControlRoom):
    """The first run that the schedule made was due as it was registered, and the next one a minute later."""
    schedules = room.ask("GET", "/deployments/name/reconcile/reconcile").raise_for_status().json()["schedules"]
    registered = datetime.fromisoformat(schedules[0]["schedule"]["anchor_date"])
    due = [run["expected_start_time"] for run in room.runs("reconcile") if run["auto_scheduled"]]
    first, second, *_ = sorted(datetime.fromisoformat(each) for each in due)
    assert [first, second] == [registered, registered + timedelta(minutes=1)]


def test_none_of_this_is_an_error(room: ControlRoom):
    """All that went well above is no error in a log, and `verify` has nothing to say."""
    assert "there were errors" not in room.output.read_text()
    assert "errors" not in room.installation.run("verify").stderr


def test_a_drain_that_failed_is_followed_by_another(room: ControlRoom):
    """With the next drain an hour away, one that ends too early is begun again; nobody waits for the clock."""
    schedule(room, "drain-queue", 5, backends=["nope"])
    room.wait(lambda: fired(room, "drain-queue", "FAILED"), WAIT_SECONDS)
    schedule(room, "drain-queue", 3600, backends=None, time_budget=3597)
    job = room.drop(2000)
    room.wait(lambda: room.installation.states().get(job) == "DONE", WAIT_SECONDS)


def test_of_missed_runs_only_the_last_one_runs(room: ControlRoom):
    """A worker that comes back late does not do again and again what is to be done now; what it left out is said."""
    schedule(room, "reconcile", 2)
    before = fired(room, "reconcile", "CANCELLED")
    worker = room.process_of(WORKER)
    os.kill(worker, signal.SIGSTOP)
    try:
        room.wait(lambda: len(room.runs("reconcile", "Late")) > 3, WAIT_SECONDS)
    finally:
        os.kill(worker, signal.SIGCONT)
    room.wait(lambda: fired(room, "reconcile", "CANCELLED") - before, WAIT_SECONDS)
    schedule(room, "reconcile", 60)
    room.wait(lambda: not room.runs("reconcile", "Late"), WAIT_SECONDS)
    missed = [run for run in room.runs("reconcile", "CANCELLED") if "missed" in (run["state"]["message"] or "")]
    assert len(missed) > 2
    newest = max(run["expected_start_time"] for run in missed)
    assert [run for run in room.runs("reconcile") if run["expected_start_time"] > newest]


@pytest.mark.parametrize(("which", "number"), [(WORKER, 3001), (SERVER, 3002)])
def test_what_is_killed_is_started_again_and_said(room: ControlRoom, which: str, number: int):
    """Worker or server dies by `kill -9`: jobs are served again, no place is lost, and the operator is told."""
    os.kill(room.process_of(which), signal.SIGKILL)
    job = room.drop(number)
    room.wait(lambda: room.installation.states().get(job) == "DONE", WAIT_SECONDS)
    room.wait(lambda: f"{which.rpartition('_')[2]}.log" in room.output.read_text(), WAIT_SECONDS)
    room.wait(lambda: room.runs("drain-queue", "RUNNING"), WAIT_SECONDS)
    said = room.installation.run("verify")
    assert "ended with code -9" in said.stderr


@pytest.mark.skipif(not ALL, reason="five minutes: part of `make crash`")
def test_an_hour_of_a_minute_is_not_noticed(tmp_path: Path, record_property: Callable[[str, object], None]):
    """Thirty jobs, one every ten seconds, over five ends of a drain: all are done, and how soon is recorded."""
    with control_room(tmp_path) as room:
        schedule(room, "drain-queue", 60, time_budget=57)
        dropped: dict[str, datetime] = {}
        pause = threading.Event()
        for number in range(30):
            dropped[room.drop(number + 1)] = datetime.now(UTC)
            pause.wait(10)
        room.wait(lambda: set(room.installation.states().values()) == {"DONE"}, 120)
        took = sorted(seconds_to_done(room, job, at) for job, at in dropped.items())
        record_property("drop to DONE", f"median {took[15]:.2f} s, p95 {took[28]:.2f} s, longest {took[29]:.2f} s")
        assert len(took) == 30
        assert room.installation.findings() == []
