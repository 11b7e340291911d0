"""What `quledger verify`, `prune`, `rebuild` and `restore` do. None of them starts Prefect."""

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from deployments.processes.logs import DRAIN, SERVER, WORKER, Errors
from flows.prefect_api.client import PrefectSilent, prefect_runs
from flows.prefect_api.retention import prune
from models import clock
from models.audit import Finding, Run
from models.errors import BadSetting, StorageError, UnknownJob
from models.job import FINAL
from models.settings import Settings
from storage.audit.rebuild import rebuild
from storage.audit.restore import Fork, restore
from storage.audit.verify import Verifier
from storage.log.database import open_database
from storage.log.event_log import EventLog
from storage.providers.protocol import StorageProvider
from storage.providers.registry import open_storage
from tasks.services import Services

MAX_DAYS = 36500


class Verification:
    """One run of `quledger verify`.

    Attributes:
        silent: why Prefect was not compared; empty where it was, or was not asked.
    """

    def __init__(self, *, prefect: bool | None) -> None:
        """Open the log and the storage.

        Args:
            prefect: compare with Prefect; None does so where `PREFECT_API_URL` is set.
        """
        self._settings = Settings.read()
        self._engine = open_database(self._settings.database_url, existing=True)
        self._url = os.environ.get("PREFECT_API_URL", "")
        if prefect and not self._url:
            raise BadSetting("PREFECT_API_URL is not set; it says where Prefect can be asked")
        self.silent = ""
        runs_of = self._runs_of if self._url and prefect is not False else None
        services = Services(self._settings)
        self._verifier = Verifier(self._engine, services.stores, runs_of, services.signers.signatures)

    @property
    def jobs(self) -> int:
        """How many jobs were compared so far."""
        return self._verifier.jobs

    @property
    def incomplete(self) -> bool:
        """Whether a storage was not compared though nobody has switched it off."""
        return bool(self._verifier.unanswered)

    @property
    def left_out(self) -> list[str]:
        """What was not compared so far, and why, a sentence each."""
        return [*self._verifier.left_out.values()]

    @property
    def notes(self) -> list[str]:
        """What was taken on trust so far, a sentence each."""
        return self._verifier.notes

    @property
    def logged(self) -> list[str]:
        """Which logs in the home have errors of the last day, a sentence each."""
        logs = (self._settings.folder / name for name in (SERVER, WORKER, DRAIN))
        return Errors(*logs, since=clock.now() - timedelta(days=1)).all()

    def findings(self, job_id: str | None) -> Iterator[Finding]:
        """Yield what differs of one job, or of all."""
        return self._verifier.all() if job_id is None else self._verifier.job(job_id)

    def _runs_of(self, job_ids: list[str]) -> list[Run]:
        if self.silent:
            return []
        try:
            return prefect_runs(self._url, job_ids)
        except PrefectSilent as error:
            self.silent = str(error)
            return []


def prune_here(days: float) -> dict[str, int]:
    """Delete runs in Prefect that ended longer ago than so many days."""
    url = os.environ.get("PREFECT_API_URL", "")
    if not url:
        raise BadSetting(
            "PREFECT_API_URL is not set; it says where Prefect can be asked. An embedded server prunes itself"
        )
    if not 0 <= days <= MAX_DAYS:
        raise BadSetting(f"say a number of days from 0 to {MAX_DAYS}")
    log = EventLog(open_database(Settings.read().database_url, existing=True))

    def has_ended(job_id: str) -> bool:
        try:
            return log.get(job_id).state in FINAL
        except UnknownJob:
            return False

    pruned = prune(url, clock.now() - timedelta(days=days), has_ended)
    return {"deleted": pruned.runs, "left": pruned.left}


def rebuild_here() -> dict[str, int]:
    """Make the views of this installation's log anew."""
    return rebuild(open_database(Settings.read().database_url, existing=True))


class Restored(NamedTuple):
    """What `quledger restore` did.

    Attributes:
        counts: jobs and events that were taken over.
        forks: jobs of which log and mirror each held what the other did not.
        left_out: storages that could not be read: name -> why.
    """

    counts: dict[str, int]
    forks: list[Fork]
    left_out: dict[str, str]


def restore_here(urls: list[str] | None, *, mirror_wins: bool = False) -> Restored:
    """Bring this installation's log up to the storages at these URLs, or to those of the settings."""
    settings = Settings.read()
    stores = Services(settings).stores
    left_out: dict[str, str] = {}
    storages: dict[str, StorageProvider] = {}
    known = {url: name for name, url in settings.storages.items()}
    ours = urls is None or all(url in known for url in urls)
    for name, url in [(known.get(url, url), url) for url in urls] if urls else settings.storages.items():
        try:
            storages[name] = stores.of(name) if name in stores.names else open_storage(url)
        except StorageError as error:
            left_out[name] = str(error)
            if len(left_out) == len(urls or stores.names):
                raise
    forks: list[Fork] = []
    counts = restore(
        open_database(settings.database_url),
        *storages.values(),
        names=[name if name in stores.names else "" for name in storages],
        forks=forks,
        left_out=left_out,
        mirror_wins=mirror_wins,
        ours=ours,
    )
    return Restored(counts, forks, left_out)
