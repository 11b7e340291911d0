"""A storage that tells what is wrong in the words of whoever has set it up."""

import contextlib
from collections.abc import Callable, Iterator

from models.errors import StorageInactive, StorageRefused, StorageUnavailable
from storage.providers.beside import Sweepable
from storage.providers.protocol import Abilities, Entry, StorageProvider


class InWords:
    """Hands everything on to another storage.

    Args:
        said: makes of what the other one says what is to be said.
    """

    def __init__(self, storage: StorageProvider, said: Callable[[str], str]) -> None:
        self._storage, self._said = storage, said

    @contextlib.contextmanager
    def _telling(self) -> Iterator[StorageProvider]:
        try:
            yield self._storage
        except StorageInactive:
            raise
        except (StorageUnavailable, StorageRefused) as error:
            error.args = (self._said(str(error)),)
            raise

    @property
    def url(self) -> str:
        """Where the storage is, without secrets."""
        return self._storage.url

    @property
    def abilities(self) -> Abilities:
        """What it guarantees."""
        return self._storage.abilities

    def get(self, path: str) -> bytes:
        """Return the document."""
        with self._telling() as storage:
            return storage.get(path)

    def put(self, path: str, content: bytes) -> None:
        """Write the document."""
        with self._telling() as storage:
            storage.put(path, content)

    def create(self, path: str, content: bytes) -> None:
        """Write the document only if there is none yet."""
        with self._telling() as storage:
            storage.create(path, content)

    def move(self, source: str, target: str) -> None:
        """Move a document."""
        with self._telling() as storage:
            storage.move(source, target)

    def delete(self, path: str) -> None:
        """Remove the document."""
        with self._telling() as storage:
            storage.delete(path)

    def exists(self, path: str) -> bool:
        """Say whether a document lies there."""
        with self._telling() as storage:
            return storage.exists(path)

    def entries(self, folder: str) -> Iterator[Entry]:
        """Yield what lies in the folder."""
        with self._telling() as storage:
            yield from storage.entries(folder)

    def sweep(self, age: float) -> int:
        """Remove the halves of documents that are so many seconds old; return how many there were."""
        with self._telling() as storage:
            return storage.sweep(age) if isinstance(storage, Sweepable) else 0
