"""How far the log has come, told to each storage in advance, so that a log that went back in time is seen at once.

The log has a name and a mark, a number that only grows. Before a process mirrors anything it raises the mark in the
database, and writes the new one into the storage then; it does so again every few seconds for as long as it mirrors.
So the mark in a storage is never above that of its log, whatever is killed between the two, unless the database is an
older copy. Two copies from within the same few seconds cannot be told apart by it: what differs then is found when the
first document of an attempt is written, as everything else is.
"""

import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, select, update

from models import clock
from models.audit import Finding
from models.errors import DocumentMissing, QuledgerError
from storage import failpoints, layout
from storage.log.database import reading, writing
from storage.log.tables import LogMarkRow
from storage.providers.protocol import StorageProvider
from storage.providers.stores import Stores

_MARK: Any = LogMarkRow.__table__  # type: ignore[attr-defined]
_GET = select(_MARK.c.log_id, _MARK.c.mark, _MARK.c.marked_at)

_LOG = logging.getLogger("quledger.marks")

SECONDS = 5.0
"""So long a mark covers what is mirrored."""


class Mark(NamedTuple):
    """Which log it is, how far it has come, and when that was (UTC, as text; empty before the first)."""

    log_id: str
    mark: int
    marked_at: str


class Marks:
    """The marks that this process makes."""

    def __init__(self, engine: Engine, stores: Stores) -> None:
        self._engine = engine
        self._stores = stores
        self._lock = threading.Lock()
        # Of each storage that was compared with the log: when it was marked last, on the steady clock.
        self._marked: dict[str, float] = {}
        self._unmarked: set[str] = set()
        self._newest = 0

    def is_compared(self, name: str) -> bool:
        """Say whether the log was compared with the storage of this name, and has not gone back since."""
        return self._stores.full(name) in self._marked

    def ours(self) -> Mark:
        """Return the mark of the log."""
        with reading(self._engine) as connection:
            return mark_of(connection)

    def compared(self, name: str) -> None:
        """Remember that the log was compared with this storage, and mark it."""
        self._mark(self._stores.full(name))

    def before_writing(self, name: str) -> None:
        """Make sure that what is mirrored now is covered by a mark.

        A storage that this process has not compared is left alone: its mark may be the only trace of what was lost.
        """
        name = self._stores.full(name)
        marked = self._marked.get(name)
        if marked is None:
            return
        self._unmarked.add(name)
        if time.monotonic() - marked >= SECONDS:
            self._mark(name)

    def compare(self) -> None:
        """See whether the log has gone back behind the last mark of this process, also where nothing is written."""
        with self._lock:
            if self.ours().mark < self._newest:
                self._gone_back()

    def _gone_back(self) -> None:
        """Have every storage compared with the log again."""
        self._marked.clear()
        self._newest = 0

    def end(self) -> None:
        """Mark what was written since the last marks, so that a copy that is made from now on is no older."""
        for name in list(self._unmarked):
            try:
                self._mark(name)
            except QuledgerError as error:
                # What was mirrored is mirrored; without the mark only a later look finds out.
                _LOG.warning("mark_failed action=go_on: %s", error)

    def _mark(self, name: str) -> None:
        storage = self._stores.of(name)
        there = mark_in(storage)  # before the log's: marks only grow
        if there is None and name in self._marked:
            self._stores.doubt(name)  # it may have been emptied, or its disk unmounted
            storage = self._stores.of(name)
        with self._lock, writing(self._engine) as connection:
            ours = mark_of(connection)
            if ours.mark < self._newest or (
                name in self._marked and there is not None and there.log_id == ours.log_id and there.mark > ours.mark
            ):
                # Under our eyes. Its mark is not raised, or it might come to be the one that was lost.
                self._gone_back()
                return
            connection.execute(update(_MARK).values(mark=_MARK.c.mark + 1, marked_at=clock.to_text(clock.now())))
            mark = mark_of(connection)
        self._newest = mark.mark
        failpoints.point("mark.raised")
        storage.put(layout.MARK, json.dumps({"version": 1, **mark._asdict()}).encode("utf-8"))
        failpoints.point("mark.written")
        self._marked[name] = time.monotonic()
        self._unmarked.discard(name)


def mark_of(connection: Connection) -> Mark:
    """Return the mark of the log, within a transaction."""
    return Mark(*connection.execute(_GET).one())


def rolled_back(engine: Engine, storage: StorageProvider) -> Iterator[Finding]:
    """Yield that a storage was written by a later state of the log, or by another log."""
    there = mark_in(storage)  # before the log's: marks only grow
    with reading(engine) as connection:
        ours = mark_of(connection)
    if there is None:
        return
    if there.log_id != ours.log_id and there.mark:
        told = "since; `quledger reconcile` compares what it holds with this one"
        if not ours.mark:
            told = "and this one never has; if that one is lost, run `quledger restore`"
        yield Finding(job_id="", what="ahead", message=f"another log has written the storage {told}")
    elif there.mark > ours.mark:
        message = (
            f"the log went back in time: the storage was written up to mark {there.mark},"
            f" and the log is at {ours.mark}; run `quledger restore`"
        )
        yield Finding(job_id="", what="ahead", message=message)


def take_over(connection: Connection, mark: Mark) -> None:
    """Go on from the mark of a storage, which is never lowered."""
    ours = mark_of(connection)
    if ours.log_id == mark.log_id and ours.mark >= mark.mark:
        return
    marked_at = clock.to_text(clock.now())
    values = {"log_id": mark.log_id, "mark": max(mark.mark, ours.mark), "marked_at": marked_at}
    connection.execute(update(_MARK).values(**values))


def mark_in(storage: StorageProvider) -> Mark | None:
    """Return the mark that lies in a storage; None where there is none that can be read."""
    try:
        document: Any = json.loads(storage.get(layout.MARK))
        mark = Mark(document["log_id"], document["mark"], document["marked_at"])
    except (DocumentMissing, ValueError, RecursionError, TypeError, KeyError):
        return None
    sound: bool = type(document["log_id"]) is str and type(document["mark"]) is int
    return mark if sound else None
