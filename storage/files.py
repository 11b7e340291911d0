"""The storage on any fsspec filesystem; `file://` and `memory://` have every ability of the contract."""

import contextlib
import os
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from models.errors import BadSetting, DocumentExists, DocumentMissing, StorageError, StorageUnavailable
from models.settings import redact_url
from storage.provider import Abilities, Entry

_MEMORY = threading.Lock()


class FsspecStorage:
    """Documents as files below the URL's path."""

    def __init__(self, url: str) -> None:
        self.url = redact_url(url)
        try:
            filesystem, root = fsspec.url_to_fs(url)
        except (ValueError, ImportError) as error:
            msg = f"the storage {self.url} cannot be opened: {type(error).__name__}"
            raise BadSetting(msg) from None
        self._fs = cast("Any", filesystem)
        self._root = root.rstrip("/")
        self._local = isinstance(filesystem, LocalFileSystem)
        # What lies in memory is changed in several steps, so readers and writers take turns.
        in_memory = isinstance(filesystem, MemoryFileSystem)
        self._turn: contextlib.AbstractContextManager[object] = _MEMORY if in_memory else contextlib.nullcontext()
        known = self._local or in_memory
        self.abilities = Abilities(conditional_create=known, atomic_move=known)

    def get(self, path: str) -> bytes:
        """Return the document."""
        with self._errors(path), self._turn:
            return cast("bytes", self._fs.cat_file(self._full(path)))

    def put(self, path: str, content: bytes) -> None:
        """Write beside and rename; elsewhere than in a folder, one write is atomic by itself."""
        full = self._full(path)
        with self._errors(path):
            if self._local:
                os.replace(self._write_beside(full, content), full)
                _sync(os.path.dirname(full))
            else:
                with self._turn:
                    self._fs.pipe_file(full, content)

    def create(self, path: str, content: bytes) -> None:
        """Write beside and link, so that of several writers the first one wins."""
        full = self._full(path)
        with self._errors(path):
            if not self._local:
                with self._turn, _exists(path):
                    self._fs.pipe_file(full, content, mode="create")
                return
            beside = self._write_beside(full, content)
            try:
                with _exists(path):
                    os.link(beside, full)
                _sync(os.path.dirname(full))
            finally:
                os.unlink(beside)

    def move(self, source: str, target: str) -> None:
        """Rename; elsewhere than in a folder, copy and delete."""
        origin, full = self._full(source), self._full(target)
        with self._errors(source):
            if self._local:
                os.makedirs(os.path.dirname(full), exist_ok=True)
                os.replace(origin, full)
                _sync(os.path.dirname(full))
                return
            with self._turn:
                self._fs.cp_file(origin, full)
                self._fs.rm_file(origin)

    def delete(self, path: str) -> None:
        """Remove the document if it is there."""
        with self._errors(path), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._full(path))

    def exists(self, path: str) -> bool:
        """Say whether a document lies there."""
        # Not isfile(): that takes a storage that does not answer for one without the document.
        with self._errors(path):
            try:
                return bool(self._fs.info(self._full(path))["type"] == "file")
            except (FileNotFoundError, NotADirectoryError):
                return False

    def entries(self, folder: str) -> Iterator[Entry]:
        """Yield what lies in the folder."""
        full = self._full(folder)
        with self._errors(folder):
            if self._local:
                yield from self._local_entries(full)
                return
            try:
                found = self._fs.ls(full, detail=True, refresh=True)
            except FileNotFoundError:
                return
            for info in found:
                yield Entry(
                    name=info["name"].rstrip("/").rpartition("/")[2],
                    size=info.get("size") or 0,
                    modified_at=_moment(info.get("LastModified") or info.get("created") or info.get("mtime")),
                    regular=info["type"] == "file",
                )

    def _local_entries(self, full: str) -> Iterator[Entry]:
        try:
            scan = os.scandir(full)
        except (FileNotFoundError, NotADirectoryError):
            return
        with scan:
            for item in scan:
                # A file that another process has just moved away is no longer an entry.
                with contextlib.suppress(FileNotFoundError):
                    stat = item.stat(follow_symlinks=False)
                    yield Entry(
                        item.name, stat.st_size, _moment(stat.st_mtime), regular=item.is_file(follow_symlinks=False)
                    )

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _write_beside(self, full: str, content: bytes) -> str:
        folder, name = os.path.split(full)
        # A leading dot and .tmp: no reader of the layout takes it for a document.
        beside = os.path.join(folder, f".{name}.{uuid.uuid4().hex}.tmp")
        os.makedirs(folder, exist_ok=True)
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return beside

    @contextlib.contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        """Turn what a filesystem raises into the contract's errors; none of them holds a path of the machine."""
        try:
            yield
        except FileNotFoundError:
            raise DocumentMissing(path) from None
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - every filesystem raises its own kinds of error
            reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
            msg = f"the storage does not answer for {path}: {reason}"
            raise StorageUnavailable(msg) from None


@contextlib.contextmanager
def _exists(path: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise DocumentExists(path) from None


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, int | float):
        # A file may carry any time, also one that no calendar has.
        with contextlib.suppress(ValueError, OverflowError, OSError):
            return datetime.fromtimestamp(value, UTC)
    return datetime.now(UTC)


def _sync(folder: str) -> None:
    """Make a new name in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
