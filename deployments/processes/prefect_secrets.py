"""What our own Prefect server keeps secret: the logins of blocks, encrypted with a key that is not in its database.

Without a key in its environment Prefect writes one into the database, beside what it encrypts with it. A database on a
PostgreSQL may be other servers' too, so there the operator has to set the key for all of them.
"""

import contextlib
import json
import logging
import os
import sqlite3
from pathlib import Path

from cryptography.fernet import Fernet

from models.errors import BadSetting
from models.settings import BLOCK, Settings
from tasks.prefect_settings import database, home

_LOG = logging.getLogger("quledger.server")

VARIABLE = "PREFECT_SERVER_ENCRYPTION_KEY"
KEY = "encryption.key"
OWNERS_ALONE = 0o600
_KEYS = (VARIABLE, "ORION_ENCRYPTION_KEY")
_LOGINS = ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_KEY")


def keep_secret(settings: Settings, environment: dict[str, str]) -> dict[str, str]:
    """Return the environment of our server with its key, and let nobody else read its database.

    Args:
        environment: as it would be without; a key that the operator has set stays.

    Raises:
        BadSetting: the file of the key cannot be used.
    """
    path = database(settings)
    if f"{path}" not in environment.get("PREFECT_SERVER_DATABASE_CONNECTION_URL", ""):
        return environment
    with contextlib.suppress(OSError):  # where nothing can be written, the server says so
        path.touch(OWNERS_ALONE)  # the files that SQLite puts beside it follow its mode
    for each in (path, *path.parent.glob(f"{path.name}-*")):
        with contextlib.suppress(OSError):  # gone, or somebody else's
            each.chmod(OWNERS_ALONE)
    if any(environment.get(name) for name in _KEYS):
        return environment
    return environment | {VARIABLE: _key(settings)}


def warn_of_open_logins(settings: Settings) -> None:
    """Warn if logins are kept by a Prefect that asks nobody for a password."""
    is_used = settings.takes_every_block or any(url.startswith(BLOCK) for url in settings.storages.values())
    if is_used and not any(os.environ.get(name) for name in _LOGINS):
        _LOG.warning(
            "logins_unprotected action=go_on: Prefect's API asks for no password, and gives the logins of blocks to"
            " whoever reaches it; set PREFECT_SERVER_API_AUTH_STRING for its server"
        )


def _key(settings: Settings) -> str:
    """Return the key of this home; the first time that of its database, which has logins encrypted with it already."""
    path = home(settings) / KEY
    try:
        if not path.exists():
            made = path.with_suffix(".new")
            made.unlink(missing_ok=True)
            made.touch(OWNERS_ALONE)
            made.write_text(_taken_over(database(settings)) or Fernet.generate_key().decode("ascii"), "ascii")
            made.replace(path)
        path.chmod(OWNERS_ALONE)
        key = path.read_text("ascii").strip()
        Fernet(key)
    except (OSError, ValueError) as error:
        raise BadSetting(
            f"the key with which Prefect encrypts the logins of blocks cannot be used ({type(error).__name__}): {path};"
            " put it back from its backup, or delete it and enter the logins again"
        ) from None
    _forget(database(settings), key)
    return key


def _taken_over(path: Path) -> str | None:
    with contextlib.suppress(sqlite3.Error, ValueError, TypeError, KeyError), _opened(path) as connection:
        (value,) = connection.execute("SELECT value FROM configuration WHERE key = 'ENCRYPTION_KEY'").fetchone()
        key = str(json.loads(value)["fernet_key"])
        Fernet(key)
        return key
    return None


def _forget(path: Path, key: str) -> None:
    """Take the key out of the database, which another server may hold at this moment; the next start does it then."""
    with contextlib.suppress(sqlite3.Error), _opened(path) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        of_this = "key = 'ENCRYPTION_KEY' AND json_extract(value, '$.fernet_key') = ?"
        if connection.execute(f"SELECT 1 FROM configuration WHERE {of_this}", [key]).fetchone():  # noqa: S608 - ours
            connection.execute(f"DELETE FROM configuration WHERE {of_this}", [key])  # noqa: S608 - ours
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _opened(path: Path) -> "contextlib.closing[sqlite3.Connection]":
    return contextlib.closing(sqlite3.connect(path, isolation_level=None))
