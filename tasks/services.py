"""The one place that wires settings to the log, the storage and the sandbox.

It stands below the flows, because each flow run, wherever it was started, opens its services here. Services are handed
on as an argument: `current` is called where a process, a flow or a command begins, and nowhere below. Each part is
imported when it is first asked for: most commands need the log alone.
"""

import functools
import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from sqlalchemy import Engine, make_url

from models.errors import BadSetting, StorageError, StorageRefused, echo
from models.job import Job
from models.retry import RetryPolicy
from models.settings import BLOCK, Settings
from storage.documents.expected import expect_ours
from storage.log.database import open_database
from storage.log.event_log import EventLog
from storage.log.sqlite import is_open_to_others
from storage.providers.protocol import StorageProvider
from storage.providers.registry import keep_logins_out_of_logs, open_storage
from storage.providers.stores import Opener, Stores, once
from tasks.backends import registry
from tasks.jobs.wall_clock import Wall
from tasks.prefect_settings import import_prefect, prepare

if TYPE_CHECKING:
    from storage.audit.rollback import Rollback
    from storage.documents.inbox import Inboxes
    from storage.documents.locks import Locks
    from storage.documents.marks import Marks
    from storage.documents.relay import Relay
    from storage.identity.calibrations import Calibrations
    from storage.identity.directory import Directory
    from storage.identity.stream_mirror import Written
    from storage.log.holds import Holds
    from storage.log.mirror_cursor import MirrorCursor
    from storage.signatures.signer import Signer, Signers
    from tasks.block_storages import BlockFinder
    from tasks.jobs.claims import Claims
    from tasks.sandbox.job_process import SharedSandbox
    from tasks.sandbox.rlimits import Limits

_LOG = logging.getLogger("quledger.services")

FIRST_STATUS_SECONDS = 2.0
"""So long after a job came by the inbox its front end may take to write its first status."""


def _worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:16]}"


