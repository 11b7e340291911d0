"""An older copy of the database is put back: what the operator sees happen by itself, and what one command does."""

import hashlib
import json
import shutil
import sqlite3
from pathlib import Path

from tests.installation import DRAIN, Installation, experiment

JOB = {"experiment_0": experiment(["load", [0], [50]], ["rlx", [0], [1.57]], ["measure", [0], []], shots=500)}
SETTINGS = {"QULEDGER_LEASE_SECONDS": "3"}


def documents(installation: Installation) -> dict[str, str]:
    """Return the SHA-256 of every document of a job that front ends or a restore read."""
    folders = ("results", "status", "events", "jobs")
    return {
        path: hashlib.sha256(installation.storage.get(path)).hexdigest()
        for folder in folders
        for path in installation.documents(folder)
    }


def test_an_older_copy_of_the_database_replaces_no_result(tmp_path: Path, prefect_api: str):
    """The drain names the job and serves the others, `verify` ends with 3, and `restore` puts the log right."""
    installation = Installation(tmp_path, prefect_api)
    installation.queue("singlequdit", "first.json", json.dumps(JOB).encode())
    installation.run(*DRAIN, check=False, **SETTINGS, QULEDGER_CRASH="take.recorded:kill:1")
    installation.run("user", "add", "ann")
    copy = tmp_path / "backup.db"
    with sqlite3.connect(installation.home / "quledger.db") as live, sqlite3.connect(copy) as backup:
        live.backup(backup)
    installation.queue("singlequdit", "later.json", json.dumps(JOB).encode())
    installation.run(*DRAIN, **SETTINGS)
    accepted = documents(installation)
    histories = {job_id: installation.history(job_id) for job_id in ("first", "later")}
    for file in installation.home.glob("quledger.db*"):
        file.unlink()
    shutil.copy(copy, installation.home / "quledger.db")

    installation.queue("singlequdit", "new.json", json.dumps(JOB).encode())
    assert installation.run("verify", "--no-prefect", check=False).returncode == 3
    drain = installation.run(*DRAIN, check=False, **SETTINGS)
    assert drain.returncode == 1
    assert "drained: 1 DONE" in drain.stdout
    assert (
        "the log is behind its mirror, and 2 jobs are held: first (its mirrored history goes on to event"
        in drain.stderr
    )
    assert "later (its history is in the mirror, and the log does not know the job)" in drain.stderr
    verify = installation.run("verify", "--no-prefect", check=False)
    assert verify.returncode == 3
    assert "first ahead: its mirrored history goes on to event" in verify.stdout

    restored = installation.run("restore").stdout
    assert restored.startswith("restored 2 jobs with ")
    assert "There are no users" not in restored  # they were in the copy
    installation.run("reconcile")
    assert installation.run("verify", "--no-prefect").stdout == "3 jobs verified: no differences\n"
    assert {job_id: installation.history(job_id) for job_id in histories} == histories
    assert accepted.items() <= documents(installation).items()
    assert "drained: no jobs" in installation.run(*DRAIN, **SETTINGS).stdout
