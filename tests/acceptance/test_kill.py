"""The drain dies or is stopped in the midst of its work: nothing is lost."""

import json
import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.contract.storages import LIVES
from tests.lab import Lab, experiment

ALL = os.environ.get("QULEDGER_TEST_CRASH") == "all"

FAST = [kind for kind in LIVES if kind != "mongodb"]
"""Not the tests' MongoDB server: it is slow with results of 13 MB of BSON. tests/crash kills drains over it."""

SLOW = {
    f"experiment_{number}": experiment(
        ["load", [0], [500]], ["rlx", [0], [1.0]], ["rlz2", [0], [0.1]], ["measure", [0], []], shots=200_000
    )
    for number in range(4)
}


def wait_for(condition: Callable[[], bool], seconds: float = 240) -> None:
    """Return as soon as the condition holds; fail if that takes longer."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def mirrored(lab: Lab, place: str) -> int:
    """Return how many documents lie in a folder of the storage."""
    return len(lab.documents(place))


def fill(lab: Lab, number: int) -> list[str]:
    """Queue so many jobs and return their ids."""
    ids = [f"{index:024x}" for index in range(number)]
    for job_id in ids:
        lab.queue("singlequdit", f"{job_id}.json", json.dumps(SLOW).encode())
    return ids


def check(lab: Lab, ids: list[str]) -> None:
    """Every job is DONE, has its result, and was completed exactly once."""
    assert lab.states() == dict.fromkeys(ids, "DONE")
    for job_id in ids:
        kinds = [event["kind"] for event in lab.history(job_id)]
        assert kinds.count("completed") == 1
        assert lab.read(f"status/singlequdit/{job_id}.json")["status"] == "DONE"
        assert len(lab.read(f"results/singlequdit/{job_id}.json")["results"]) == 4
    assert mirrored(lab, "jobs/running") == mirrored(lab, "jobs/queued/singlequdit") == 0
    assert mirrored(lab, "jobs/finished/singlequdit") == len(ids)


@pytest.mark.parametrize("stored_lab", FAST, indirect=True)
def test_kill_9_loses_no_job(stored_lab: Lab):
    """A drain that is killed in mid-job leaves jobs running; the next one waits for their leases and finishes them all."""
    lab = stored_lab
    ids = fill(lab, 12)
    drain = lab.start("drain", QULEDGER_LEASE_SECONDS="3", QULEDGER_PUBLISH_SECONDS="1")
    try:
        wait_for(lambda: mirrored(lab, "jobs/finished/singlequdit") >= 2 and "COMPILED" in lab.states().values())
    finally:
        drain.send_signal(signal.SIGKILL)
        drain.communicate()
    left = {job_id for job_id, state in lab.states().items() if state not in {"DONE", "QUEUED"}}
    assert left
    lab.run("drain", "--until-empty", QULEDGER_LEASE_SECONDS="3", QULEDGER_PUBLISH_SECONDS="1")
    wait_for(lambda: set(lab.states().values()) == {"DONE"})
    check(lab, ids)
    assert any("lease_expired" in {event["kind"] for event in lab.history(job_id)} for job_id in left)


@pytest.mark.parametrize("stored_lab", FAST if ALL else FAST[:1], indirect=True)
def test_sigterm_gives_jobs_back(stored_lab: Lab):
    """A drain that is told to stop ends soon and leaves no job running; the next one needs no lease to expire."""
    lab = stored_lab
    ids = fill(lab, 8)
    drain = lab.start("drain")
    wait_for(lambda: mirrored(lab, "jobs/finished/singlequdit") >= 1)
    started = time.monotonic()
    drain.send_signal(signal.SIGTERM)
    output, _ = drain.communicate(timeout=30)
    assert "given back" in output
    assert "Traceback" not in output
    assert "there were errors" not in output
    assert time.monotonic() - started < 30
    assert set(lab.states().values()) <= {"DONE", "QUEUED"}
    lab.run("drain", "--until-empty")
    check(lab, ids)
