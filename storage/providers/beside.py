"""Documents that are written beside their place first: how they are called, and what a disk says that has no room."""

import errno
import os
import re
import uuid
from typing import Protocol, runtime_checkable

from models.errors import DocumentTooLarge, StorageError, StorageFull
from storage.providers.protocol import StorageProvider

SWEPT_AFTER = 3600.0
"""So many seconds after its last change the half of a document is that of a writer that was killed."""

_BESIDE = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")
_MOST_OF_NAME = 255 - len(f"..{uuid.UUID(int=0).hex}.tmp")
"""Bytes; a file's name has 255, and a document whose own name fits has to be written."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_TOO_LARGE = frozenset({errno.EFBIG})


def beside_name(name: str) -> str:
    """Return a new name beside a document's. A leading dot and .tmp: no reader of the layout takes it for one."""
    short = os.fsencode(name)[:_MOST_OF_NAME].decode("utf-8", "ignore")
    return f".{short}.{uuid.uuid4().hex}.tmp"


def is_beside(name: str) -> bool:
    """Say whether a file's name is one of these."""
    return _BESIDE.fullmatch(name) is not None


def shortage(error: BaseException, path: str, size: int) -> StorageError | None:
    """Return what it means that a system has no room for a document of `size` bytes; None for any other error."""
    number = error.errno if isinstance(error, OSError) else None
    if number in _NO_ROOM:
        return StorageFull(f"the storage has no room for {path} ({size} bytes): No space left; free some space", size)
    if number in _TOO_LARGE:
        return DocumentTooLarge(f"the storage takes no document as large as {path} ({size} bytes)", size)
    return None


@runtime_checkable
class Sweepable(Protocol):
    """A storage in which killed writers leave halves of documents."""

    def sweep(self, age: float) -> int:
        """Remove those that are so many seconds old; return how many there were."""


def sweep(storage: StorageProvider) -> int:
    """Remove what killed writers have left in a storage; return how many halves of documents there were."""
    return storage.sweep(SWEPT_AFTER) if isinstance(storage, Sweepable) else 0
