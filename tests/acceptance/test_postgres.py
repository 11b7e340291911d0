"""The whole program on a log on PostgreSQL: two machines drain one queue, and every command works."""

import json
from collections.abc import Iterator

import pytest

from models.job import State
from storage.database import open_database
from storage.event_log import EventLog
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
    drains = [lab.start("drain", "--until-empty", **home) for home in homes]
    said = [drain.communicate(timeout=200)[0] for drain in drains]
    assert [drain.returncode for drain in drains] == [0, 0], said
    engine = open_database(url)
    log = EventLog(engine)
    jobs = log.jobs()
    assert [job.state for job in jobs] == [State.DONE] * 6
    assert all([event.kind for event in log.history(job.job_id)].count("completed") == 1 for job in jobs)
    engine.dispose()
    lab.run("verify", "--no-prefect", **homes[0])
    lab.run("rebuild", **homes[1])
    assert PASSWORD not in "".join(said)
    assert lab.json("config", **homes[0])["database"] == url.replace(f"quledger:{PASSWORD}", "***")


def experiment_document(shots: int) -> bytes:
    """Return a job document as a front end writes it."""
    return json.dumps({"experiment_0": FLIP | {"shots": shots}}).encode()
