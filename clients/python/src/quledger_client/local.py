"""The server of this machine: where it is, and a token that only the owner of its home can read."""

import json
import os
import stat
from pathlib import Path

from quledger_client.endpoint import Endpoint, Secret
from quledger_client.errors import NotAllowed, Unreachable

FILE = "local-access.json"
MAX_BYTES = 10_000


def local_endpoint(home: "str | os.PathLike[str] | None" = None) -> Endpoint:
    """Return the server that has left its address in a home.

    Raises:
        Unreachable: none has.
        NotAllowed: others than its owner can read the file, or it is not the file of a server of this machine.
    """
    path = Path(home or os.environ.get("QULEDGER_HOME") or "~/.quledger").expanduser() / FILE
    url, token = _read(path)
    endpoint = Endpoint(url, token, lambda: _again(path))
    if not endpoint.is_local:
        raise NotAllowed(f"{path} names a server that is not on this machine")
    return endpoint


def _again(path: Path) -> tuple[str, Secret] | None:
    """Return what a server has left that was started since."""
    try:
        url, token = _read(path)
    except (NotAllowed, Unreachable):
        return None
    return (url, token) if Endpoint(url, token).is_local else None


def _read(path: Path) -> tuple[str, Secret]:
    found, why = _opened(path)
    if found is None:  # raised here, where no value of the file is in any frame
        raise Unreachable(why)
    url, token, mode, owner = found
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise NotAllowed(f"{path} may be read by others (mode {mode:04o}); delete it and start the server again")
    if owner is not None and owner != os.getuid():
        raise NotAllowed(f"{path} belongs to somebody else")
    return url, token


def _opened(path: Path) -> tuple[tuple[str, Secret, int, int | None] | None, str]:
    """Return address, token, mode and owner; or None, and why there are none."""
    try:
        with path.open("rb") as file:
            mode, owner = _mode_and_owner(file.fileno())
            found = json.loads(file.read(MAX_BYTES))
            return (str(found["url"]), Secret(str(found["token"])), mode, owner), ""
    except FileNotFoundError:
        return None, f"no server has left its address in {path.parent}; is `quledger up` running?"
    except OSError as error:
        return None, f"{path} cannot be read: {error.strerror}"
    except (ValueError, KeyError, TypeError):
        return None, f"{path} is not what a server leaves there; start it again"


def _mode_and_owner(handle: int) -> tuple[int, int | None]:
    """Return who may do what with an open file; nothing of it where permissions say something else."""
    if os.name != "posix":
        return 0, None
    found = os.fstat(handle)
    return stat.S_IMODE(found.st_mode), found.st_uid
