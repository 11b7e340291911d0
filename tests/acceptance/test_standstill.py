"""A drain whose event loop is held by something is ended, and the next one finishes its jobs."""

import signal

from models.job import State
from tests.installation import Installation, experiment

JOB = {"experiment_0": experiment(["rlx", [0], [1.0]], ["measure", [0], []])}


def test_a_drain_that_is_held_is_ended_and_its_jobs_are_not_lost(installation: Installation) -> None:
    """With one sentence for whoever started it, and a report in the home; the lease brings the job back."""
    installation.environment["QULEDGER_LEASE_SECONDS"] = "8"
    job_id = installation.submit("singlequdit", JOB)
    held = installation.run(
        "drain", "--until-empty", check=False, QULEDGER_CRASH="claim.appended:hold", QULEDGER_STANDSTILL_SECONDS="6"
    )
    assert held.returncode == -signal.SIGKILL, held.stderr
    assert "stood still for 6 s; the process was ended (see standstill.log)" in held.stderr
    assert "Traceback" not in held.stdout + held.stderr
    report = (installation.home / "standstill.log").read_text()
    assert "in _strike" in report
    assert "scheduler.py" in report
    installation.run("drain", "--until-empty")
    job = installation.log.get(job_id)
    assert (job.state, job.failures) == (State.DONE, 1)
    installation.verified()
