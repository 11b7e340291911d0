"""What lies in a store of the jobs that another spooler served: read, and nothing changed."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from models.adoption import Found
from models.names import dated_id, is_display_name, is_job_id
from models.results import fault_of_document, unlike_json
from models.signing import is_signed, named_key, unwrapped
from models.status import StatusDocument
from storage import layout
from storage.providers.protocol import StorageProvider, get_or_none

Place = Literal["queued", "running", "finished", "deleted"]

_OF_BACKENDS: dict[str, Place | Literal["status"]] = {
    "jobs/queued": "queued",
    "jobs/finished": "finished",
    "status": "status",
}
_SHARED: dict[str, Place] = {layout.RUNNING: "running", layout.DELETED: "deleted"}
_ORDER = ("queued", "running", "finished", "deleted")


class Survey:
    """The jobs of one store.

    Args:
        served: names of the backends of this installation.
        wanted: of the backends whose jobs are looked at; empty for all.
    """

    def __init__(self, storage: StorageProvider, served: Collection[str], wanted: Collection[str] = ()) -> None:
        self._storage, self._served, self._wanted = storage, served, wanted
        self._backends: dict[str, str] = {}
        self._places: dict[str, set[str]] = defaultdict(set)
        self._since: dict[str, datetime] = {}

    def jobs(self) -> Iterator[Found]:
        """Yield what lies there of each job, by its id; what is not named like a job is left alone."""
        for top, place in _OF_BACKENDS.items():
            for folder in self._storage.entries(top):
                if not folder.regular and is_display_name(folder.name):
                    self._note(f"{top}/{folder.name}", place, folder.name)
        for folder_of_all, place in _SHARED.items():
            self._note(folder_of_all, place, "")
        for job_id in sorted(self._places):
            backend = self._backend(job_id)
            if not self._wanted or backend in self._wanted:
                yield self._found(job_id, backend)

    def _note(self, folder: str, place: str, backend: str) -> None:
        for entry in self._storage.entries(folder):
            job_id = entry.name.removesuffix(".json")
            if entry.regular and job_id != entry.name and is_job_id(job_id):
                self._places[job_id].add(place)
                self._since[job_id] = min(entry.modified_at, self._since.get(job_id, entry.modified_at))
                if backend:
                    self._backends.setdefault(job_id, backend)

    def _backend(self, job_id: str) -> str:
        dated = dated_id(job_id)
        return self._backends.get(job_id) or (dated.backend if dated else "")

    def _found(self, job_id: str, backend: str) -> Found:
        status = self.status(backend, job_id)
        return Found(
            job_id,
            backend,
            is_served=backend in self._served,
            places=tuple(place for place in _ORDER if place in self._places[job_id]),
            since=self._since[job_id],
            status=status.status if status else "",
            has_result=self.result(backend, job_id) is not None,
        )

    def status(self, backend: str, job_id: str) -> StatusDocument | None:
        """Return the status of a job; None where there is none that can be read."""
        content = get_or_none(self._storage, layout.status(backend, job_id)) if backend else None
        try:
            found = None if content is None else json.loads(content)
            status = None if found is None or unlike_json(found) else StatusDocument.model_validate(found)
        except (ValidationError, ValueError, RecursionError):
            return None
        return status if status is not None and status.job_id == job_id else None

    def result(self, backend: str, job_id: str) -> bytes | None:
        """Return the result of a job; None where there is none that is whole."""
        content = get_or_none(self._storage, layout.result(backend, job_id)) if backend else None
        try:
            lies_there = None if content is None else json.loads(content)
        except (ValueError, RecursionError):
            return None
        if is_signed(lies_there) and named_key(lies_there) is None:
            return None
        document: Any = unwrapped(lies_there)
        is_whole = isinstance(document, dict) and document.get("job_id") == job_id and not fault_of_document(document)
        return content if is_whole else None
