"""The storage says no, or goes away in the midst of the work and comes back."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.storages import surrounded
from tests.installation import DRAIN, Installation, experiment
from tests.seaweedfs import SECRET, Weed, seaweedfs
from tests.waiting import until

JOB = {"experiment_0": experiment(["load", [0], [20]], ["rlx", [0], [1.0]], ["measure", [0], []], shots=500)}
EXAMPLE = "examples/rabi_oscillation.json"
SETTINGS = {"QULEDGER_LEASE_SECONDS": "5", "QULEDGER_PUBLISH_SECONDS": "1", "QULEDGER_RETRY_SECONDS": "0.2"}


@pytest.fixture
def weed() -> Iterator[Weed]:
    """A server of this test's own."""
    with seaweedfs() as server:
        yield server


def test_a_storage_that_is_stopped_and_killed_loses_nothing(tmp_path: Path, prefect_api: str, weed: Weed):
    """The server falls silent in mid-drain, is killed, and comes back on its data: every job ends once, all agree."""
    place = weed.place()
    with surrounded(place):
        installation = Installation(tmp_path, prefect_api, place)
        ids = [f"{number:024x}" for number in range(12)]
        for job_id in ids:
            installation.queue("singlequdit", f"{job_id}.json", json.dumps(JOB).encode())
        drain = installation.start(*DRAIN, **SETTINGS)
        try:
            until(lambda: 1 <= list(installation.states().values()).count("DONE") < len(ids))
            weed.stop()
            for then in (weed.kill, weed.start):
                time.sleep(3)  # so long it is silent, and so long it is gone
                then()
            output, _ = drain.communicate(timeout=240)
        finally:
            drain.kill()
            drain.wait()
        assert drain.returncode == 0, output[-3000:]
        assert "Traceback" not in output
        installation.run("reconcile", **SETTINGS)
        assert installation.states() == dict.fromkeys(ids, "DONE")
        for job_id in ids:
            assert [event["kind"] for event in installation.history(job_id)].count("completed") == 1
            assert installation.read(f"status/singlequdit/{job_id}.json")["status"] == "DONE"
        assert installation.findings() == []
        assert installation.documents("jobs") == [f"jobs/finished/singlequdit/{job_id}.json" for job_id in ids]


def test_a_storage_that_does_not_let_us_in_changes_nothing(tmp_path: Path, weed: Weed):
    """With a wrong secret drain, submit and reconcile end with one sentence and a code, and no job is touched."""
    place = weed.place()
    with surrounded(place):
        installation = Installation(tmp_path, None, place)
        job = installation.run("submit", "singlequdit", EXAMPLE).stdout.strip()
        before = installation.history(job)
        for arguments in (DRAIN, ("submit", "singlequdit", EXAMPLE), ("reconcile",)):
            said = installation.run(*arguments, check=False, AWS_SECRET_ACCESS_KEY="not-the-s3cret")
            assert said.returncode == 1
            assert said.stderr.startswith("quledger: the bucket lab cannot be used: the secret key does not fit")
            assert said.stderr.count("\n") == 1
            assert "s3cret" not in said.stdout + said.stderr
        assert installation.states() == {job: "QUEUED"}
        assert installation.history(job) == before
        assert SECRET not in json.dumps(before)
