"""The storage on any filesystem that fsspec knows: `sftp://`, `gcs://`, `abfs://`, `webdav://`, `smb://`, `memory://`.

Only `memory://` has every ability of the contract: for the others fsspec promises neither that of several who create
one document only one succeeds, nor that of several who move it only one does, nor that a document appears whole.

What is weaker then, and why no job ends twice: claims are made in the log, not in the storage, and each append there
is fenced by the attempt. Two workers of one log never have one job at the same time; a document that a worker of a
lost lease still writes or moves is put right by the next relay, since the log knows what it must be. What the fence
cannot see is *another* spooler on the same folder: beside one, use a storage that can move atomically.

Where the filesystem has a rename that replaces, a document is written beside its place and renamed; an object store
writes it whole anyway. Elsewhere (FTP, SMB, WebDAV) it is written in place, and a reader may see half of it.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from models.errors import (
    BadSetting,
    DocumentExists,
    DocumentMissing,
    StorageError,
    StorageFull,
    StorageRefused,
    StorageUnavailable,
    printable,
)
from models.settings import redact_url
from storage import failpoints
from storage.providers.beside import beside_name, is_beside, shortage
from storage.providers.protocol import Abilities, Entry

_MEMORY = threading.Lock()

PACKAGES = {
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
    "box": "boxfs",
    "gcs": "gcsfs",
    "gs": "gcsfs",
    "oci": "ocifs",
    "oss": "ossfs",
    "sftp": "paramiko",
    "smb": "smbprotocol",
    "ssh": "paramiko",
    "webdav": "webdav4[fsspec]",
    "webdavs": "webdav4[fsspec]",
}
"""What has to be installed for a scheme, where fsspec's own words do not begin with it."""


RENAMING = frozenset({"sftp", "ssh", "file", "local"})
"""Protocols whose `mv` is one rename that replaces what is there."""

CACHING = frozenset({"simplecache", "filecache", "blockcache", "cached"})
"""Links of a chain that answer from what they remember."""


UNKNOWN_KIND = "no kind of storage has URLs that begin so; a folder has file:///, S3 s3://, MongoDB mongodb://"

FULL_STATUS = 507
"""What WebDAV and its like answer where there is no room (Insufficient Storage)."""


