"""An address and a token for the programs of this machine, in a file that only the owner of the home can read."""

import contextlib
import fcntl
import json
import logging
import os
import pwd
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

from models.errors import QuledgerError
from models.identity.errors import UserExists
from models.identity.facts import Scope, UserAdded
from models.identity.streams import is_name, user_stream
from models.identity.tokens import LOCAL_NOTE, PREFIX
from models.settings import Settings
from tasks.services import Services

_LOG = logging.getLogger("quledger.api")

FILE = "local-access.json"
TURN = "local-access.lock"
"""Held by the server whose address and token lie there."""

LOOPBACK = frozenset({"127.0.0.1", "::1"})
SCOPES: tuple[Scope, ...] = ("read", "submit")
USUAL_NAME = "local"
"""Of the user where the machine has no name for him that a user can have."""


@contextlib.contextmanager
def local_access(services: Services, host: str, url: str) -> Iterator[None]:
    """Leave an address and a new token in the home while the block runs; the token before it is revoked first.

    Nothing is left by a server that others reach too, nor while another one of this home has left its own: when that
    ends, however it does, this one follows. What cannot be left is logged, and the block runs all the same.
    """
    if not _is_for_this_machine(services.settings, host):
        yield
        return
    access = LocalAccess(services, url)
    access.begin()
    try:
        yield
    finally:
        access.end()


class LocalAccess:
    """What one server leaves for the programs of its machine, from when no other one of the home does."""

    def __init__(self, services: Services, url: str) -> None:
        self._services, self._url = services, url
        self._file = services.settings.folder / FILE
        self._changing = threading.Lock()
        self._text = ""
        self._is_over = False
        self._turn = -1
        self._waits = False

    def begin(self) -> None:
        """Leave them now, or as soon as the server that was here before has ended."""
        try:
            self._turn = os.open(self._file.with_name(TURN), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._waits = True
            threading.Thread(target=self._follow, name="local-access", daemon=True).start()
        except OSError as error:
            _LOG.warning("no_local_access action=serve_on: %s", _said(error))
        else:
            self._leave()

    def end(self) -> None:
        """Take back what was left, and let the next server follow."""
        with self._changing:
            self._is_over = True
            if self._text:
                try:
                    # A server of an older release waits for no turn, and may have left its own since.
                    if _left(self._file) == self._text:
                        self._file.unlink()
                    _revoke(self._services, self._text)
                except (QuledgerError, OSError) as error:
                    _LOG.warning("local_access_stays action=revoke_at_next_start: %s", _said(error))
            if self._turn >= 0 and not self._waits:
                os.close(self._turn)

    def _follow(self) -> None:
        # By hand: FileLock would look again and again, where the system tells when the turn comes, also after a kill.
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        with self._changing:
            self._waits = False
            if self._is_over:
                os.close(self._turn)
                return
        self._leave()

    def _leave(self) -> None:
        with self._changing:
            if self._is_over:
                return
            try:
                _revoke(self._services, _left(self._file))
                self._text = _issued(self._services)
                _leave(self._file, {"url": self._url, "token": self._text})
            except (QuledgerError, OSError) as error:
                _LOG.warning("no_local_access action=serve_on: %s", _said(error))


def local_user() -> str:
    """Return the name of the user of these programs: that of the owner of this process on his machine."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return USUAL_NAME
    return name if is_name(name) else USUAL_NAME


def is_anybody_there(services: Services) -> bool:
    """Return whether somebody else than the programs of this machine can have a token."""
    others = [user for user in services.directory.users() if user.name != local_user()]
    return bool(others) or any(
        listed.token.note != LOCAL_NOTE for listed in services.directory.tokens(user=local_user())
    )


def _is_for_this_machine(settings: Settings, host: str) -> bool:
    names = settings.api_hosts
    is_reached = not names or host in names or "*" in names
    return host in LOOPBACK and is_reached and not settings.api_behind_proxy


def _issued(services: Services) -> str:
    stream, actor = user_stream(local_user()), f"serve:{local_user()}"
    with contextlib.suppress(UserExists):
        services.directory.append(stream, UserAdded(), actor=actor)
    return services.directory.issue(stream, SCOPES, note=LOCAL_NOTE, actor=actor).text


def _revoke(services: Services, text: str) -> None:
    """Revoke a token that was left here, and no other one, whatever the file says."""
    kind, _, rest = text.partition("_")
    token_id = rest.partition("_")[0]
    known = {each.token.token_id for each in services.directory.tokens() if each.token.note == LOCAL_NOTE}
    if kind == PREFIX and token_id in known:
        services.directory.revoke(token_id, actor=f"serve:{local_user()}")


def _left(path: Path) -> str:
    """Return the token in the file; empty where there is none."""
    try:
        return str(json.loads(path.read_bytes())["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _leave(path: Path, content: dict[str, str]) -> None:
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(handle, "w", encoding="ascii") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _said(error: QuledgerError | OSError) -> str:
    """Return an error without the place of the file."""
    return (error.strerror or "") if isinstance(error, OSError) else str(error)
