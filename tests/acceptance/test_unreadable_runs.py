# ruff: noqa: UP031 - JSON is full of braces
"""A run that Prefect has stored and cannot give back, met by commands while no drain runs."""

import httpx

from tests.lab import Lab, experiment

JOB = {"experiment_0": experiment(["rlx", [0], [1.0]], ["measure", [0], []])}


def spoil(lab: Lab, name: str, state: str) -> None:
    """Store a run of a job that no list can hold."""
    flow = httpx.get(f"{lab.api}/flows/name/run-job", timeout=60).raise_for_status().json()["id"]
    body = '{"flow_id": "%s", "name": "%s", "labels": {"a": "\\ud800"}, "state": {"type": "%s"}}' % (flow, name, state)
    answer = httpx.post(f"{lab.api}/flow_runs/", content=body, headers={"Content-Type": "application/json"}, timeout=60)
    # It is stored, and the answer that would show it cannot be written.
    assert answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR
    assert listed(lab, name) == httpx.codes.INTERNAL_SERVER_ERROR


def listed(lab: Lab, name: str) -> int:
    """Return how Prefect answers the list of the runs of a job."""
    body = {"flow_runs": {"name": {"any_": [name]}}}
    return httpx.post(f"{lab.api}/flow_runs/filter", json=body, timeout=60).status_code


def test_commands_go_round_it(lab: Lab) -> None:
    """`verify` compares all others and changes nothing; `reconcile` clears it away where it seems to be under way."""
    spoilt, other = (lab.submit("singlequdit", JOB) for _ in range(2))
    lab.run("drain", "--until-empty")
    spoil(lab, spoilt, "RUNNING")
    done = lab.run("verify", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert listed(lab, spoilt) == httpx.codes.INTERNAL_SERVER_ERROR
    lab.run("reconcile")
    assert (listed(lab, spoilt), listed(lab, other)) == (httpx.codes.OK, httpx.codes.OK)
    lab.run("verify")


def test_prune_clears_it_away(lab: Lab) -> None:
    """With the runs that ended long ago."""
    job_id = lab.submit("singlequdit", JOB)
    lab.run("drain", "--until-empty")
    spoil(lab, job_id, "COMPLETED")
    lab.run("prune", "--days", "0")
    assert listed(lab, job_id) == httpx.codes.OK
