"""The one place that wires settings to the log, the storage and the sandbox.

It stands below the flows, because each flow run, wherever it was started, opens its services here.
"""

import contextlib
import logging
import os
import socket
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import cached_property

from models.errors import StorageError, StorageInactive, StorageRefused
from models.job import Job
from models.retry import RetryPolicy
from models.settings import Settings
from storage.audit.rollback import Rollback
from storage.documents.cursor import MirrorCursor
from storage.documents.inbox import Inbox
from storage.documents.locks import JobLocks, Locks
from storage.documents.marks import Marks
from storage.documents.postgres_locks import PostgresJobLocks
from storage.documents.relay import Relay
from storage.log.database import open_database
from storage.log.event_log import EventLog
from storage.log.holds import Holds
from storage.providers.protocol import StorageProvider
from storage.providers.registry import open_storage, probe
from storage.providers.stores import Opener, Stores
from storage.signatures.key_file import KeyFile
from storage.signatures.public_keys import PublicKeys, PublicKeysEverywhere
from storage.signatures.signer import Signer
from storage.signatures.signing import Signatures
from tasks.backends import registry
from tasks.jobs.claims import Claims
from tasks.jobs.wall_clock import Wall
from tasks.prefect_settings import import_prefect, prepare
from tasks.sandbox.job_process import Limits, Sandbox

_LOG = logging.getLogger("quledger.services")

BLOCK = "block://"
"""Begins the URL of a storage whose login Prefect keeps."""


@dataclass
class Services:
    """Everything a flow needs, made from the settings on first use.

    Attributes:
        worker: the name under which this process claims jobs; of no other one, on whatever machine, before or after.
        claims: what this process has claimed and not seen the end of.
        wall: says whether leases may be judged by the clock.
        stopping: set when this process is to end: no more jobs are claimed.
        on_final: called with each job that this process brought to its end.
        unserved: what the last drain left behind for somebody to put right, a sentence each.
    """

    settings: Settings
    worker: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:16]}")
    on_final: Callable[[Job], None] = lambda _job: None
    claims: Claims = field(default_factory=Claims)
    wall: Wall = field(default_factory=Wall)
    stopping: threading.Event = field(default_factory=threading.Event)
    unserved: list[str] = field(default_factory=list)
    _sandbox: Sandbox | None = None
    _borrowers: int = 0
    _signers: dict[str, tuple[StorageProvider, Signer]] = field(default_factory=dict)

    def open(self) -> None:
        """Open the log and the storages and look for the keys now, so that what is wrong is said at once.

        One of several storages that cannot be used is only warned of: it holds up no other.

        Raises:
            BadSetting: one of them cannot be what the settings say.
            LogUnavailable: the database cannot be used now.
            StorageUnavailable: no storage answers now.
            StorageRefused: the storage does not let us in.
            KeyUnusable: a backend signs and has no key that can be used.
        """
        _ = self.log
        self.keys.check(registry.names())
        failed: list[StorageError] = []
        for name, url in self.settings.storages.items():
            if url.startswith(BLOCK) and "PREFECT_API_URL" not in os.environ:
                continue  # the Prefect that keeps it is still to be started
            try:
                probe(self.stores.of(name))
            except StorageInactive:
                continue
            except StorageError as error:
                failed.append(error)
        if failed and len(failed) == len(self.settings.storages):
            raise failed[0]
        for each in failed:
            _LOG.warning("storage_unusable action=go_on: %s", each)

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
        troubles: dict[str, StorageError] = {}
        for name in asked:
            try:
                probe(self.stores.of(name))
            except StorageInactive:
                continue
            except StorageError as error:
                troubles[name] = error
        refused = [trouble for trouble in troubles.values() if isinstance(trouble, StorageRefused)]
        if refused and len(refused) == len(asked):
            raise refused[0]
        if len(asked) > 1:
            for trouble in troubles.values():
                _LOG.warning("storage_unusable action=go_on: %s", trouble)
        return list(troubles)

    @cached_property
    def log(self) -> EventLog:
        """The event log."""
        return EventLog(open_database(self.settings.database_url))

    @cached_property
    def cursor(self) -> MirrorCursor:
        """How far the mirror has come."""
        return MirrorCursor(self.log.engine)

    @cached_property
    def stores(self) -> Stores:
        """Where front ends put jobs and read results."""
        return open_stores(self.settings)

    @cached_property
    def keys(self) -> Signer:
        """The keys with which backends sign, published in all storages."""
        return self._signer(PublicKeysEverywhere(self.stores))

    def signer(self, name: str) -> Signer:
        """Return what signs results and configurations in the storage of this name.

        Raises:
            StorageUnavailable: it cannot be used now.
        """
        storage = self.stores.of(name)
        made = self._signers.get(name)
        # A storage that was opened anew may be another one.
        if made is None or made[0] is not storage:
            made = self._signers[name] = storage, self._signer(PublicKeys(storage))
        return made[1]

    def signatures(self, name: str) -> Signatures:
        """Return what checks signatures in the storage of this name, with the keys of this machine too."""
        return self.signer(name).signatures()

    def _signer(self, published: PublicKeys) -> Signer:
        file = KeyFile(self.settings.folder / "keys")
        return Signer(file, published, which=self.settings.sign, given=self.settings.signing_key)

    @cached_property
    def relay(self) -> Relay:
        """The relay from the log to the storage."""
        return Relay(self.log, self.cursor, self.stores, self.locks, self.marks)

    @cached_property
    def marks(self) -> Marks:
        """How far the log has come, told to the storages."""
        return Marks(self.log.engine, self.stores)

    @cached_property
    def rollback(self) -> Rollback:
        """What sees that the log went back in time."""
        return Rollback(self.log, self.stores, self.marks)

    @cached_property
    def holds(self) -> Holds:
        """The jobs of which a mirror knows more than the log."""
        return Holds(self.log.engine)

    @cached_property
    def locks(self) -> Locks:
        """The locks of jobs; they reach as far as the log: over this machine, or over all that use one server."""
        if self.log.engine.dialect.name == "postgresql":
            return PostgresJobLocks(self.log.engine)
        return JobLocks(self.settings.folder / "locks")

    @cached_property
    def inboxes(self) -> dict[str, Inbox]:
        """The queue folders of each storage, by its name."""
        return {
            name: Inbox(
                self.log,
                self.stores,
                name,
                max_bytes=self.settings.max_document_bytes,
                settle_seconds=self.settings.settle_seconds,
            )
            for name in self.stores.names
        }

    @contextlib.asynccontextmanager
    async def sandboxed(self) -> AsyncIterator[Sandbox]:
        """Lend what forks child processes for jobs: one for all that run in this process at the same time.

        It ends with the last of its borrowers, whoever came first. A worker or a drain is one of them for all of its life.
        """
        if self._sandbox is None:
            self._sandbox = Sandbox()
        sandbox = self._sandbox
        self._borrowers += 1
        try:
            yield sandbox
        finally:
            self._borrowers -= 1
            if not self._borrowers:
                self._sandbox = None  # whoever comes while it ends gets a new one
                await sandbox.close()

    @property
    def limits(self) -> Limits:
        """What one job may use in its child process."""
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


