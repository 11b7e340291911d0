"""The home of a release as it was left behind: today's program upgrades it, finds nothing wrong, goes on with it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from models import clock
from models.job import State
from models.settings import Settings
from storage.audit.restore import restore
from storage.audit.verify import Verifier
from storage.log.database import HEAD, open_database, reading
from storage.log.event_log import EventLog
from storage.providers.registry import open_storage
from tasks.jobs.leases import expire_leases
from tasks.services import Services
from tests.installation import Installation
from tests.releases.frozen import FrozenHome

RELEASE = "0.1.0"
KINDS = {
    "submitted",
    "claimed",
    "validated",
    "compiled",
    "executed",
    "uploaded",
    "completed",
    "failed",
    "cancel_requested",
    "cancelled",
    "lease_expired",
    "retried",
    "revived",
    "withdrawn",
    "refused",
}
STATES = {
    "QUEUED",
    "CLAIMED",
    "VALIDATED",
    "COMPILED",
    "EXECUTED",
    "UPLOADED",
    "DONE",
    "ERROR",
    "CANCELLED",
    "WITHDRAWN",
}
FINAL = {"DONE", "ERROR", "CANCELLED", "WITHDRAWN"}
SAID = ("backend", "user", "project", "priority", "state", "status", "detail", "error_message", "attempt", "failures")


@pytest.fixture
def home(tmp_path: Path) -> FrozenHome:
    """The home, unpacked; its database is still to be filled."""
    return FrozenHome.of(RELEASE, tmp_path / "frozen")


def settings_of(home: FrozenHome, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the settings with which the home is opened in this process."""
    for name, value in home.settings.items():
        monkeypatch.setenv(name, value)
    return Settings.read()


def rows(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    """Return what a query finds."""
    with reading(engine) as connection:
        return [tuple(row) for row in connection.execute(text(query))]


EVENTS = (
    "SELECT job_id, seq, attempt, kind, data, recorded_at, actor, flow_run_id, prev_hash, hash"
    " FROM event ORDER BY job_id, seq"
)


def test_the_home_holds_every_kind_of_event_and_state(home: FrozenHome):
    """What was frozen is all that the release could write: each kind of event, and jobs in each state."""
    url = f"sqlite:///{home.folder / 'quledger.db'}"
    home.fill(url)
    engine = open_database(url)
    assert {kind for (kind,) in rows(engine, "SELECT kind FROM event")} == KINDS
    assert {state for (state,) in rows(engine, "SELECT state FROM job")} == STATES


def test_it_is_upgraded_verified_and_restored(
    home: FrozenHome, fresh: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
):
    """After the migrations all events are as they were written, nothing differs, and the mirror gives the same log.

    What waited, or was in a dead worker's hands, is claimed again.
    """
    url = fresh("quledger")
    home.fill(url)
    engine = open_database(url)
    monkeypatch.setenv("QULEDGER_DATABASE", url)
    services = Services(settings_of(home, monkeypatch))
    assert rows(engine, "SELECT version_num FROM alembic_version") == [(HEAD,)]
    heads = rows(
        engine, "SELECT e.job_id, e.hash FROM event AS e JOIN job ON e.job_id = job.job_id AND e.seq = job.seq"
    )
    assert dict(heads) == {job_id: said["last_hash"] for job_id, said in home.expected.items()}

    verifier = Verifier(engine, services.stores, signatures_of=services.signers.signatures)
    assert [str(finding) for finding in verifier.all()] == []
    assert verifier.jobs == len(home.expected)

    again = open_database(fresh("restored"))
    storages = [open_storage(storage) for storage in services.settings.storages.values()]
    restore(again, *storages)
    assert rows(again, EVENTS) == rows(engine, EVENTS)
    folds = "SELECT * FROM job ORDER BY job_id"
    assert rows(again, folds) == rows(engine, folds)

    expire_leases(services)
    later = EventLog(engine, lambda: clock.now() + timedelta(hours=1))
    left = {job_id: said["listed"] for job_id, said in home.expected.items() if said["listed"]["state"] not in FINAL}
    backends = sorted({listed["backend"] for listed in left.values()})
    served = iter(lambda: later.claim(backends, "w", clock.now() + timedelta(hours=2)), None)
    assert {job.job_id for job in served} == {job_id for job_id in left if not left[job_id]["cancel_requested"]}
    assert {later.get(job_id).state for job_id in left if left[job_id]["cancel_requested"]} == {State.CANCELLED}
    services.log.engine.dispose()
    engine.dispose()
    again.dispose()


@pytest.mark.parametrize("fresh", ["sqlite"], indirect=True)
def test_a_drain_goes_on_with_its_jobs(home: FrozenHome, fresh: Callable[[str], str], prefect_api: str):
    """What ended stays as the release told it; what waited or was in a dead worker's hands comes to its end."""
    url = fresh("quledger")
    home.fill(url)
    installation = Installation(home.folder / "lab-of-the-test", prefect_api)
    installation.environment |= home.settings | {"QULEDGER_DATABASE": url}
    installation.run("drain", "--until-empty")
    listed = {job["job_id"]: job for job in installation.json("list", "--limit", "1000")}
    for job_id, said in home.expected.items():
        before = said["listed"]
        if before["state"] in FINAL:
            assert {name: listed[job_id][name] for name in SAID} == {name: before[name] for name in SAID}
        else:
            wanted = "CANCELLED" if before["cancel_requested"] else "DONE"
            assert (job_id, listed[job_id]["state"]) == (job_id, wanted)
    assert "no differences" in installation.run("verify", "--no-prefect").stdout
