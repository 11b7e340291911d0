"""The storage that front ends and Quledger share: one document at a time, addressed by a relative path.

A path is segments joined by `/`, such as `jobs/queued/singlequdit/<id>.json`; `storage.layout` makes them all.
`docs/adding-storages-and-events.md` says what else a new kind of storage needs.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, Protocol

from models.errors import DocumentMissing


class Entry(NamedTuple):
    """One document in a folder.

    Attributes:
        name: last segment of its path.
        size: in bytes.
        modified_at: when it was last written (UTC).
        regular: False for whatever is not a plain document (a directory, a link).
    """

    name: str
    size: int
    modified_at: datetime
    regular: bool = True


class Abilities(NamedTuple):
    """What a storage guarantees beyond the plain reading and writing of one document.

    Attributes:
        conditional_create: of several `create` of one path at once, exactly one succeeds.
        atomic_move: of several `move` of one document at once, exactly one succeeds, and what a killed one left is put
            right by the next move of the document. Without it a move copies and deletes. Killed in between it
            leaves a copy at both places, and the next move from here to there finishes it: it raises `DocumentMissing`,
            as for anybody who comes too late. With `conditional_create`, of several movers to *one* free place exactly
            one succeeds; movers to different places may all succeed. Quledger takes each document by way of one place,
            under the job's lock, and the relay removes copies; a copy that a paused worker brings back later cannot end
            the job a second time, since the log refuses its events.
        exact_bytes: what is written is read back byte by byte; otherwise as the same JSON value, in bytes that are a
            function of that value.
        whole_documents: nobody sees a part of a document, whoever writes it, front ends included. In a folder they
            write bit by bit, so the inbox waits there for a document that is no JSON to settle.
    """

    conditional_create: bool = True
    atomic_move: bool = True
    exact_bytes: bool = True
    whole_documents: bool = False


class StorageProvider(Protocol):
    """What a storage can do. Several threads use one object at once.

    Every method may raise `StorageUnavailable`; then it may or may not have happened. Each may raise `StorageRefused`
    where trying again cannot help; then it has not happened. What writes may raise `StorageFull` where there is no room
    now, and `DocumentTooLarge` where there never will be.
    """

    @property
    def url(self) -> str:
        """Where the storage is, without secrets."""
        ...

    @property
    def abilities(self) -> Abilities:
        """What it guarantees; where it lacks one, the fence of the log still keeps each job from ending twice."""
        ...

    def get(self, path: str) -> bytes:
        """Return the document.

        Raises:
            DocumentMissing: there is none.
        """
        ...

    def put(self, path: str, content: bytes) -> None:
        """Write the document; a reader sees the old one or the new one, never a part."""
        ...

    def create(self, path: str, content: bytes) -> None:
        """Write the document only if there is none yet; of several at once, one succeeds.

        Raises:
            DocumentExists: there is one.
        """
        ...

    def move(self, source: str, target: str) -> None:
        """Move a document; of several at once, one succeeds. What lay at the target is replaced.

        Raises:
            DocumentMissing: there is none at the source.
        """
        ...

    def delete(self, path: str) -> None:
        """Remove the document; it is no error if there is none."""
        ...

    def exists(self, path: str) -> bool:
        """Say whether a document lies there."""
        ...

    def entries(self, folder: str) -> Iterator[Entry]:
        """Yield what lies in the folder, in no order, page by page; nothing where there is no folder.

        A folder in it, which is but a part of paths, is an entry that is not regular.
        """
        ...


def get_or_none(storage: StorageProvider, path: str) -> bytes | None:
    """Return the document, None where there is none."""
    try:
        return storage.get(path)
    except DocumentMissing:
        return None
