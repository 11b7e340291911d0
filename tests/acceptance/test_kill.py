"""The drain dies or is stopped in the midst of its work: nothing is lost."""

import json
import os
import signal
import time

import pytest

from deployments.processes.stop_signals import stop_signals
from tests.contract.storages import LIVES
from tests.installation import DRAIN, ONE_BACKEND, Installation, experiment
from tests.waiting import until

ALL = os.environ.get("QULEDGER_TEST_CRASH") == "all"

FAST = [kind for kind in LIVES if kind != "mongodb"]
"""Not the tests' MongoDB server: it is slow with results of 13 MB of BSON. tests/crash kills drains over it."""

QUICK = 0.02
"""Seconds between two looks at jobs that each take a few tenths of one."""

SLOW = {
    f"experiment_{number}": experiment(
        ["load", [0], [500]], ["rlx", [0], [1.0]], ["rlz2", [0], [0.1]], ["measure", [0], []], shots=200_000
    )
    for number in range(4)
}


def mirrored(installation: Installation, place: str) -> int:
    """Return how many documents lie in a folder of the storage."""
    return len(installation.documents(place))


def fill(installation: Installation, number: int) -> list[str]:
    """Queue so many jobs and return their ids."""
    ids = [f"{index:024x}" for index in range(number)]
    for job_id in ids:
        installation.queue("singlequdit", f"{job_id}.json", json.dumps(SLOW).encode())
    return ids


def begun(installation: Installation) -> set[str]:
    """Return the jobs that have begun and not ended."""
    return {job_id for job_id, state in installation.states().items() if state not in {"DONE", "QUEUED"}}


def check(installation: Installation, ids: list[str]) -> None:
    """Every job is DONE, has its result, and was completed exactly once."""
    assert installation.states() == dict.fromkeys(ids, "DONE")
    for job_id in ids:
        kinds = [event["kind"] for event in installation.history(job_id)]
        assert kinds.count("completed") == 1
        assert installation.read(f"status/singlequdit/{job_id}.json")["status"] == "DONE"
        assert len(installation.read(f"results/singlequdit/{job_id}.json")["results"]) == 4
    assert mirrored(installation, "jobs/running") == mirrored(installation, "jobs/queued/singlequdit") == 0
    assert mirrored(installation, "jobs/finished/singlequdit") == len(ids)


@pytest.mark.parametrize("stored_installation", FAST, indirect=True)
def test_kill_9_loses_no_job(stored_installation: Installation):
    """A drain that is killed in mid-job leaves jobs running; the next one waits for their leases and ends them all."""
    installation = stored_installation
    ids = fill(installation, 7)
    drain = installation.start("drain", *ONE_BACKEND, QULEDGER_LEASE_SECONDS="3", QULEDGER_PUBLISH_SECONDS="1")

    def stands_still_in_mid_job() -> bool:
        drain.send_signal(signal.SIGSTOP)
        if "DONE" in installation.states().values() and begun(installation):
            return True
        drain.send_signal(signal.SIGCONT)
        return False

    try:
        until(stands_still_in_mid_job, pause=QUICK, max_pause=QUICK, told=drain.printed)
    finally:
        drain.send_signal(signal.SIGKILL)
        drain.communicate()
    left = begun(installation)
    assert left
    installation.run(*DRAIN, QULEDGER_LEASE_SECONDS="3", QULEDGER_PUBLISH_SECONDS="1")
    until(lambda: set(installation.states().values()) == {"DONE"})
    check(installation, ids)
    assert any("lease_expired" in {event["kind"] for event in installation.history(job_id)} for job_id in left)


@pytest.mark.parametrize("stored_installation", FAST if ALL else FAST[:1], indirect=True)
def test_a_closed_terminal_gives_jobs_back(stored_installation: Installation):
    """A drain that is told to stop, as by its terminal's end, ends soon and leaves no job running.

    The next one needs no lease to expire.

    Nor is it an error that it was stopped.
    """
    installation = stored_installation
    ids = fill(installation, 5)
    drain = installation.start("drain", *ONE_BACKEND)
    until(lambda: mirrored(installation, "jobs/finished/singlequdit") >= 1)
    started = time.monotonic()
    drain.send_signal(stop_signals()[-1])
    output, _ = drain.communicate(timeout=30)
    assert "given back" in output
    assert "Traceback" not in output
    assert "errors" not in output
    assert (installation.home / "drain.log").read_text() == ""
    assert time.monotonic() - started < 30
    assert set(installation.states().values()) <= {"DONE", "QUEUED"}
    installation.run(*DRAIN)
    check(installation, ids)
