"""The server of this machine: where it is, and a token that only the owner of its home can read."""

import json
import os
import stat
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from quledger_client.endpoint import Endpoint, Secret, is_loopback
from quledger_client.errors import NotAllowed, Unreachable

FILE = "local-access.json"
MAX_BYTES = 10_000


class _Left(NamedTuple):
    """What a server has left.

    Attributes:
        doubt: why the file is not to be trusted; empty if it is.
    """

    url: str
    token: Secret
    doubt: str


def local_endpoint(home: "str | os.PathLike[str] | None" = None) -> Endpoint:
    """Return the server that has left its address in a home.

    Raises:
        Unreachable: none has.
        NotAllowed: others than its owner can read the file, or it names another machine.
    """
    path = Path(home or os.environ.get("QULEDGER_HOME") or "~/.quledger").expanduser() / FILE
    url, token = _read(path)
    return Endpoint(url, token, lambda: _again(path))


def _again(path: Path) -> tuple[str, Secret] | None:
    """Return what a server has left that was started since."""
    try:
        return _read(path)
    except (NotAllowed, Unreachable):
        return None


def _read(path: Path) -> tuple[str, Secret]:
    # What is wrong is raised here, where no value of the file is in any frame.
    left, why = _opened(path)
    if left is None:
        raise Unreachable(why)
    if left.doubt:
        raise NotAllowed(f"{path} {left.doubt}")
    if not _is_near(left.url):
        raise NotAllowed(f"{path} names a server that is not on this machine")
    return left.url, left.token


def _opened(path: Path) -> tuple[_Left | None, str]:
    """Return what was left; or None, and why there is nothing."""
    try:
        with path.open("rb") as file:
            doubt = _doubt(file.fileno())
            found = json.loads(file.read(MAX_BYTES))
            return _Left(str(found["url"]), Secret(str(found["token"])), doubt), ""
    except FileNotFoundError:
        return None, f"no server has left its address in {path.parent}; is `quledger up` running?"
    except OSError as error:
        return None, f"{path} cannot be read: {error.strerror}"
    except (ValueError, KeyError, TypeError):
        return None, f"{path} is not what a server leaves there; start it again"


def _doubt(handle: int) -> str:
    """Return why an open file is not its owner's alone; on Windows the folder of a user says that."""
    doubt = ""
    if sys.platform != "win32":
        found = os.fstat(handle)
        mode = stat.S_IMODE(found.st_mode)
        if found.st_uid != os.getuid():
            doubt = "belongs to somebody else"
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            doubt = f"may be read by others (mode {mode:04o}); delete it and start the server again"
    return doubt


def _is_near(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False
