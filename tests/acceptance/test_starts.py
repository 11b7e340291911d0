"""Embedded servers of Prefect that start at once, or cannot start."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import prefect_home
from tests.installation import Installation, experiment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

GOOD = {"experiment_0": experiment(["load", [0], [20]], ["rlx", [0], [1.0]], ["measure", [0], []])}


def test_four_drains_start_at_once_on_an_empty_home(tmp_path: Path):
    """One makes Prefect's database and the others wait for it: all end well, and each job is done once."""
    installation = Installation(tmp_path, None)
    for number in range(16):
        installation.queue("singlequdit", f"{number:024x}.json", json.dumps(GOOD).encode())
    drains = [installation.start("drain", "--until-empty") for _ in range(4)]
    said = [drain.communicate(timeout=800)[0] for drain in drains]
    assert [drain.returncode for drain in drains] == [0] * 4, "\n".join(said)
    jobs = installation.log.jobs(limit=100)
    assert Counter((job.state.value, job.attempt) for job in jobs) == {("DONE", 1): 16}
    assert installation.findings() == []


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
