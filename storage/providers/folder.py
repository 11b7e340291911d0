"""The storage in a folder of this machine.

It has every ability but `whole_documents`: what we write appears whole, what front ends write need not.
"""

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes, urlsplit

from models.errors import BadSetting, DocumentExists, DocumentMissing, StorageUnavailable
from models.settings import redact_url
from storage import layout
from storage.providers.beside import beside_name, is_beside, shortage
from storage.providers.protocol import Abilities, Entry


class FolderStorage:
    """Documents as files below a folder.

    Args:
        url: `file:///the/folder`, percent-escaped where the name holds `%`, `?` or `#`.

    Raises:
        BadSetting: the URL names no folder, or might be cut where a name goes on.
    """

    abilities = Abilities()

    def __init__(self, url: str) -> None:
        self.url = redact_url(url)
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            msg = f"the storage {self.url} names no folder; write file:///the/folder"
            raise BadSetting(msg)
        if "?" in url or "#" in url:
            msg = f"the storage {self.url} goes on after its path; write %3F and %23 where ? and # belong to a name"
            raise BadSetting(msg)
        # As bytes: a name need not be UTF-8, and no two names may become one.
        self._root = os.fsdecode(unquote_to_bytes(os.fsencode(parts.path))).rstrip("/")
        self._seen: tuple[int, int] | None = None

    def get(self, path: str) -> bytes:
        """Return the document; what lies there and is no file, such as a pipe, is none, and is not waited for."""
        with _errors(path), open(self._full(path), "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise DocumentMissing(path)
            return file.read()

    def put(self, path: str, content: bytes) -> None:
        """Write beside and rename."""
        full = self._full(path)
        with _errors(path, len(content)), self._there(), _beside(full, content) as beside:
            os.replace(beside, full)
            _sync(os.path.dirname(full))

    def create(self, path: str, content: bytes) -> None:
        """Write beside and link, so that of several writers the first one wins."""
        full = self._full(path)
        with _errors(path, len(content)), self._there(), _beside(full, content) as beside:
            try:
                os.link(beside, full)
            except FileExistsError:
                raise DocumentExists(path) from None
            _sync(os.path.dirname(full))

    def move(self, source: str, target: str) -> None:
        """Rename."""
        origin, full = self._full(source), self._full(target)
        with _errors(source), self._there():
            os.makedirs(os.path.dirname(full), exist_ok=True)
            os.replace(origin, full)
            _sync(os.path.dirname(full))

    def delete(self, path: str) -> None:
        """Remove the document if it is there."""
        with _errors(path), contextlib.suppress(FileNotFoundError):
            os.unlink(self._full(path))

    def exists(self, path: str) -> bool:
        """Say whether a document lies there."""
        # Not isfile(): that takes a storage that does not answer for one without the document.
        with _errors(path):
            try:
                return stat.S_ISREG(os.stat(self._full(path)).st_mode)
            except (FileNotFoundError, NotADirectoryError):
                return False

    def entries(self, folder: str) -> Iterator[Entry]:
        """Yield what lies in the folder."""
        with _errors(folder):
            try:
                scan = os.scandir(self._full(folder))
            except (FileNotFoundError, NotADirectoryError):
                return
            with scan:
                for item in scan:
                    # A file that another process has just moved away is no longer an entry.
                    with contextlib.suppress(FileNotFoundError):
                        found = item.stat(follow_symlinks=False)
                        regular = stat.S_ISREG(found.st_mode)
                        yield Entry(item.name, found.st_size, _moment(found.st_mtime), regular=regular)

    def sweep(self, age: float) -> int:
        """Remove the halves of documents that killed writers have left.

        Args:
            age: seconds that such a file has to be old; a writer that is slower than that fails, and tries again.

        Returns:
            How many there were.
        """
        swept = 0
        before = time.time() - age
        for folder, _, names in os.walk(self._root, onerror=lambda _error: None):
            for name in filter(is_beside, names):
                half = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    if os.stat(half, follow_symlinks=False).st_mtime < before:
                        os.unlink(half)
                        swept += 1
        return swept

    @contextlib.contextmanager
    def leaving_nothing(self) -> Iterator[None]:
        """Remove afterwards what was made within the block of a folder that was not there: its path may be mistyped."""
        seen, made = self._seen, []
        folder = self._root
        while folder and not os.path.lexists(folder):
            made.append(folder)
            folder = os.path.dirname(folder)
        try:
            yield
        finally:
            if made:
                with contextlib.suppress(OSError):
                    os.unlink(self._full(layout.PROBE))
                below = [path for path, _, _ in os.walk(self._root, topdown=False)]
                for path in [*below, *made[1:]]:
                    with contextlib.suppress(OSError):  # somebody else has put something there
                        os.rmdir(path)
                self._seen = seen

    @contextlib.contextmanager
    def _there(self) -> Iterator[None]:
        """Write only into the folder that was there before, or into another one that is a storage of ours too.

        It is made where there never was one; one that is gone was a disk that is not mounted any more.
        """
        seen, now = self._seen, self._identity()  # in this order: another thread may make it meanwhile
        if seen is not None and now != seen and not os.path.exists(self._full(layout.MARK)):
            msg = "the folder of the storage is gone, or another one is in its place: is its disk still mounted?"
            raise StorageUnavailable(msg)
        yield
        self._seen = self._identity()

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._root or "/")
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


@contextlib.contextmanager
def _beside(full: str, content: bytes) -> Iterator[str]:
    """Write a file beside the one that is meant, and leave nothing of it behind."""
    folder, name = os.path.split(full)
    beside = os.path.join(folder, beside_name(name))
    os.makedirs(folder, exist_ok=True)
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield beside
    finally:
        with contextlib.suppress(OSError):
            os.unlink(beside)


@contextlib.contextmanager
def _errors(path: str, size: int = 0) -> Iterator[None]:
    """Turn what the system raises into the contract's errors; none of them holds a path of the machine.

    Args:
        size: of the document that is being written.
    """
    try:
        yield
    except FileNotFoundError:
        raise DocumentMissing(path) from None
    except (OSError, ValueError) as error:
        said = shortage(error, path, size)
        if said is not None:
            raise said from None
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        denied = isinstance(error, PermissionError)
        advice = "; check the owner and mode of the storage's folder" if denied else ""
        msg = f"the storage does not answer for {path}: {reason}{advice}"
        raise StorageUnavailable(msg) from None


def _moment(seconds: float) -> datetime:
    # A file may carry any time, also one that no calendar has.
    with contextlib.suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(seconds, UTC)
    return datetime.now(UTC)


def _sync(folder: str) -> None:
    """Make a new name in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
