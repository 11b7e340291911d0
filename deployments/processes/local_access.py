"""An address and a token for the programs of this machine, in a file that only the owner of the home can read."""

import contextlib
import json
import logging
import os
import pwd
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
LOOPBACK = frozenset({"127.0.0.1", "::1"})
SCOPES: tuple[Scope, ...] = ("read", "submit")
USUAL_NAME = "local"
"""Of the user where the machine has no name for him that a user can have."""


@contextlib.contextmanager
def local_access(services: Services, host: str, url: str) -> Iterator[None]:
    """Leave an address and a new token in the home while the block runs; the token before it is revoked first.

    Nothing is left by a server that others reach too. What cannot be left is logged, and the block runs all the same.
    """
    folder = services.settings.folder
    text = ""
    if _is_for_this_machine(services.settings, host):
        try:
            _revoke(services, _left(folder / FILE))
            text = _issued(services)
            _leave(folder / FILE, {"url": url, "token": text})
        except (QuledgerError, OSError) as error:
            _LOG.warning("no_local_access action=serve_on: %s", _said(error))
    try:
        yield
    finally:
        if text:
            try:
                # Another server of this home may have left its own since.
                if _left(folder / FILE) == text:
                    (folder / FILE).unlink()
                _revoke(services, text)
            except (QuledgerError, OSError) as error:
                _LOG.warning("local_access_stays action=revoke_at_next_start: %s", _said(error))


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