def open_stores(settings: Settings) -> Stores:
    """Return the storages of the settings; each is opened when it is first used."""
    return Stores({name: _opener(url) for name, url in settings.storages.items()})


def _opener(url: str) -> Opener:
    if url.startswith(BLOCK):
        return _block_opener(url)
    lock = threading.Lock()
    opened: list[StorageProvider] = []

    def open_once() -> StorageProvider:
        with lock:
            if not opened:
                opened.append(open_storage(url))
            return opened[0]

    return open_once


def _block_opener(url: str) -> Opener:
    made: list[Opener] = []

    def open_block() -> StorageProvider:
        if not made:
            # Prefect takes seconds to import, and some commands need it for nothing else.
            prepare(settings := Settings.read())
            import_prefect(settings)
            from tasks.prefect_block import BlockOpener  # noqa: PLC0415

            made.append(BlockOpener(url))
        return made[0]()

    return open_block


TELLTALES = ("websockets", "botocore", "aiobotocore", "s3fs", "pymongo", "urllib3", "dropbox")
"""Libraries that write headers or commands, with the passwords in them, into their DEBUG logs."""


_services: Services | None = None


def current() -> Services:
    """Return the services of this process, opened from its environment at the first call."""
    if _services is None:
        use(Services(Settings.read()))
    assert _services is not None  # noqa: S101 - for the type checker
    return _services


def use(services: Services | None) -> None:
    """Make these the services of this process; None forgets them, so that the next call opens them anew."""
    global _services  # noqa: PLW0603 - a process has one environment, so it has one set of services
    _services = services
    for name in TELLTALES:
        logging.getLogger(name).setLevel(logging.INFO)
