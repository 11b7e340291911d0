"""Prefect's server deletes its old runs by itself, at a short interval."""

import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests import prefect_home
from tests.installation import Installation, experiment
from tests.waiting import until

pytestmark = [pytest.mark.slow]

JOB = {"experiment_0": experiment(["rlx", [0], [1.0]], ["measure", [0], []])}


def test_old_runs_are_deleted(lone_installation: Installation):
    """Prefect's vacuum deletes a run that ended more than 30 days ago, and the log keeps its job."""

    def database(statement: str, *values: str) -> list[Any]:
        path = lone_installation.home / "prefect" / "prefect.db"
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    prefect_home.fill(lone_installation.home / "prefect")
    job = lone_installation.submit("singlequdit", JOB)
    drain = lone_installation.start("drain", PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS="5")
    try:
        until(lambda: lone_installation.states() == {job: "DONE"}, told=drain.printed)
        run = lone_installation.log.get(job).flow_run_id
        assert run is not None
        # All that Prefect still has to write about the run comes first: it cannot write about one that is gone.
        steps = "SELECT 1 FROM task_run WHERE flow_run_id = ? AND state_type = 'COMPLETED'"
        ended = "SELECT 1 FROM flow_run WHERE id = ? AND state_type = 'COMPLETED'"
        until(lambda: len(database(steps, run)) == 4 and database(ended, run), told=drain.printed)
        old = (datetime.now(UTC) - timedelta(days=31)).strftime("%Y-%m-%d %H:%M:%S.%f")
        assert database("UPDATE flow_run SET end_time = ? WHERE id = ? RETURNING 1", old, run) == [(1,)]
        until(lambda: not database("SELECT 1 FROM flow_run WHERE id = ?", run), told=drain.printed)
    finally:
        drain.terminate()
        drain.wait(90)
    assert lone_installation.states() == {job: "DONE"}
    assert "there were errors" not in drain.printed()
