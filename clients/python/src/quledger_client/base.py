"""What both clients begin with: where the laboratory is, and as whom; a server of this machine leaves it in a file."""

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from quledger_client.asking import PATIENCE
from quledger_client.calls import Calls
from quledger_client.endpoint import Endpoint, Secret, is_loopback
from quledger_client.errors import NotAllowed, Unreachable

TIMEOUT = 30.0
FILE = "local-access.json"
MAX_BYTES = 10_000


class BaseClient:
    """A laboratory, as the user of a token, before anything is asked of it."""

    def __init__(self, url: str, token: str, *, timeout: float = TIMEOUT, patience: float = PATIENCE) -> None:
        # The text of the token stands in no frame that a traceback may show the values of.
        secret, token = Secret(token), ""
        self._begin(Endpoint(url, secret), timeout, patience)

    def _begin(self, endpoint: Endpoint, timeout: float, patience: float) -> None:
        self._endpoint, self._timeout = endpoint, timeout
        self.calls = Calls(patience)
        self._transport: Any = None
        self._is_closed = False

    @classmethod
    def local(
        cls, home: "str | os.PathLike[str] | None" = None, *, timeout: float = TIMEOUT, patience: float = PATIENCE
    ) -> Self:
        """Return a client of the `quledger up` or `quledger serve` of this machine.

        Args:
            home: its folder; QULEDGER_HOME or `~/.quledger` if left out.

        Raises:
            Unreachable: nothing has left an address and a token there.
            NotAllowed: others than its owner can read them, or they are of another machine.
        """
        client = cls.__new__(cls)
        client._begin(_endpoint(home), timeout, patience)  # noqa: SLF001 - it is of this class
        return client

    @property
    def url(self) -> str:
        """Address of the server."""
        return self._endpoint.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({getattr(self, '_endpoint', None)!r})"


class _Left(NamedTuple):
    """What a server has left.

    Attributes:
        doubt: why the file is not to be trusted; empty if it is.
    """

    url: str
    token: Secret
    doubt: str


def _endpoint(home: "str | os.PathLike[str] | None") -> Endpoint:
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
