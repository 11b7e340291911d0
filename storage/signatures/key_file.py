"""The file in which a machine keeps the laboratory's keys: for its owner alone, written whole or not at all."""

import contextlib
import fcntl
import json
import os
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import ValidationError

from models.errors import KeyUnusable
from models.keys import Keyring

NAME = "keyring.json"
"""In the folder `keys` of the home."""

_FILE = f"the file keys/{NAME} in QULEDGER_HOME"


class KeyFile:
    """The keyring of one home. It is read each time: another process may have rotated a key.

    Args:
        folder: is made, for its owner alone, with the first key.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / NAME

    def read(self) -> Keyring:
        """Return the ring; an empty one where there is no file.

        Raises:
            KeyUnusable: the file cannot be read or others may read it; the text holds nothing of it.
        """
        try:
            with open(self._path, "rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                content = file.read()
        except FileNotFoundError:
            return Keyring()
        except OSError as error:
            raise KeyUnusable(f"{_FILE} cannot be read: {error.strerror}") from None
        if mode & 0o077:
            raise KeyUnusable(
                f"{_FILE} may be read by others (mode {mode:04o}); chmod 600 it, and think about rotating"
            )
        try:
            return Keyring.model_validate(json.loads(content))
        except (ValidationError, ValueError, RecursionError):
            raise KeyUnusable(f"{_FILE} is broken; put it back from its backup") from None

    def change(self, how: Callable[[Keyring], Keyring]) -> Keyring:
        """Replace the ring by what `how` makes of it, while no other process does; return the new one.

        Raises:
            KeyUnusable: the file cannot be read or written; it is as it was.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.chmod(self._folder, 0o700)
            with self._alone():
                ring = how(self.read())
                self._write(ring.secret_text().encode("ascii"))
        except OSError as error:
            raise KeyUnusable(f"{_FILE} cannot be written: {error.strerror}") from None
        return ring

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        handle = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
            os.fsync(handle)
        finally:
            os.close(handle)

    def _write(self, content: bytes) -> None:
        beside = f"{self._path}.{uuid.uuid4().hex}.tmp"
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
