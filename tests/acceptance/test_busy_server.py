"""The embedded Prefect server when many ask it at once: nobody who hands in a job is told that something went wrong."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx

EACH = 12


def test_whoever_begins_a_run_while_others_write_is_served(prefect_api: str):
    """Forms that are submitted while runs of jobs begin and end are all answered at the first try."""
    with httpx.Client(base_url=prefect_api, timeout=120) as client:
        flow = client.post("/flows/", json={"name": "busy"}).raise_for_status().json()["id"]
        deployment = (
            client.post("/deployments/", json={"name": "busy", "flow_id": flow}).raise_for_status().json()["id"]
        )

        def submit_forms() -> list[int]:
            path = f"/deployments/{deployment}/create_flow_run"
            return [client.post(path, json={"parameters": {}}).status_code for _ in range(EACH)]

        def run_jobs() -> list[int]:
            codes = []
            for _ in range(EACH):
                begun = client.post("/flow_runs/", json={"flow_id": flow, "state": {"type": "RUNNING"}})
                path = f"/flow_runs/{begun.json()['id']}/set_state"
                ended = client.post(path, json={"state": {"type": "COMPLETED"}})
                codes += [begun.status_code, ended.status_code]
            return codes

        with ThreadPoolExecutor(8) as threads:
            works = [threads.submit(work) for work in (submit_forms, run_jobs) * 4]
        assert Counter(code for work in works for code in work.result()) == {201: 4 * EACH + 2 * 4 * EACH}