@dataclass(frozen=True, eq=False)
class Services:
    """Everything a flow needs, made from the settings on first use.

    Nothing here changes: what changes in the life of a process belongs to one of the objects that are wired here.

    Attributes:
        worker: the name under which this process claims jobs; of no other one, on whatever machine, before or after.
        wall: says whether leases may be judged by the clock.
        stopping: set when this process is to end: no more jobs are claimed.
        on_final: called with each job that a drain in this process brought to its end.
        on_progress: called with a sentence now and then while a drain does what takes long.
        on_unserved: called with what a drain left behind for somebody to put right, a sentence each.
    """

    settings: Settings
    worker: str = field(default_factory=_worker_name)
    wall: Wall = field(default_factory=Wall)
    stopping: threading.Event = field(default_factory=threading.Event)
    on_final: Callable[[Job], None] = lambda _job: None
    on_progress: Callable[[str], None] = lambda _line: None
    on_unserved: Callable[[list[str]], None] = lambda _reasons: None

    def open(self, *, patient: bool = False) -> None:
        """Open the log and the storages and look for the keys now, so that what is wrong is said at once.

        One of several storages that cannot be used is only warned of: it holds up no other.

        Args:
            patient: only warn also where no storage can be used: it may come to be.

        Raises:
            BadSetting: one of them cannot be what the settings say.
            LogUnavailable: the database cannot be used now.
            StorageUnavailable: no storage answers now.
            StorageRefused: the storage does not let us in.
            KeyUnusable: a backend signs and has no key that can be used.
        """
        _ = self.claims  # and with them the log; made once, before there are threads that might make them twice
        _warn_of_readers(self.log.engine)
        known = registry.names()
        _check_names(self.settings, known)
        self.keys.check(known)
        storages = self.settings.storages
        # The Prefect that keeps the others may still have to be started.
        askable = [
            name for name, url in storages.items() if "PREFECT_API_URL" in os.environ or not url.startswith(BLOCK)
        ]
        troubles = self.stores.troubles(askable)
        if len(troubles) == len(storages) and not patient:
            raise next(iter(troubles.values()))
        _warn_of(troubles)

    def check_access(self, *names: str) -> list[str]:
        """Make sure that storages let us in; that one does not answer now is no obstacle to what is only in the log.

        One of several that refuses is warned of: it holds up no other.

        Args:
            names: of the storages; without any, those of the settings.

        Returns:
            The names of those that cannot be used now and are not switched off.

        Raises:
            StorageRefused: not one of them does, and trying again will not help.
        """
        asked = names or tuple(self.stores.names)
        troubles = self.stores.troubles(asked)
        refused = [trouble for trouble in troubles.values() if isinstance(trouble, StorageRefused)]
        if len(refused) == len(asked):
            raise refused[0]
        if len(asked) > 1:
            _warn_of(troubles)
        return list(troubles)

    @cached_property
    def log(self) -> EventLog:
        """The event log."""
        return EventLog(open_database(self.settings.database_url))

    @cached_property
    def directory(self) -> "Directory":
        """The users, projects and devices, in the same database."""
        from storage.identity.directory import Directory

        return Directory(self.log.engine)

    @cached_property
    def calibrations(self) -> "Calibrations":
        """The configurations and calibrations of backends, as they were from time to time."""
        from storage.identity.calibrations import Calibrations

        return Calibrations(self.directory, self.worker)

    @cached_property
    def claims(self) -> "Claims":
        """What this process has claimed and not seen the end of."""
        from tasks.jobs.claims import Claims

        return Claims(self.log, self.worker, self.settings)

    @cached_property
    def cursor(self) -> "MirrorCursor":
        """How far the mirror has come."""
        from storage.log.mirror_cursor import MirrorCursor

        return MirrorCursor(self.log.engine)

    @cached_property
    def stores(self) -> Stores:
        """Where front ends put jobs and read results."""
        openers = {name: self._opener(url) for name, url in self.settings.storages.items()}
        find = self._find_blocks if self.settings.takes_every_block else None
        stores = Stores(openers, find, functools.partial(expect_ours, self.settings.database_url))
        stores.find()
        return stores

    def _find_blocks(self) -> Mapping[str, Opener]:
        # Not asked for before there may be an answer: Prefect takes seconds to import.
        return self._block_finder() if "PREFECT_API_URL" in os.environ else {}

    @cached_property
    def _block_finder(self) -> "BlockFinder":
        prepare(self.settings)
        import_prefect(self.settings)
        from tasks.block_storages import BlockFinder

        return BlockFinder()

    def _opener(self, url: str) -> Opener:
        if not url.startswith(BLOCK):
            return once(functools.partial(open_storage, url))

        @functools.cache
        def opener() -> Opener:
            # Prefect takes seconds to import, and some commands need it for nothing else.
            prepare(self.settings)
            import_prefect(self.settings)
            from tasks.block_storages import BlockOpener

            return BlockOpener(url)

        def open_block() -> StorageProvider:
            return opener()()

        return open_block

    @cached_property
    def signers(self) -> "Signers":
        """What signs results and configurations, by storage."""
        from storage.signatures.key_file import KeyFile
        from storage.signatures.signer import Signers

        file = KeyFile(self.settings.folder / "keys")
        return Signers(self.stores, file, which=self.settings.sign, given=self.settings.signing_key)

    @cached_property
    def sandbox(self) -> "SharedSandbox":
        """What forks child processes for jobs, lent to all that run them."""
        from tasks.sandbox.job_process import SharedSandbox

        return SharedSandbox(_kept_secret(self.settings))

    @cached_property
    def keys(self) -> "Signer":
        """The keys with which backends sign, published in all storages."""
        return self.signers.everywhere()

    @cached_property
    def relay(self) -> "Relay":
        """The relay from the log to the storage."""
        from storage.documents.relay import Relay

        return Relay(self.log, self.cursor, self.stores, self.locks, self.marks, FIRST_STATUS_SECONDS)

    @cached_property
    def streams_written(self) -> "Written":
        """Which streams of backends this process has mirrored."""
        return {}

    @cached_property
    def marks(self) -> "Marks":
        """How far the log has come, told to the storages."""
        from storage.documents.marks import Marks

        return Marks(self.log.engine, self.stores)

    @cached_property
    def rollback(self) -> "Rollback":
        """What sees that the log went back in time."""
        from storage.audit.rollback import Rollback

        return Rollback(self.log, self.stores, self.marks)

    @cached_property
    def holds(self) -> "Holds":
        """The jobs of which a mirror knows more than the log."""
        from storage.log.holds import Holds

        return Holds(self.log.engine)

    @cached_property
    def locks(self) -> "Locks":
        """The locks of jobs; they reach as far as the log: over this machine, or over all that use one server."""
        if self.log.engine.dialect.name == "postgresql":
            from storage.documents.postgres_locks import PostgresJobLocks

            return PostgresJobLocks(self.log.engine)
        from storage.documents.locks import JobLocks

        return JobLocks(self.settings.folder / "locks")

    @cached_property
    def inboxes(self) -> "Inboxes":
        """The queue folders of each storage, by its name, made when they are first asked for."""
        from storage.documents.inbox import Inboxes

        return Inboxes(self.log, self.stores, self.settings)

    @property
    def limits(self) -> "Limits":
        """What one job may use in its child process."""
        from tasks.sandbox.rlimits import Limits

        return Limits(
            cpu_seconds=self.settings.cpu_seconds,
            wall_seconds=self.settings.wall_seconds,
            memory_mb=self.settings.memory_mb,
            answer_mb=self.settings.result_mb,
        )

    @property
    def retries(self) -> RetryPolicy:
        """How often and how patiently a job is tried."""
        return RetryPolicy(self.settings.max_attempts, self.settings.retry_seconds)


