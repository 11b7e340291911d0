"""The whole program on PostgreSQL: two machines drain one queue, one of them dies, and every command works."""

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from deployments.processes.prefect_server import prefect_server
from models.settings import Settings
from storage.log.database import open_database
from storage.log.event_log import EventLog
from tests.contract.storages import Servers
from tests.installation import ONE_BACKEND, Installation, experiment, installation_on
from tests.postgres import PASSWORD, Server
from tests.waiting import until

ALL = os.environ.get("QULEDGER_TEST_CRASH") == "all"
WAIT_SECONDS = 1500 if ALL else 200
JOB = {"experiment_0": experiment(["load", [0], [20]], ["rlx", [0], [1.0]], ["measure", [0], []], shots=300)}
SETTINGS = {"QULEDGER_LEASE_SECONDS": "4", "QULEDGER_PUBLISH_SECONDS": "1", "QULEDGER_RETRY_SECONDS": "0"}


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    """An empty database, without tables."""
    url = postgres.create("acceptance")
    yield url
    postgres.drop(url)


@pytest.fixture
def api(postgres: Server, tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Prefect server: on PostgreSQL in the whole matrix, otherwise the session's."""
    if not ALL:
        yield prefect_api
        return
    database = postgres.create("prefect")
    url = database.replace("postgresql://", "postgresql+asyncpg://")
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", url)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with prefect_server(Settings(home=tmp_path / "server")) as address:
        yield address
    postgres.drop(database)


# A folder with two drains, and one with PostgreSQL, are in tests/crash.
@pytest.mark.parametrize("kind", ["file", "s3"] if ALL else ["s3"])
def test_two_machines_drain_one_queue_and_one_dies(
    kind: str, tmp_path: Path, api: str, url: str, storage_servers: Servers
):
    """Two homes share a log and a storage; one is killed: both did a share, every job ends once, verify is content."""
    with installation_on(kind, tmp_path, api, storage_servers) as installation:
        two_machines(installation, url)


def two_machines(installation: Installation, url: str) -> None:
    """Drain one queue from two homes and kill one of them."""
    number = 400 if ALL else 16
    ids: list[str] = []

    def queue(more: int) -> None:
        for _ in range(more):
            ids.append(uuid4().hex[:24])
            installation.queue("singlequdit", f"{ids[-1]}.json", json.dumps(JOB).encode())

    queue(number)
    homes = [
        SETTINGS | {"QULEDGER_DATABASE": url, "QULEDGER_HOME": str(installation.home / name)} for name in ("one", "two")
    ]
    drains = [installation.start("drain", *ONE_BACKEND, **home) for home in homes]
    engine = open_database(url)
    log = EventLog(engine)

    def both_have_begun() -> bool:
        share = shares(log, ids)
        if len(share) == 1 and share.total() == len(ids):
            queue(8)  # one was done before the other had started
        return len(share) == 2 and share.total() >= number // 4

    try:
        until(both_have_begun, WAIT_SECONDS)
        queue(8)
        number = len(ids)
        drains[0].send_signal(signal.SIGKILL)
        until(lambda: not log.counts() and len(log.jobs(state="DONE", limit=number)) == number, WAIT_SECONDS)
    finally:
        drains[1].send_signal(signal.SIGTERM)
        said = [drain.communicate(timeout=60)[0] for drain in drains]
    share = shares(log, ids)
    assert len(share) == 2, said
    assert sum(share.values()) == number
    kinds = Counter(event.kind for job_id in ids for event in log.history(job_id))
    assert (kinds["submitted"], kinds["uploaded"], kinds["completed"]) == (number, number, number)
    engine.dispose()
    installation.verified(**homes[1])
    installation.run("rebuild", **homes[1])
    assert PASSWORD not in "".join(said)
    assert installation.json("config", **homes[0])["database"] == url.replace(f"quledger:{PASSWORD}", "***")


def shares(log: EventLog, ids: list[str]) -> Counter[str]:
    """Return how many jobs each worker has completed."""
    return Counter(event.actor for job_id in ids for event in log.history(job_id) if event.kind == "completed")
