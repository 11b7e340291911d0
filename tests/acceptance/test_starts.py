"""Embedded servers of Prefect that start at once, or cannot start."""

import contextlib
import json
import os
import socket
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from models.job import State
from tests import prefect_home
from tests.installation import Installation, experiment
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ALL = os.environ.get("QULEDGER_TEST_CRASH") == "all"
JOBS = 16 if ALL else 8
GOOD = {"experiment_0": experiment(["load", [0], [20]], ["rlx", [0], [1.0]], ["measure", [0], []])}


@pytest.mark.parametrize(
    ("number", "rooms"),
    [(3, 0), pytest.param(8, 2, marks=pytest.mark.skipif(not ALL, reason="minutes: part of `make crash`"))],
)
def test_drains_and_control_rooms_start_at_once_on_an_empty_home(tmp_path: Path, number: int, rooms: int):
    """One makes Prefect's database and the others wait for it: all serve and end well, and each job is done once."""
    installation = Installation(tmp_path, None)
    for index in range(JOBS):
        installation.queue("singlequdit", f"{index:024x}.json", json.dumps(GOOD).encode())
    ports = free_ports(rooms)
    ups = [installation.start("up", "--port", str(port), "--api-port", "0") for port in ports]
    drains = [installation.start("drain", "--until-empty") for _ in range(number)]
    try:
        said = [drain.communicate(timeout=800)[0] for drain in drains]
        assert [drain.returncode for drain in drains] == [0] * number, "\n".join(said)
        for port, up in zip(ports, ups, strict=True):
            until(lambda up=up: "Ctrl-C stops everything" in up.printed(), 500, told=up.printed)
            api = f"http://127.0.0.1:{port}/api/deployments"
            deployment = httpx.get(f"{api}/name/run-job/run-job").json()["id"]
            launched = httpx.post(f"{api}/{deployment}/create_flow_run", json={"parameters": {"job": {}}}, timeout=60)
            assert launched.status_code == httpx.codes.CREATED
        until(lambda: len(installation.log.jobs(state=State.DONE, limit=100)) == JOBS + rooms, 120)
    finally:
        for up in ups:
            up.terminate()
    assert [up.wait(90) for up in ups] == [130] * rooms
    jobs = installation.log.jobs(limit=100)
    assert Counter((job.state.value, job.attempt) for job in jobs) == {("DONE", 1): JOBS + rooms}
    assert installation.findings() == []


def free_ports(number: int) -> list[int]:
    """Return so many ports on which nobody listens."""
    with contextlib.ExitStack() as stack:
        listening = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [each.getsockname()[1] for each in listening]


def newer(database: Path) -> None:
    """Let the database be one that a later release has migrated."""
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")


def broken(database: Path) -> None:
    """Let the file be something else."""
    database.write_bytes(b"what was here is lost" * 1000)


@pytest.mark.parametrize(("what", "cause"), [(newer, "newer version of Prefect"), (broken, "database is broken")])
def test_a_server_that_cannot_start_says_why(tmp_path: Path, what: Callable[[Path], None], cause: str):
    """One sentence names the cause and the file; the log has what Prefect said; the jobs wait."""
    installation = Installation(tmp_path, None)
    prefect_home.fill(installation.home / "prefect")
    database = installation.home / "prefect" / "prefect.db"
    what(database)
    job = installation.submit("singlequdit", GOOD)
    done = installation.run("drain", "--until-empty", check=False)
    assert done.returncode == 1
    last = done.stderr.rstrip().splitlines()[-1]
    assert cause in last
    assert str(database) in last
    assert "Traceback" not in done.stderr
    assert "Traceback" in (installation.home / "prefect-server.log").read_text()
    assert installation.states() == {job: "QUEUED"}
