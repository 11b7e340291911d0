"""Runs in the peer's environment: a store with jobs in each state in which sqooler's own spooler can leave them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import client
from spooler import answering
from sqooler.schemes import LocalLoginInformation
from sqooler.storage_providers.local import LocalProvider
from sqooler.utils import main as serve
from sqooler.utils import update_backends

BACKEND = "singlequdit"
GOOD = {
    "experiment_0": {
        "instructions": [["load", [0], [5]], ["rlx", [0], [1.0]], ["measure", [0], []]],
        "num_wires": 1,
        "shots": 3,
        "wire_order": "interleaved",
    }
}


class Killed(Exception):
    """The spooler dies here."""


def at_status(*said: object) -> bool:
    """Return whether a status is written."""
    return any(str(each).startswith("status") for each in said)


def out_of_running(*said: object) -> bool:
    """Return whether a document is moved out of the running ones."""
    return str(said[0]).startswith("jobs/running")


def main(store: str, call: str, *arguments: str) -> Any:
    """Make the store and return the id of the job of each kind; or do a call of the client."""
    return make(store) if call == "make" else client.main(store, call, *arguments)


def make(store: str) -> dict[str, str]:
    """Fill a folder."""
    provider = LocalProvider(LocalLoginInformation(base_path=store))
    spooler = answering()
    update_backends(provider, {BACKEND: spooler})

    def hand_in(document: object = GOOD, *, announce: bool = True) -> str:
        job_id = provider.upload_job(job_dict=document, display_name=BACKEND, username="ann")
        if announce:
            provider.upload_status(display_name=BACKEND, username="ann", job_id=job_id)
        return job_id

    def run(document: object, dies_in: str = "", dies_at: Callable[..., bool] = lambda *_: True) -> str:
        job_id = hand_in(document)
        whole = getattr(provider, dies_in) if dies_in else None

        def dying(*said: Any, **named: Any) -> Any:
            if dies_at(*said, *named.values()):
                raise Killed
            return whole(*said, **named)

        if whole is not None:
            setattr(provider, dies_in, dying)
        try:
            serve(provider, {BACKEND: spooler}, num_iter=1)
        except Killed:
            pass
        finally:
            if whole is not None:
                setattr(provider, dies_in, whole)
        return job_id

    made = {
        "done": run(GOOD),
        "failed": run({"experiment_0": {}}),
        "with a result": run(GOOD, "move", out_of_running),
        "moved": run(GOOD, "update", at_status),
        "deleted": run({"experiment_0": {}}, "update", at_status),
        "running": run(GOOD, "get_job"),
        "torn": run(GOOD, "get_job"),
    }
    torn = Path(store) / "results" / BACKEND / f"{made['torn']}.json"
    torn.write_text(json.dumps({"job_id": made["torn"], "results": []})[:20])
    return made | {"queued": hand_in(), "unannounced": hand_in(announce=False)}
