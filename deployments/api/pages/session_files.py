"""What is kept of sessions in the home, for its owner alone: the key that signs them, and which have ended."""

import contextlib
import os
import secrets
import stat
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from deployments.api.pages.sessions import KEY_BYTES
from models.errors import BadSetting

FOLDER = "sessions"
OWNERS_ALONE = 0o600
_KEY = f"the file {FOLDER}/key in QULEDGER_HOME"


class SessionFiles:
    """The folder `sessions` of a home; several processes may use it at once.

    Raises:
        BadSetting: it cannot be used; the text names no more of its place than the file.
    """

    def __init__(self, home: Path, now: Callable[[], float] = time.time) -> None:
        self._folder, self._now = home / FOLDER, now
        self._read_to, self._inode = 0, 0
        self._ended: dict[str, int] = {}
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.key = self._key()
            self._drop_old()
        except OSError as error:
            raise BadSetting(f"the folder {FOLDER} in QULEDGER_HOME cannot be used: {error.strerror}") from None

    def add(self, session_id: str, expires: int) -> None:
        """Remember that a session has ended; where that cannot be written, this process alone does."""
        self._ended[session_id] = expires
        with contextlib.suppress(OSError):
            handle = os.open(self._ended_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, OWNERS_ALONE)
            with open(handle, "ab", buffering=0) as file:
                file.write(f"{session_id} {expires}\n".encode("ascii"))
                os.fsync(file.fileno())

    def __contains__(self, session_id: object) -> bool:
        self._read_more()
        return session_id in self._ended

    @property
    def _ended_path(self) -> Path:
        return self._folder / "ended"

    def _read_more(self) -> None:
        """Read what was written since, by whatever process."""
        try:
            with open(self._ended_path, "rb") as file:
                if (inode := os.fstat(file.fileno()).st_ino) != self._inode:
                    self._inode, self._read_to = inode, 0
                file.seek(self._read_to)
                # A line that is still being written is read next time.
                whole = file.read().rpartition(b"\n")[0]
        except FileNotFoundError:
            return
        if whole:
            self._read_to += len(whole) + 1
            for line in whole.decode("ascii", "replace").splitlines():
                session_id, _, expires = line.partition(" ")
                if expires.isdecimal():
                    self._ended[session_id] = int(expires)

    def _drop_old(self) -> None:
        """Forget the sessions that would be over by now; where none is, the file stays as it is."""
        self._read_more()
        now = self._now()
        if all(expires <= now for expires in self._ended.values()):
            self._ended_path.unlink(missing_ok=True)
            self._ended = {}

    def _key(self) -> bytes:
        path = self._folder / "key"
        beside = f"{path}.{uuid.uuid4().hex}.tmp"
        with contextlib.suppress(FileExistsError):
            if not path.exists():
                handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNERS_ALONE)
                try:
                    with open(handle, "wb") as file:
                        file.write(secrets.token_bytes(KEY_BYTES))
                        file.flush()
                        os.fsync(file.fileno())
                    os.link(beside, path)  # the first one stays, whoever else makes one
                finally:
                    os.unlink(beside)
        with open(path, "rb") as file:
            mode, key = stat.S_IMODE(os.fstat(file.fileno()).st_mode), file.read()
        if mode & 0o077:
            raise BadSetting(f"{_KEY} may be read by others (mode {mode:04o}); delete it")
        if len(key) != KEY_BYTES:
            raise BadSetting(f"{_KEY} is broken; delete it, and everybody signs in again")
        return key
