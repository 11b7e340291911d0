"""Retention in Prefect's own database: what `quledger prune` deletes, what it leaves, and what it never touches."""

import os
import subprocess
import sys
from typing import Any

from deployments.processes.prefect_server import server_settings
from tests.installation import DRAIN, Installation, experiment
from tests.waiting import until

UNKNOWN = "f" * 24  # the name of no job of any test
FLIP = {"experiment_0": experiment(["rlx", [0], [3.0]], ["measure", [0], []], shots=7)}
FIELDS = {"/task_runs/filter": "task_runs", "/artifacts/filter": "artifacts", "/logs/filter": "logs"}


def of_run(installation: Installation, run_id: str) -> dict[str, int]:
    """Return how many task runs, artifacts and log lines Prefect has of a run."""
    return {
        name: len(installation.prefect(path, {name: {"flow_run_id": {"any_": [run_id]}}}))
        for path, name in FIELDS.items()
    }


def runs(installation: Installation, job_id: str) -> Any:
    """Return Prefect's runs of a job."""
    return installation.prefect("/flow_runs/filter", {"flow_runs": {"name": {"any_": [job_id]}}})


def test_prune_deletes_old_runs_and_nothing_else(installation: Installation):
    """Task runs, artifacts and logs go with the run; the log, the documents and `verify` are as before."""
    job = installation.submit("singlequdit", FLIP)
    installation.run(*DRAIN)
    (run,) = runs(installation, job)
    until(lambda: of_run(installation, run["id"])["task_runs"] == 4)
    assert of_run(installation, run["id"])["artifacts"] == 2
    flow = installation.prefect("/flows/filter", {"flows": {"name": {"any_": ["run-job"]}}})[0]["id"]
    unknown = installation.prefect("/flow_runs/", {"flow_id": flow, "name": UNKNOWN, "state": {"type": "COMPLETED"}})[
        "id"
    ]
    under_way = installation.prefect("/flow_runs/", {"flow_id": flow, "name": job, "state": {"type": "RUNNING"}})["id"]
    before = [installation.json(command, job) for command in ("status", "history", "result")]

    assert installation.json("prune")["deleted"] == 0  # nothing is thirty days old
    done = installation.json("prune", "--days", "0")
    assert done["deleted"] >= 2  # the job's run and the drain's
    assert done["left"] >= 1

    assert [each["id"] for each in runs(installation, job)] == [under_way]
    assert [each["id"] for each in runs(installation, UNKNOWN)] == [unknown]
    until(lambda: of_run(installation, run["id"]) == {"task_runs": 0, "artifacts": 0, "logs": 0})
    assert [installation.json(command, job) for command in ("status", "history", "result")] == before
    installation.prefect(f"/flow_runs/{under_way}/set_state", {"state": {"type": "COMPLETED"}, "force": True})
    installation.verified()
    assert installation.json("prune", "--days", "0")["deleted"] >= 1  # the server has runs of other tests too
    assert runs(installation, job) == []
    installation.verified()


def test_prune_says_what_it_needs(lone_installation: Installation):
    """Without a server's address, or with a number that is no age, it says so and ends with code 2."""
    refused = lone_installation.run("prune", check=False)
    assert refused.returncode == 2
    assert "PREFECT_API_URL" in refused.stderr
    refused = lone_installation.run("prune", "--days", "-1", check=False, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert refused.returncode == 2


def test_the_embedded_server_prunes_itself():
    """Prefect understands the retention that its server is started with."""
    code = """
from prefect.settings import get_current_settings
vacuum = get_current_settings().server.services.db_vacuum
print(sorted(vacuum.enabled_vacuum_types), vacuum.retention_period.days)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | server_settings(),
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert "'flow_runs'" in done.stdout
    assert "'events'" in done.stdout
    assert done.stdout.split()[-1] == "30"