def _kept_secret(settings: Settings) -> tuple[str, ...]:
    """Return the files and folders of the settings that no job may read, wherever they lie."""
    paths = [urlsplit(url).path for url in settings.storages.values() if url.startswith("file:")]
    database = make_url(settings.database_url)
    if database.get_backend_name() == "sqlite" and database.database:
        paths += [database.database + end for end in ("", "-wal", "-shm")]
    named = [os.fsdecode(unquote_to_bytes(os.fsencode(path))) for path in paths]
    return tuple(os.path.abspath(path) for path in (str(settings.folder), *named))


def _check_names(settings: Settings, known: list[str]) -> None:
    for setting, names in (("DISPATCH", settings.dispatch), ("MOST_AT_ONCE", settings.most_at_once)):
        if unknown := sorted(set(names) - set(known)):
            raise BadSetting(
                f"QULEDGER_{setting}: no backend is called {', '.join(map(echo, unknown))};"
                f" there are: {', '.join(known)}"
            )


def _warn_of_readers(engine: Engine) -> None:
    """Warn of a file that an older release has made for everybody to read: it holds hashes of tokens, and secrets."""
    if engine.dialect.name == "sqlite" and is_open_to_others(path := Path(str(engine.url.database))):
        _LOG.warning(
            "database_open_to_others action=go_on: everybody here may read %s; say chmod o-rwx %s*", path, path
        )


def _warn_of(troubles: dict[str, StorageError]) -> None:
    for trouble in troubles.values():
        _LOG.warning("storage_unusable action=go_on: %s", trouble)


_services: Services | None = None


def current() -> Services:
    """Return the services of this process, opened from its environment at the first call."""
    if _services is None:
        use(services := Services(Settings.read()))
        return services
    return _services


def use(services: Services | None) -> None:
    """Make these the services of this process; None forgets them, so that the next call opens them anew."""
    global _services  # noqa: PLW0603 - a process has one environment, so it has one set of services
    _services = services
    keep_logins_out_of_logs()
