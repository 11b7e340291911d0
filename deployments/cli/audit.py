"""The commands that compare and repair: `verify`, `prune`, `rebuild`, `restore`. None of them starts Prefect."""

import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any

from cyclopts import Parameter

from deployments.cli.output import Json, print_output
from models import clock
from models.audit import Finding, Run
from models.errors import BadSetting, StorageError, UnknownJob
from models.job import FINAL
from models.settings import BLOCK, Settings
from models.words import count_of, no_or_count_of
from storage.audit import rebuild as rebuilding
from storage.audit import restore as restoring
from storage.audit.verify import PATIENCE, Verifier
from storage.log.database import open_database
from storage.log.event_log import EventLog
from storage.providers.protocol import StorageProvider
from storage.providers.registry import open_storage
from storage.providers.stores import Stores
from tasks.log_files import DRAIN, SERVER, WORKER, LogErrors
from tasks.services import Services

MAX_DAYS = 36500

NO_USERS = (
    "There are no users, projects or tokens: they are in no mirror. Add them again, or put back a copy that "
    "`quledger db backup` has made"
)
"""For whoever finds out only when nobody can sign in any more."""


def verify(job_id: str | None = None, *, prefect: bool | None = None, as_json: Json = False) -> int:
    """Compare the log with itself, its views, the storage and Prefect; end with code 3 if anything differs.

    Args:
        job_id: Only this job, by its id or the beginning of it; otherwise all of them, and
            every document that belongs to none.
        prefect: Compare with Prefect; by default where PREFECT_API_URL is set.
    """
    verification = Verification(prefect=prefect)
    findings = []
    count = 0
    for finding in verification.findings(job_id):
        count += 1
        if as_json:
            findings.append(finding.model_dump())
        else:
            print(finding)
    value = {
        "jobs": verification.jobs,
        "findings": findings,
        "prefect": verification.silent or None,
        "left_out": verification.left_out,
        "notes": verification.notes,
        "logged": verification.logged,
    }
    lines = [f"not compared: {reason}" for reason in verification.left_out]
    lines += [f"note: {note}" for note in verification.notes]
    differ = no_or_count_of(count, "difference")
    lines.append(f"{count_of(verification.jobs, 'job')} verified: {differ}")
    print_output(value, lambda: print("\n".join(lines)), as_json=as_json)
    if verification.silent:
        print(f"quledger: {verification.silent}", file=sys.stderr)
    for sentence in verification.logged:
        print(f"quledger: within a day: {sentence}", file=sys.stderr)
    return 3 if count else 1 if verification.silent or verification.incomplete else 0


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
        self._verifier = Verifier(
            self._engine, services.stores, runs_of, services.signers.signatures, patience=PATIENCE
        )

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
        return LogErrors(*logs, since=clock.now() - timedelta(days=1)).all()

    def findings(self, job_id: str | None) -> Iterator[Finding]:
        """Yield what differs of one job, or of all."""
        return self._verifier.all() if job_id is None else self._verifier.job(self._meant(job_id))

    def _meant(self, text: str) -> str:
        try:
            return EventLog(self._engine).id_of(text)
        except UnknownJob:
            return text  # something of it may be left elsewhere

    def _runs_of(self, job_ids: list[str]) -> list[Run]:
        if self.silent:
            return []
        from flows.prefect_api.client import PrefectSilent, prefect_runs  # noqa: PLC0415 - where Prefect is asked at all

        try:
            return prefect_runs(self._url, job_ids)
        except PrefectSilent as error:
            self.silent = str(error)
            return []


def prune(*, days: float = 30, as_json: Json = False) -> int:
    """Delete old runs in Prefect's own database, which PREFECT_API_URL names. The event log keeps all of its history.

    Args:
        days: Runs that ended longer ago than so many days are deleted.
    """
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

    from flows.prefect_api import retention  # noqa: PLC0415 - only this command asks Prefect to delete

    pruned = retention.prune(url, clock.now() - timedelta(days=days), has_ended)
    deleted = count_of(pruned.runs, "run")
    text = f"deleted {deleted} that ended more than {days:g} days ago; left {pruned.left} of unknown jobs"
    print_output({"deleted": pruned.runs, "left": pruned.left}, lambda: print(text), as_json=as_json)
    return 0


def rebuild(*, as_json: Json = False) -> int:
    """Make the views of the log anew from its events; nothing else is changed. Stop the drains before."""
    counts = rebuilding.rebuild(open_database(Settings.read().database_url, existing=True))
    text = f"rebuilt {count_of(counts['jobs'], 'job')} from {count_of(counts['events'], 'event')}"
    print_output(counts, lambda: print(text), as_json=as_json)
    return 0


def restore(
    *,
    source: Annotated[list[str] | None, Parameter(name="--from")] = None,
    mirror_wins: Annotated[bool, Parameter(negative="")] = False,
    as_json: Json = False,
) -> int:
    """Bring the log up to the histories in the storages: an empty one gets all of them, or nothing.

    Args:
        source: URL of a storage; may be repeated. Without it, the storages of the settings.
        mirror_wins: Where log and mirror each hold what the other does not, take over the mirror's events and set the
            log's aside, even if these have ended the job.
    """
    settings = Settings.read()
    services = Services(settings)
    stores = services.stores
    storages, left_out = _open_storages(settings, stores, source or [])
    forks: list[restoring.Fork] = []
    counts = restoring.restore(
        open_database(settings.database_url),
        *storages.values(),
        names=[name if name in stores.names else "" for name in storages],
        forks=forks,
        left_out=left_out,
        mirror_wins=mirror_wins,
        ours=source is None or set(source) <= set(settings.storages.values()),
    )
    lines = [f"not read: {name}: {reason}" for name, reason in left_out.items()]
    lines += [fork.message for fork in forks]
    is_nothing = not (counts["jobs"] or counts["events"] or forks or left_out)
    told = ": the log has all that the storages hold" if is_nothing else ""
    lines.append(f"restored {count_of(counts['jobs'], 'job')} with {count_of(counts['events'], 'event')}{told}")
    if counts["jobs"] and not services.directory.users():
        lines.append(NO_USERS)
    lines.append("Next: quledger reconcile")
    value: dict[str, Any] = {**counts, "forks": [fork._asdict() for fork in forks], "left_out": left_out}
    print_output(value, lambda: print("\n".join(lines)), as_json=as_json)
    unsettled = not all(fork.settled for fork in forks)
    if unsettled:
        print("quledger: jobs stay held; look at them, then `quledger restore --mirror-wins`", file=sys.stderr)
    return 1 if unsettled or left_out else 0


def _open_storages(
    settings: Settings, stores: Stores, urls: list[str]
) -> tuple[dict[str, StorageProvider], dict[str, str]]:
    """Open the storages at these URLs, or those of the settings.

    Returns:
        Name (or URL, of one that the settings do not name) -> storage; and name -> why it could not be opened.

    Raises:
        StorageError: not one of them could be opened.
    """
    found = {BLOCK + name: name for name in stores.names if name not in settings.storages}
    names = found | {url: name for name, url in settings.storages.items()}
    storages: dict[str, StorageProvider] = {}
    left_out: dict[str, str] = {}
    for name, url in [(names.get(url, url), url) for url in urls] or [(name, "") for name in stores.names]:
        try:
            storages[name] = stores.of(name) if name in stores.names else open_storage(url)
        except StorageError as error:
            left_out[name] = str(error)
            if len(left_out) == len(urls or stores.names):
                raise
    return storages, left_out
