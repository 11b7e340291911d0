"""What lies in a storage and belongs to no job of the log."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Engine, bindparam, text

from models.audit import Finding, check_history
from models.errors import DocumentMissing, echo
from models.events import UNKNOWN
from models.names import NO_JOB_DOCUMENT, is_display_name, is_job_id
from models.sync_copies import COPY, copied_from
from storage import layout
from storage.audit.not_yet import claims_an_end
from storage.log.database import reading
from storage.log.histories import history_of, tolerate_corruption
from storage.log.holds import Holds
from storage.providers.protocol import Entry, StorageProvider

BATCH = 200
"""Documents about which the log is asked at once."""

_BACKEND_FOLDERS = ("events", "status", "results", "jobs/queued", "jobs/finished")
_SHARED_FOLDERS = (layout.RUNNING, layout.DELETED)

_OWNERS = text(
    "SELECT DISTINCT event.job_id, job.backend, job.storage FROM event LEFT JOIN job ON job.job_id = event.job_id"
    " WHERE event.job_id IN :ids"
).bindparams(bindparam("ids", expanding=True))


class Owner(NamedTuple):
    """Whose a job is; None where the view does not say."""

    backend: str | None
    storage: str | None


class ForeignDocuments:
    """Looks through one storage.

    Args:
        names: those by which its jobs know it.
    """

    def __init__(self, engine: Engine, storage: StorageProvider, names: set[str]) -> None:
        self._engine = engine
        self._storage = storage
        self._names = names
        # Jobs that only the mirror knows; their other documents follow the history, which is to be taken over.
        self._ahead: set[str] = set()

    def all(self) -> Iterator[Finding]:
        """Yield each document that no job of the log accounts for."""
        for top in _BACKEND_FOLDERS:  # the histories first
            for entry in self._storage.entries(top):
                if entry.regular or not is_display_name(entry.name):
                    yield from _foreign_entry(f"{top}/{entry.name}", entry)
                else:
                    yield from self._folder(f"{top}/{entry.name}", entry.name)
        for folder in _SHARED_FOLDERS:
            yield from self._folder(folder, None)
        yield from self._staged()

    def _staged(self) -> Iterator[Finding]:
        """Yield what lies in the folder of staged results and is of no job, or of no worker that a job has had."""
        for batch in _batches(self._storage.entries(layout.STAGED)):
            known = self._owners(layout.staged_for(entry.name) for entry in batch)
            for entry in batch:
                job_id = layout.staged_for(entry.name)
                path = f"{layout.STAGED}/{entry.name}"
                if job_id in self._ahead and entry.regular:
                    continue
                if job_id not in known or not entry.regular:
                    yield from _foreign_entry(path, entry)
                elif (where := self._elsewhere(path, job_id, known[job_id])) is not None:
                    yield where
                elif path != layout.taken(job_id) and not self._may_be_staged(path, job_id):
                    message = f"{path} is there, and no attempt of the job can have staged it"
                    yield Finding(job_id=job_id, what="staged", message=message)

    def _folder(self, folder: str, backend: str | None) -> Iterator[Finding]:
        """Yield what is foreign in one folder; in a folder of a backend, jobs of other backends are."""
        for batch in _batches(self._storage.entries(folder)):
            known = self._owners(entry.name.removesuffix(".json") for entry in batch)
            held = self._held(each for entry in batch if (each := entry.name.removesuffix(".json")) not in known)
            for entry in batch:
                path = f"{folder}/{entry.name}"
                job_id = entry.name.removesuffix(".json")
                if not entry.regular or job_id == entry.name or not is_job_id(job_id):
                    yield from _foreign_entry(path, entry)
                elif job_id in known:
                    owner = known[job_id]
                    if backend is not None and owner.backend not in (backend, None):
                        message = f"{path} is there, and the job is of the backend {owner.backend}"
                        yield Finding(job_id=job_id, what="foreign", message=message)
                    elif (where := self._elsewhere(path, job_id, owner)) is not None:
                        yield where
                elif job_id in held and folder.startswith("events/"):
                    self._ahead.add(job_id)
                    yield Finding(job_id=job_id, what="ahead", message=f"{UNKNOWN}; run `quledger restore`")
                elif job_id in self._ahead:
                    continue
                elif not self._is_new(folder, backend, job_id):
                    of = None if backend is None else self._copied_from(backend, job_id)
                    which = "a job that the log does not know" if of is None else f"nobody, a copy of one of {of}"
                    yield Finding(job_id=job_id, what="foreign", message=f"{path} is of {which}")

    def _elsewhere(self, path: str, job_id: str, owner: Owner) -> Finding | None:
        """Return what is wrong with a document whose job has its documents in another storage."""
        if owner.storage is None or owner.storage in self._names:
            return None
        message = f"{path} is there, and the job is of the storage {echo(owner.storage)}"
        return Finding(job_id=job_id, what="foreign", message=message)

    def _may_be_staged(self, path: str, job_id: str) -> bool:
        """Say whether some holder of the job stages its result there; a history that is broken is named elsewhere."""
        with reading(self._engine) as connection, tolerate_corruption(connection):
            events, fault = check_history(job_id, history_of(connection, job_id))[1:]
        return fault is not None or path in layout.all_staged(events)

    def _is_new(self, folder: str, backend: str | None, job_id: str) -> bool:
        """Say whether a front end has just handed in the job: it waits in the inbox, perhaps with its status."""
        if backend is None or folder.partition("/")[0] not in ("jobs", "status") or folder.startswith("jobs/finished"):
            return False
        if self._copied_from(backend, job_id) is not None:
            return False
        if self._storage.exists(layout.queued(backend, job_id)):
            return not (folder.startswith("status/") and self._has_ended(backend, job_id))
        # While we looked it may have been taken into the log.
        return bool(self._owners([job_id]))

    def _copied_from(self, backend: str, job_id: str) -> str | None:
        """Return whose document a program that keeps folders in step has copied; None if it is no copy."""
        return copied_from(
            job_id, lambda of: bool(self._owners([of])) or self._storage.exists(layout.queued(backend, of))
        )

    def _has_ended(self, backend: str, job_id: str) -> bool:
        """Say whether somebody has written that a job has ended which is still to be taken into the log."""
        try:
            return claims_an_end(self._storage.get(layout.status(backend, job_id))) and not self._owners([job_id])
        except DocumentMissing:
            return False

    def _held(self, job_ids: Iterable[str]) -> set[str]:
        """Return those of the ids, unknown to the log, of which it is known that a mirror has their history."""
        return Holds(self._engine).among(job_id for job_id in job_ids if is_job_id(job_id))

    def _owners(self, job_ids: Iterable[str]) -> dict[str, Owner]:
        """Return those of the ids that the log knows, each with the job's backend and storage."""
        wanted = [job_id for job_id in job_ids if is_job_id(job_id)]
        if not wanted:
            return {}
        with reading(self._engine) as connection, tolerate_corruption(connection):
            return {
                job_id: Owner(backend, storage)
                for job_id, backend, storage in connection.execute(_OWNERS, {"ids": wanted})
            }


def _foreign_entry(path: str, entry: Entry) -> Iterator[Finding]:
    # What begins with a dot is half a document of a writer that was killed; no reader takes it for one.
    if not entry.name.startswith("."):
        why = ""
        if path.startswith("jobs/queued/"):
            of = copied_from(entry.name.removesuffix(".json"), lambda _: False) if entry.regular else None
            why = f", and is never run: {NO_JOB_DOCUMENT if of is None else COPY.format(of=of)}"
        yield Finding(job_id="", what="foreign", message=f"{echo(path)[1:-1]} is no document of Quledger{why}")


def _batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
