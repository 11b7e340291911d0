"""The whole program on a log on PostgreSQL: two machines drain one queue, and every command works."""

import json
from collections.abc import Iterator

import pytest

from tests.lab import Lab, experiment
from tests.postgres import PASSWORD, Server

FLIP = experiment(["rlx", [0], [3.14159265]], ["measure", [0], []], shots=7)


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    """An empty database, without tables."""
    url = postgres.create("acceptance")
    yield url
    postgres.drop(url)


def test_two_machines_drain_one_queue(lab: Lab, url: str):
    """Two homes share a log and a storage: every job ends once, verify is content."""
    for number in range(6):
        lab.queue("singlequdit", f"job{number}.json", experiment_document(shots=number + 1))
    homes = [{"QULEDGER_DATABASE": url, "QULEDGER_HOME": str(lab.home / name)} for name in ("one", "two")]
    drains = [lab.start("drain", **home) for home in homes]
    said = [drain.communicate(timeout=200)[0] for drain in drains]
    assert [drain.returncode for drain in drains] == [0, 0], said
    jobs = lab.json("list", **homes[0])
    assert {job["state"] for job in jobs} == {"DONE"}
    assert len(jobs) == 6
    for job in jobs:
        kinds = [event["kind"] for event in lab.json("history", job["job_id"], **homes[1])]
        assert kinds.count("completed") == 1
    lab.run("verify", "--no-prefect", **homes[0])
    lab.run("rebuild", **homes[1])
    assert PASSWORD not in "".join(said)
    assert lab.json("config", **homes[0])["database"] == url.replace(f"quledger:{PASSWORD}", "***")


def experiment_document(shots: int) -> bytes:
    """Return a job document as a front end writes it."""
    return json.dumps({"experiment_0": FLIP | {"shots": shots}}).encode()