class FsspecStorage:
    """Documents as files of a filesystem, below the URL's path.

    Args:
        url: any that fsspec knows, also a chain (`dir::sftp://...`).
        login: handed to the filesystem, such as `username` and `password`.

    Raises:
        BadSetting: nothing here can open such a URL.
    """

    def __init__(self, url: str, login: Mapping[str, str]) -> None:
        self.url = redact_url(url)
        links = [link.partition("://")[0] for link in url.split("::")]
        if CACHING & set(links):
            msg = f"the storage {self.url} would be read from a cache, and others write to it too; leave the cache out"
            raise BadSetting(msg)
        try:
            filesystem, root = fsspec.url_to_fs(url, **login)
        except ImportError as error:
            package = next((PACKAGES[link] for link in links if link in PACKAGES), None)
            what = f"install the package {package} beside Quledger" if package else printable(str(error))
            msg = f"the storage {self.url} cannot be opened: {what}"
            raise BadSetting(msg) from None
        except (ValueError, TypeError) as error:
            is_known = all(link in fsspec.available_protocols() for link in links)
            why = f"{type(error).__name__}; check its URL and its login" if is_known else UNKNOWN_KIND
            msg = f"the storage {self.url} cannot be opened: {why}"
            raise BadSetting(msg) from None
        except Exception as error:  # noqa: BLE001 - a filesystem may connect at once, and raise its own kinds of error
            msg = f"the storage {self.url} cannot be reached: {_reason(error)}"
            raise StorageUnavailable(msg) from None
        self._fs = cast("Any", filesystem)
        self._root = root.rstrip("/")
        # What lies in memory is changed in several steps, so readers and writers take turns.
        in_memory = isinstance(filesystem, MemoryFileSystem)
        self._turn: contextlib.AbstractContextManager[object] = _MEMORY if in_memory else contextlib.nullcontext()
        self.abilities = Abilities(conditional_create=in_memory, atomic_move=in_memory)
        self._renames = bool(RENAMING & _protocols(filesystem))

    def get(self, path: str) -> bytes:
        """Return the document."""
        with self._errors(path), self._turn:
            return cast("bytes", self._fs.cat_file(self._full(path)))

    def put(self, path: str, content: bytes) -> None:
        """Write the document."""
        full = self._full(path)
        with self._errors(path, len(content)), self._turn:
            self._write(full, content)

    def create(self, path: str, content: bytes) -> None:
        """Write the document if there is none; only in memory is this one step."""
        full = self._full(path)
        with self._errors(path, len(content)), self._turn:
            if self._is_file(full):
                raise DocumentExists(path)
            self._write(full, content)

    def move(self, source: str, target: str) -> None:
        """Copy, then delete: whatever is killed in between, the document is somewhere."""
        origin, full = self._full(source), self._full(target)
        with self._errors(source), self._turn:
            if not self._is_file(origin):
                raise DocumentMissing(source)
            self._write(full, self._fs.cat_file(origin))
            failpoints.point("move.copied")
            self._fs.rm_file(origin)

    def delete(self, path: str) -> None:
        """Remove the document if it is there."""
        with self._errors(path), contextlib.suppress(FileNotFoundError), self._turn:
            self._fs.rm_file(self._full(path))

    def exists(self, path: str) -> bool:
        """Say whether a document lies there."""
        with self._errors(path):
            return self._is_file(self._full(path))

    def entries(self, folder: str) -> Iterator[Entry]:
        """Yield what lies in the folder; fsspec lists it whole."""
        with self._errors(folder):
            try:
                self._fs.invalidate_cache()
                found = self._fs.ls(self._full(folder), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return
        for info in found:
            if info["name"].strip("/") == self._full(folder).strip("/"):
                continue  # what some object stores keep of an empty folder
            yield Entry(
                name=info["name"].rstrip("/").rpartition("/")[2],
                size=info.get("size") or 0,
                modified_at=_moment(info),
                regular=info["type"] == "file" and not info.get("islink"),
            )

    def _is_file(self, full: str) -> bool:
        # Not isfile(): that takes a storage that does not answer for one without the document.
        self._fs.invalidate_cache()
        try:
            return bool(self._fs.info(full)["type"] == "file")
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _write(self, full: str, content: bytes) -> None:
        folder, _, name = full.rpartition("/")
        beside = f"{folder}/{beside_name(name)}" if self._renames else full
        try:
            try:
                self._fs.pipe_file(beside, content)
            except Exception as error:
                if shortage(error, name, len(content)) is not None:
                    raise
                self._fs.makedirs(folder, exist_ok=True)
                self._fs.pipe_file(beside, content)
            if self._renames:
                self._fs.mv(beside, full)
        except Exception:
            if self._renames:
                with contextlib.suppress(Exception):
                    self._fs.rm_file(beside)
            raise

    def sweep(self, age: float) -> int:
        """Remove the halves of documents that killed writers have left; see `FolderStorage.sweep`."""
        if not self._renames:
            return 0
        before, swept = datetime.now(UTC) - timedelta(seconds=age), 0
        with self._errors(""):
            for folder, _, files in self._fs.walk(self._root, detail=True):
                for name, info in files.items():
                    if is_beside(name) and _moment(info) < before:
                        self._fs.rm_file(f"{folder}/{name}")
                        swept += 1
        return swept

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    @contextlib.contextmanager
    def _errors(self, path: str, size: int = 0) -> Iterator[None]:
        """Turn what a filesystem raises into the contract's errors; none of them holds a path of the machine."""
        try:
            yield
        except FileNotFoundError:
            raise DocumentMissing(path) from None
        except StorageError:
            raise
        except PermissionError:
            raise StorageRefused(f"the storage denies access to {path}; check its login and its rights") from None
        except Exception as error:  # noqa: BLE001 - every filesystem raises its own kinds of error
            said = shortage(error, path, size)
            if said is None and getattr(error, "status_code", getattr(error, "status", None)) == FULL_STATUS:
                said = StorageFull(f"the storage has no room for {path} ({size} bytes); free some space", size)
            if said is not None:
                raise said from None
            msg = f"the storage does not answer for {path}: {_reason(error)}"
            raise StorageUnavailable(msg) from None


def _protocols(filesystem: Any) -> set[str]:
    """Return the names of the filesystem at the end of a chain."""
    while (inner := getattr(filesystem, "fs", None)) is not None:
        filesystem = inner
    return set([filesystem.protocol] if isinstance(filesystem.protocol, str) else filesystem.protocol)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def _moment(info: Mapping[str, object]) -> datetime:
    """Return when a document was last written; filesystems name it differently, or do not know."""
    for name in ("LastModified", "last_modified", "updated", "mtime", "modified", "created"):
        value = info.get(name)
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, int | float):
            with contextlib.suppress(ValueError, OverflowError, OSError):
                return datetime.fromtimestamp(value, UTC)
    return datetime.now(UTC)
