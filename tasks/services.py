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

from models.job import Job
from models.retry import RetryPolicy
from models.settings import Settings
from storage.cursor import MirrorCursor
from storage.database import open_database
from storage.event_log import EventLog
from storage.inbox import Inbox
from storage.keys import KeyFile
from storage.locks import JobLocks, Locks
from storage.mirror import Mirror
from storage.opening import open_storage
from storage.postgres_locks import PostgresJobLocks
from storage.provider import StorageProvider
from storage.public_keys import PublicKeys
from storage.signer import Signer
from tasks import backends as registry
from tasks.sandbox import Limits, Sandbox


@dataclass
class Services:
    """Everything a flow needs, made from the settings on first use.

    Attributes:
        worker: the name under which this process claims jobs.
        claimed: what this process has claimed and not seen the end of.
        stopping: set when this process is to end: no more jobs are claimed.
        on_final: called with each job that this process brought to its end.
    """

    settings: Settings
    worker: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}")
    on_final: Callable[[Job], None] = lambda _job: None
    claimed: dict[str, Job] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    _sandbox: Sandbox | None = None

    def open(self) -> None:
        """Open the log and the storage and look for the keys now, so that what is wrong with them is said at once."""
        _ = self.log, self.storage
        self.signer.check(registry.names())

    @cached_property
    def log(self) -> EventLog:
        """The event log."""
        return EventLog(open_database(self.settings.database_url))

    @cached_property
    def cursor(self) -> MirrorCursor:
        """How far the mirror has come."""
        return MirrorCursor(self.log.engine)

    @cached_property
    def storage(self) -> StorageProvider:
        """Where front ends put jobs and read results."""
        return open_storage(self.settings.storage_url)

    @cached_property
    def signer(self) -> Signer:
        """What signs results and configurations."""
        return signer(self.settings, self.storage)

    @cached_property
    def mirror(self) -> Mirror:
        """The relay from the log to the storage."""
        return Mirror(self.log, self.cursor, self.storage, self.locks)

    @cached_property
    def locks(self) -> Locks:
        """The locks of jobs; they reach as far as the log: over this machine, or over all that use one server."""
        if self.log.engine.dialect.name == "postgresql":
            return PostgresJobLocks(self.log.engine)
        return JobLocks(self.settings.folder / "locks")

    @cached_property
    def inbox(self) -> Inbox:
        """The queue folders of the storage."""
        return Inbox(
            self.log,
            self.storage,
            max_bytes=self.settings.max_document_bytes,
            settle_seconds=self.settings.settle_seconds,
        )

    @contextlib.asynccontextmanager
    async def sandboxed(self) -> AsyncIterator[Sandbox]:
        """Give the server that forks a child process for each job; a drain shares one among all its runs."""
        if self._sandbox is not None:
            yield self._sandbox
            return
        async with Sandbox() as sandbox:
            self._sandbox = sandbox
            try:
                yield sandbox
            finally:
                self._sandbox = None

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


def signer(settings: Settings, storage: StorageProvider) -> Signer:
    """Return what signs, and checks signatures, for one storage."""
    file = KeyFile(settings.folder / "keys")
    return Signer(file, PublicKeys(storage), which=settings.sign, given=settings.signing_key)


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
