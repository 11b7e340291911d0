"""A storage of ours under the names and with the errors of sqooler's storage providers."""

import json
from typing import Any

from models.errors import BadName, DocumentExists, DocumentMissing
from models.names import check_job_id
from storage.providers.protocol import StorageProvider


class SqoolerNames:
    """`upload`, `get`, `update`, `move`, `delete` and `get_file_queue`, over any storage."""

    def __init__(self, storage: StorageProvider) -> None:
        self._storage = storage

    def upload(self, content_dict: dict[str, Any], storage_path: str, job_id: str) -> None:
        """Write a new document."""
        try:
            self._storage.create(_path(storage_path, job_id), json.dumps(content_dict).encode())
        except DocumentExists:
            raise FileExistsError(job_id) from None

    def get(self, storage_path: str, job_id: str) -> Any:
        """Return a document."""
        try:
            return json.loads(self._storage.get(_path(storage_path, job_id)))
        except DocumentMissing:
            raise FileNotFoundError(job_id) from None

    def update(self, content_dict: dict[str, Any], storage_path: str, job_id: str) -> None:
        """Replace a document."""
        self.get(storage_path, job_id)
        self._storage.put(_path(storage_path, job_id), json.dumps(content_dict).encode())

    def move(self, start_path: str, final_path: str, job_id: str) -> None:
        """Move a document."""
        try:
            self._storage.move(_path(start_path, job_id), _path(final_path, job_id))
        except DocumentMissing:
            raise FileNotFoundError(job_id) from None

    def delete(self, storage_path: str, job_id: str) -> None:
        """Remove a document."""
        self.get(storage_path, job_id)
        self._storage.delete(_path(storage_path, job_id))

    def get_file_queue(self, storage_path: str) -> list[str]:
        """Return the ids of the documents in a folder."""
        names = (entry.name for entry in self._storage.entries(storage_path.strip("/")) if entry.regular)
        return [name.removesuffix(".json") for name in names]


def _path(storage_path: str, job_id: str) -> str:
    try:
        return f"{storage_path.strip('/')}/{check_job_id(job_id)}.json"
    except BadName:
        raise FileNotFoundError(job_id) from None
