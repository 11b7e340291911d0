# ruff: noqa: UP031 - JSON is full of braces
"""A run that Prefect has stored and cannot give back, met by commands while no drain runs."""

import httpx

from tests.installation import DRAIN, Installation, experiment

JOB = {"experiment_0": experiment(["rlx", [0], [1.0]], ["measure", [0], []])}


def spoil(installation: Installation, name: str, state: str) -> None:
    """Store a run of a job that no list can hold."""
    flow = httpx.get(f"{installation.api}/flows/name/run-job", timeout=60).raise_for_status().json()["id"]
    body = '{"flow_id": "%s", "name": "%s", "labels": {"a": "\\ud800"}, "state": {"type": "%s"}}' % (flow, name, state)
    answer = httpx.post(
        f"{installation.api}/flow_runs/", content=body, headers={"Content-Type": "application/json"}, timeout=60
    )
    # It is stored, and the answer that would show it cannot be written.
    assert answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR
    assert listed(installation, name) == httpx.codes.INTERNAL_SERVER_ERROR


def listed(installation: Installation, name: str) -> int:
    """Return how Prefect answers the list of the runs of a job."""
    body = {"flow_runs": {"name": {"any_": [name]}}}
    return httpx.post(f"{installation.api}/flow_runs/filter", json=body, timeout=60).status_code


def test_commands_go_round_it(installation: Installation) -> None:
    """`verify` compares all others and changes nothing; `reconcile` clears it away where it seems to be under way."""
    spoilt, other = (installation.submit("singlequdit", JOB) for _ in range(2))
    installation.run(*DRAIN)
    spoil(installation, spoilt, "RUNNING")
    done = installation.run("verify", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert listed(installation, spoilt) == httpx.codes.INTERNAL_SERVER_ERROR
    installation.run("reconcile")
    assert (listed(installation, spoilt), listed(installation, other)) == (httpx.codes.OK, httpx.codes.OK)
    installation.run("verify")


def test_prune_clears_it_away(installation: Installation) -> None:
    """With the runs that ended long ago."""
    job_id = installation.submit("singlequdit", JOB)
    installation.run(*DRAIN)
    spoil(installation, job_id, "COMPLETED")
    installation.run("prune", "--days", "0")
    assert listed(installation, job_id) == httpx.codes.OK
