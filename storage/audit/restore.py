"""The log brought up to the mirrored histories: made again from nothing, or given what it lacks."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, delete, insert, select, text

from models import clock
from models.audit import check_history
from models.errors import (
    InputError,
    MirrorBroken,
    StorageError,
    StorageRefused,
    StorageUnavailable,
    echo,
)
from models.events import Event, Standing, hashes, is_harmless, standing
from models.identity.streams import backend_stream
from models.job import Job
from models.names import is_display_name, is_job_id
from storage import layout
from storage.documents.job_documents import history_rows
from storage.documents.marks import mark_in, mark_of, take_over
from storage.identity.stream_mirror import take_over as take_over_stream
from storage.log import usage
from storage.log.database import writing
from storage.log.dialects import Turn, dialect_of
from storage.log.holds import Held, put, release
from storage.log.rows import event_row, job_row
from storage.log.tables import EventRow, JobRow, MirrorRow, SetAsideRow
from storage.providers.protocol import StorageProvider

BATCH = 200
"""Jobs that are written at once; no more than that many are in memory ..."""

BATCH_BYTES = 16_000_000
"""... and no more than so many bytes of histories, with the last one on top."""

_VIEWS = ("job", "mirror", "lease")
_EVENT: Any = EventRow.__table__  # type: ignore[attr-defined]
_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]
_MIRROR: Any = MirrorRow.__table__  # type: ignore[attr-defined]
_ADD_EVENT = insert(_EVENT)
_ADD_JOB = insert(_JOB)
_ADD_CURSOR = insert(_MIRROR)
_ADD_SET_ASIDE = insert(SetAsideRow.__table__)  # type: ignore[attr-defined]
_OURS = (
    select(_EVENT.c.job_id, _EVENT.c.hash)
    .where(_EVENT.c.job_id.in_(bindparam("job_ids", expanding=True)))
    .order_by(_EVENT.c.job_id, _EVENT.c.seq)
)
_BEHIND_FORK = select(_EVENT).where(_EVENT.c.job_id == bindparam("job_id"), _EVENT.c.seq >= bindparam("seq"))
_DROP_EVENTS = delete(_EVENT).where(_EVENT.c.job_id == bindparam("job_id"), _EVENT.c.seq >= bindparam("seq"))


class LogNotEmpty(InputError):
    """The mirror belongs to another laboratory than the database does."""

    def __init__(self) -> None:
        super().__init__(
            "the database holds jobs already, and none of them is in that mirror;"
            " set QULEDGER_DATABASE or QULEDGER_HOME to restore elsewhere"
        )


class Fork(NamedTuple):
    """A job of which log and mirror each hold events that the other does not.

    Attributes:
        settled: whether the mirror's were taken over, and the log's set aside.
        message: one sentence.
    """

    job_id: str
    settled: bool
    message: str


def restore(  # noqa: PLR0913 - what may be said of it, and what may be wrong with it
    engine: Engine,
    *storages: StorageProvider,
    names: Sequence[str] = (),
    forks: list[Fork] | None = None,
    left_out: dict[str, str] | None = None,
    mirror_wins: bool = False,
    ours: bool = False,
) -> dict[str, int]:
    """Take over what the histories in these mirrors know and the log does not, in one transaction.

    An empty log gets every history. One that is behind gets the events that it lacks; what it knows and the mirror does
    not is left as it is. Where both know what the other does not, the mirror's events are the ones that were published:
    they are taken over, and the log's are set aside in a table of their own, if nobody was told of these and they
    decide nothing, or if `mirror_wins`. A fork that is not settled stays held.

    The documents of each job that was changed count as behind afterwards: nothing says that the mirror was whole but
    for its histories, or that the log will go on with this storage.

    Args:
        names: of the storages, in the words of the settings; where it is known.
        forks: gets each job on which log and mirror did not agree.
        left_out: gets the storages that could not be read, if there are others: name or URL -> why.
        mirror_wins: settle every fork for the mirror.
        ours: the mirrors are known to be of this log, even if they share no job with it.

    Returns:
        How many jobs and events were taken over.

    Raises:
        LogNotEmpty: the log holds jobs, and none of them is in these mirrors.
        MirrorBroken: names everything that is wrong with the mirrors.
    """
    refused: dict[str, StorageError] = {}
    jobs = events = shared = 0
    found: list[Fork] = []
    with writing(engine, exclusive=True) as connection:
        empty = _is_empty(connection)
        for storage, name in zip_longest(storages, names):
            restoration = _Restoration(connection, storage, name or "", empty=empty, mirror_wins=mirror_wins)
            try:
                with connection.begin_nested():
                    restoration.run()
            except MirrorBroken:
                raise
            except (StorageUnavailable, StorageRefused) as error:
                refused[name or storage.url] = error
                continue
            jobs, events = jobs + restoration.jobs, events + restoration.events
            shared += restoration.shared
            found += restoration.forks
        if refused and (left_out is None or len(refused) == len(storages)):
            raise next(iter(refused.values()))
        if empty and not jobs and not refused:
            raise MirrorBroken(", ".join(storage.url for storage in storages), ["events/: there are no histories"])
        if not (empty or ours or shared) and jobs:
            raise LogNotEmpty
        if jobs:
            usage.remake(connection)
    if forks is not None:
        forks += found
    if left_out is not None:
        left_out |= {name: str(error) for name, error in refused.items()}
    return {"jobs": jobs, "events": events}


def _is_empty(connection: Connection) -> bool:
    """Say whether the log holds no event.

    Raises:
        LogNotEmpty: it holds none, and yet something else.
    """
    if connection.execute(text("SELECT 1 FROM event LIMIT 1")).first():
        return False
    for table in _VIEWS:
        if connection.execute(text(f"SELECT 1 FROM {table} LIMIT 1")).first():  # noqa: S608 - our own names
            raise LogNotEmpty
    return True


class _Restoration:
    """One pass over a mirror; good histories are taken over as they come, so that a second one is noticed."""

    def __init__(
        self, connection: Connection, storage: StorageProvider, name: str, *, empty: bool, mirror_wins: bool
    ) -> None:
        self._connection = connection
        self._storage = storage
        self._name = name
        self._empty = empty
        self._mirror_wins = mirror_wins
        self._batch: dict[str, tuple[Job, list[Event], str]] = {}
        self._batch_bytes = 0
        # In a log that was not empty, an id that is there already says nothing.
        self._met: set[str] = set()
        self.faults: list[str] = []
        self.forks: list[Fork] = []
        self.jobs = 0
        self.events = 0
        self.shared = 0

    def run(self) -> None:
        """Read all histories of all backends."""
        for backend in self._backends():
            for entry in self._storage.entries(f"events/{backend}"):
                if entry.name.startswith("."):
                    continue  # half a document of a writer that was killed
                path = f"events/{backend}/{entry.name}"
                job_id = entry.name.removesuffix(".json")
                if not entry.regular or job_id == entry.name or not is_job_id(job_id):
                    self._fault(path, "it is no history of a job")
                else:
                    self._read(path, backend, job_id)
        self._flush()
        self._take_streams()
        if self.faults:
            raise MirrorBroken(self._storage.url, sorted(self.faults))
        mark = mark_in(self._storage)
        if mark is not None and (self._empty or mark.log_id == mark_of(self._connection).log_id):
            take_over(self._connection, mark)

    def _take_streams(self) -> None:
        """Take over what the mirror knows of pauses and calibrations of backends."""
        dialect_of(self._connection).in_turn(self._connection, Turn.CONTROL)
        for entry in self._storage.entries(layout.STREAMS):
            backend = entry.name.removesuffix(".json")
            if entry.name.startswith(".") or not entry.regular or not is_display_name(backend):
                continue
            path = f"{layout.STREAMS}/{entry.name}"
            try:
                if said := take_over_stream(self._connection, self._storage, backend):
                    self.forks.append(Fork(backend_stream(backend), settled=False, message=said))
            except (ValueError, RecursionError) as error:
                self._fault(path, str(error) if type(error) is ValueError else "it is not JSON")

    def _backends(self) -> Iterator[str]:
        for entry in self._storage.entries("events"):
            if is_display_name(entry.name) and not entry.regular:
                yield entry.name
            elif not (entry.name.startswith(".") and entry.regular):
                self._fault(f"events/{entry.name}", "it is no folder of a backend")

    def _read(self, path: str, backend: str, job_id: str) -> None:
        content = self._storage.get(path)
        try:
            rows = history_rows(content, job_id)
        except (ValueError, RecursionError) as error:
            self._fault(path, str(error) if type(error) is ValueError else "it is not JSON")
            return
        checked = check_history(job_id, rows)
        if checked.job is None or checked.fault is not None:
            self._fault(path, checked.fault or "it has no events")
        elif checked.job.backend != backend:
            self._fault(path, f"the job is of the backend {checked.job.backend}")
        else:
            if job_id in self._batch:
                self._flush()
            self._batch[job_id] = (checked.job, checked.events, path)
            self._batch_bytes += len(content)
            if len(self._batch) == BATCH or self._batch_bytes > BATCH_BYTES:
                self._flush()

    def _flush(self) -> None:
        """Take over what the batch knows and the log does not."""
        ours: dict[str, list[str]] = {}
        for job_id, event_hash in self._connection.execute(_OURS, {"job_ids": list(self._batch)}):
            ours.setdefault(job_id, []).append(event_hash)
        new: list[tuple[Job, list[Event]]] = []
        longer: list[tuple[Job, list[Event]]] = []
        free: list[str] = []
        for job_id, (job, events, path) in self._batch.items():
            if job_id in self._met or (self._empty and job_id in ours):
                self._fault(path, "another history has the same job id")
                continue
            stands = standing(hashes(events), ours.get(job_id, []))
            self.shared += stands.common > 0
            if not self._empty:
                self._met.add(job_id)
            if stands.is_fork and not self._give_way(job, stands):
                continue
            free.append(job_id)
            if stands.ours == 0:
                new.append((job, events))
            elif stands.why:
                longer.append((job, events[stands.common :]))
        self._write(new, longer)
        release(self._connection, free)
        self._batch = {}
        self._batch_bytes = 0

    def _write(self, new: list[tuple[Job, list[Event]]], longer: list[tuple[Job, list[Event]]]) -> None:
        """Append events to the log, and make the views of their jobs anew."""
        found = new + longer
        if not found:
            return
        ids = {"job_ids": [job.job_id for job, _ in longer]}
        for table in _VIEWS if longer else ():
            drop = text(f"DELETE FROM {table} WHERE job_id IN :job_ids")  # noqa: S608 - our own names
            self._connection.execute(drop.bindparams(bindparam("job_ids", expanding=True)), ids)
        self._connection.execute(_ADD_EVENT, [event_row(event) for _, events in found for event in events])
        self._connection.execute(_ADD_JOB, [job_row(job) for job, _ in found])
        self._connection.execute(_ADD_CURSOR, [self._cursor(job) for job, _ in found])
        self.jobs += len(found)
        self.events += sum(len(events) for _, events in found)

    def _give_way(self, job: Job, stands: Standing) -> bool:
        """Set aside what only the log holds of a job, if that may be; say whether it was."""
        where = {"job_id": job.job_id, "seq": stands.common}
        rows = [dict(row) for row in self._connection.execute(_BEHIND_FORK, where).mappings()]
        kinds = [str(row["kind"]) for row in sorted(rows, key=lambda row: int(row["seq"]))]
        said = (
            f"job {job.job_id}: from event {stands.common} on the log holds {', '.join(kinds)},"
            " and the mirror other events"
        )
        settled = self._mirror_wins or is_harmless(kinds)
        if not settled:
            put(self._connection, [Held(job.job_id, self._name, stands.why)])
            self.forks.append(Fork(job.job_id, settled, f"{said}; it stays held"))
            return False
        now = clock.to_text(clock.now())
        self._connection.execute(_ADD_SET_ASIDE, [row | {"set_aside_at": now} for row in rows])
        self._connection.execute(_DROP_EVENTS, where)
        self.forks.append(Fork(job.job_id, settled, f"{said}; the mirror's were taken over, the log's set aside"))
        return True

    def _cursor(self, job: Job) -> dict[str, Any]:
        """Return a cursor at the beginning, which knows where the job document was left."""
        usual = layout.place(job)
        lies = (path for path in (usual, *layout.places(job)) if self._storage.exists(path))
        return {"job_id": job.job_id, "seq": -1, "place": next(lies, ""), "behind": True}

    def _fault(self, path: str, why: str) -> None:
        self.faults.append(f"{echo(path)[1:-1]}: {why}")
