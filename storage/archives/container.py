"""The file of an archive: a zip whose members are stored as they are, one after the other, and nothing else.

There is one way to write it, so a file that is not what it would be if it were written again was changed somewhere.
"""

import contextlib
import os
import stat
import struct
import tempfile
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from models.archives import MAX_BYTES, MAX_MEMBERS, is_member_name
from models.errors import InputError, NotAuthentic, UnreadableFile, echo
from models.files import UnwritableFile

_END = struct.Struct("<4s4H2LH")
_MAGIC = b"PK\x05\x06"
_PART = 1 << 20
MAX_ENTRY = 46 + 755
"""Bytes of a member in the directory: what stands before its name, and the longest name."""
_TIME = (1980, 1, 1, 0, 0, 0)


class Writer:
    """Writes an archive.

    Args:
        most: bytes of the whole.
    """

    def __init__(self, zip_file: zipfile.ZipFile, most: int = MAX_BYTES) -> None:
        self._zip, self._most = zip_file, most
        self._size = 0

    def add(self, name: str, content: bytes) -> None:
        """Add a member.

        Raises:
            InputError: the archive would be too large.
        """
        self._size += len(content) + 2 * len(name) + 200
        if self._size > self._most or len(self._zip.filelist) >= MAX_MEMBERS:
            raise InputError("these jobs are too many or too large for one archive; write several")
        self._zip.writestr(_info(name), content)


@contextlib.contextmanager
def writing_into(file: BinaryIO, most: int = MAX_BYTES) -> Iterator[Writer]:
    """Write an archive into a file that is open; it is whole when the block has ended."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as zip_file:
        yield Writer(zip_file, most)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Write an archive beside its name, and put it there when it is whole; if the block raises there is none.

    Raises:
        InputError: there is such a file already.
        UnwritableFile: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        _expect_none(path)
        with open(beside, "xb") as file:
            with writing_into(file) as writer:
                yield writer
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, path)
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        raise UnwritableFile(path, error.strerror or "unknown reason") from None
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _expect_none(path: Path) -> None:
    if path.exists():
        raise _taken(path)


def _taken(path: Path) -> InputError:
    return InputError(f"{echo(str(path))} is there already; an archive is not written over")


class Reader:
    """Reads an archive that may be hostile: nothing is unpacked, and no more is read than the file holds."""

    def __init__(self, file: BinaryIO) -> None:
        self._zip = _opened(file)
        self._file = file

    @property
    def names(self) -> list[str]:
        """The names of all members, in their order."""
        return [info.filename for info in self._zip.infolist()]

    def size(self, name: str) -> int:
        """Return the bytes of a member."""
        return self._zip.getinfo(name).file_size

    def get(self, name: str, most: int = MAX_BYTES) -> bytes:
        """Return a member.

        Raises:
            NotAuthentic: it is larger than `most`, or not what was written.
        """
        if self.size(name) > most:
            raise NotAuthentic(f"{name} is larger than {most} bytes")
        try:
            return self._zip.read(name)
        except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError):
            raise NotAuthentic(f"{name} is not what was written") from None

    def is_as_written(self) -> bool:
        """Return whether the file is to the last byte what these members make when they are written."""
        with tempfile.TemporaryFile() as again:
            with zipfile.ZipFile(again, "w", zipfile.ZIP_STORED) as zip_file:
                for name in self.names:
                    zip_file.writestr(_info(name), self.get(name))
            again.seek(0)
            self._file.seek(0)
            while part := self._file.read(_PART):
                if again.read(len(part)) != part:
                    return False
            return not again.read(1)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """Open an archive.

    Raises:
        UnreadableFile: it cannot be read.
        NotAuthentic: it is no archive, or was changed.
    """
    try:
        # Not a pipe, which would be waited for, nor a device, which has no end.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UnreadableFile(str(path), "it is no ordinary file")
            yield Reader(file)
    except OSError as error:
        raise UnreadableFile(str(path), error.strerror or "unknown reason") from None


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _TIME)
    info.create_system = 3  # the same on each system
    info.external_attr = 0o600 << 16
    return info


def _opened(file: BinaryIO) -> zipfile.ZipFile:
    """Open a zip whose directory, which is read whole, cannot be larger than an archive's."""
    size = file.seek(0, os.SEEK_END)
    if size > MAX_BYTES:
        raise NotAuthentic("it is larger than an archive can be")
    file.seek(max(0, size - _END.size))
    tail = file.read()
    if len(tail) != _END.size or tail[:4] != _MAGIC:
        raise NotAuthentic("it is no archive, or does not end as one")
    _, _, _, here, in_all, directory, begins, comment = _END.unpack(tail)
    if (
        here != in_all
        or in_all > MAX_MEMBERS
        or directory > in_all * MAX_ENTRY
        or begins + directory + _END.size != size
        or comment
    ):
        raise NotAuthentic("it is no archive: its directory is none of one")
    try:
        opened = zipfile.ZipFile(file)
        infos = opened.infolist()
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, UnicodeError, struct.error):
        raise NotAuthentic("it is no archive: it cannot be opened") from None
    names = [info.filename for info in infos]
    if len(set(names)) < len(names) or not all(map(is_member_name, names)):
        raise NotAuthentic("it is no archive: a member has a name that none can have, or two have one")
    stored = all(info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size for info in infos)
    if not stored or sum(info.file_size for info in infos) > size:
        raise NotAuthentic("it is no archive: its members are not stored as they are")
    return opened
