"""A drain or worker whose event loop is held by something is ended, and the next one finishes its jobs."""

import signal
from pathlib import Path

import pytest

from models.job import State
from tests.control_room import control_room
from tests.installation import DRAIN, Installation, experiment

JOB = {"experiment_0": experiment(["rlx", [0], [1.0]], ["measure", [0], []])}
WAIT_SECONDS = 300


def test_a_drain_that_is_held_is_ended_and_its_jobs_are_not_lost(installation: Installation) -> None:
    """With one sentence for whoever started it, and a report in the home; the lease brings the job back."""
    # What is published an hour later does not bring the job back.
    installation.environment |= {"QULEDGER_LEASE_SECONDS": "4", "QULEDGER_PUBLISH_SECONDS": "3600"}
    job_id = installation.submit("singlequdit", JOB)
    held = installation.run(*DRAIN, check=False, QULEDGER_CRASH="claim.appended:hold", QULEDGER_STANDSTILL_SECONDS="6")
    assert held.returncode == -signal.SIGKILL, held.stderr
    assert "stood still for 6 s; the process was ended (see standstill.log)" in held.stderr
    assert "Traceback" not in held.stdout + held.stderr
    report = (installation.home / "standstill.log").read_text()
    assert "in _strike" in report
    assert "scheduler.py" in report
    installation.run(*DRAIN)
    job = installation.log.get(job_id)
    assert (job.state, job.failures) == (State.DONE, 1)
    installation.verified()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_worker_that_stands_still_is_ended_and_started_again(tmp_path: Path):
    """Whatever holds its event loop: the job that it had is run again, and the operator reads what it was doing."""
    still = {"QULEDGER_STANDSTILL_SECONDS": "5", "QULEDGER_LEASE_SECONDS": "10", "QULEDGER_CRASH": "run.begun:hold:2"}
    with control_room(tmp_path, **still) as room:
        first = room.drop(1)
        room.wait(lambda: room.installation.states().get(first) == "DONE", WAIT_SECONDS)
        second = room.drop(2)  # the worker that begins it holds on; for its successor it is the first one
        room.wait(lambda: room.installation.states().get(second) == "DONE", WAIT_SECONDS)
        assert [room.installation.log.get(job).attempt for job in (first, second)] == [1, 2]
        report = (room.installation.home / "standstill.log").read_text()
        assert report.count("stood still for 5 s") == 1
        assert "failpoints.py" in report
        room.wait(lambda: "worker.log" in room.output.read_text(), WAIT_SECONDS)
        assert (
            "the worker ended with code -9; it is started again" in (room.installation.home / "worker.log").read_text()
        )
        room.wait(lambda: room.installation.findings() == [], WAIT_SECONDS)
