"""`verify`, `rebuild` and `restore` as programs: what they print and how they end."""

import json
import sqlite3
from pathlib import Path

from models.clock import now
from models.facts import Failed
from storage.log.database import open_database
from storage.log.event_log import EventLog
from tests.installation import DRAIN, Installation, experiment

SMALL = {"experiment_0": experiment(["load", [0], [20]], ["rlx", [0], [1.0]], ["measure", [0], []])}
EXAMPLE = "examples/rabi_oscillation.json"


def test_verify_ends_with_3_and_names_what_differs(lone_installation: Installation):
    """A clean lab ends with code 0, a changed document with code 3 and the job's name, as text and as JSON."""
    installation = lone_installation
    job = installation.run("submit", "singlequdit", EXAMPLE).stdout.strip()
    assert "1 job verified: no differences" in installation.run("verify").stdout
    assert installation.json("verify", job) == {
        "jobs": 1,
        "findings": [],
        "prefect": None,
        "left_out": [],
        "notes": [],
        "logged": [],
    }
    document = installation.store / "jobs" / "queued" / "singlequdit" / f"{job}.json"
    document.write_bytes(document.read_bytes() + b" ")
    for arguments in (("verify",), ("verify", job)):
        done = installation.run(*arguments, check=False)
        assert done.returncode == 3
        assert f"{job} place: " in done.stdout
    done = installation.run("verify", "--json", check=False)
    assert done.returncode == 3
    assert [(each["job_id"], each["what"]) for each in json.loads(done.stdout)["findings"]] == [(job, "place")]


def test_a_database_comes_back_from_the_storage(lone_installation: Installation, tmp_path: Path):
    """When the database is lost, `restore` and `reconcile` bring it back, and `verify` finds nothing."""
    installation = lone_installation
    job = installation.run("submit", "singlequdit", EXAMPLE).stdout.strip()
    before = installation.history(job)
    for name in ("quledger.db", "quledger.db-wal", "quledger.db-shm"):
        (installation.home / name).unlink(missing_ok=True)
    gone = installation.run("verify", check=False)
    assert gone.returncode == 1
    assert "there is no event log at" in gone.stderr
    restored = installation.run("restore", "--from", installation.store.as_uri()).stdout
    assert "There are no users, projects or tokens: they are in no mirror." in restored
    assert "Next: quledger reconcile" in restored
    assert installation.history(job) == before
    assert "behind: " in installation.run("verify", check=False).stdout
    assert "jobs written into the storage: 1, jobs that could not be: 0" in installation.run("reconcile").stdout
    installation.run("verify")
    again = installation.run("restore", "--from", installation.store.as_uri())
    assert again.stdout.startswith("restored 0 jobs with 0 events")
    with_another = installation.run(
        "submit", "singlequdit", EXAMPLE, QULEDGER_HOME=str(tmp_path / "other"), QULEDGER_STORAGE=""
    )
    assert with_another.returncode == 0
    mixed = installation.run("restore", "--from", (tmp_path / "other/storage").as_uri(), check=False)
    assert mixed.returncode == 2
    assert "holds jobs already" in mixed.stderr
    (installation.store / "events" / "singlequdit" / f"{job}.json").write_bytes(b"{}")
    broken = installation.run(
        "restore", "--from", installation.store.as_uri(), check=False, QULEDGER_HOME=str(tmp_path / "new")
    )
    assert broken.returncode == 1
    assert f"events/singlequdit/{job}.json: it is no history" in broken.stderr
    assert "Traceback" not in gone.stderr + again.stderr + broken.stderr


def test_rebuild_brings_a_broken_view_right(lone_installation: Installation):
    """A view that somebody changed is found by `verify` and made anew by `rebuild`; a broken chain is refused."""
    installation = lone_installation
    job = installation.run("submit", "singlequdit", EXAMPLE).stdout.strip()
    with sqlite3.connect(installation.home / "quledger.db") as raw:
        raw.execute("UPDATE job SET user = 'eve'")
    raw.close()
    assert f"{job} view: `job` differs from the events in user" in installation.run("verify", check=False).stdout
    assert installation.json("rebuild") == {"jobs": 1, "events": 1, "streams": 0}
    installation.run("verify")
    with sqlite3.connect(installation.home / "quledger.db") as raw:
        raw.execute("DROP TRIGGER event_no_update")
        raw.execute("UPDATE event SET actor = 'eve'")
    raw.close()
    refused = installation.run("rebuild", check=False)
    assert refused.returncode == 1
    assert f"job {job}: event 0 is not what was written" in refused.stderr


def test_a_silent_prefect_is_one_line(lone_installation: Installation):
    """Where Prefect does not answer, everything else is compared, one line says so, and the code is 1."""
    installation = lone_installation
    installation.run("submit", "singlequdit", EXAMPLE)
    unset = installation.run("verify", "--prefect", check=False)
    assert unset.returncode == 2
    assert "PREFECT_API_URL is not set" in unset.stderr
    log = EventLog(open_database(f"sqlite:///{installation.home / 'quledger.db'}"))
    job = log.claim(["singlequdit"], "w", now())
    assert job is not None
    log.append(job, Failed(stage="execution", blame="backend", faults=(), fault_count=0), attempt=1, actor="w")
    log.engine.dispose()
    installation.run("reconcile")
    silent = installation.run("verify", check=False, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert silent.returncode == 1
    assert "1 job verified: no differences" in silent.stdout
    assert "could not be asked" in silent.stderr
    assert "Traceback" not in silent.stderr
    installation.run("verify", "--no-prefect", PREFECT_API_URL="http://127.0.0.1:9/api")


def test_a_prefect_that_says_otherwise_is_named(installation: Installation):
    """After a drain log and Prefect agree; a run that somebody sets to another state is named with its job."""
    job = installation.submit("singlequdit", SMALL)
    installation.run(*DRAIN)
    assert installation.json("verify")["findings"] == []
    (run,) = installation.prefect("/flow_runs/filter", {"flow_runs": {"name": {"any_": [job]}}})
    installation.prefect(f"/flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLED"}, "force": True})
    done = installation.run("verify", check=False)
    assert done.returncode == 3
    assert f"{job} prefect: the job is DONE, and Prefect says that its last run {run['id']} is CANCELLED" in done.stdout
    installation.run("verify", "--no-prefect")
