"""qlued's database, a file of SQLite that Django made: its users and tokens are read, and nothing is changed there."""

import contextlib
import os
import sqlite3
from urllib.parse import quote

from models.errors import UnreadableFile
from models.identity.qlued import QluedToken, QluedUser

_TABLES = (("qlued_token", "auth_user"), ("backends_token", "backends_user"))
"""Tokens and users; in this order: qlued has kept them in the second pair before it used a package for them."""


def read_qlued(path: str) -> tuple[list[QluedUser], list[QluedToken]]:
    """Return the users and the tokens in a file of qlued's.

    Raises:
        UnreadableFile: it cannot be read, or holds something else.
    """
    name = os.path.basename(path)
    if not os.path.isfile(path):
        raise UnreadableFile(name, "there is no such file")
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{quote(os.fsencode(os.path.abspath(path)))}?mode=ro", uri=True)
        ) as file:
            # What is no UTF-8 becomes a name that nobody may have, and is named.
            file.text_factory = lambda stored: stored.decode("utf-8", "replace")
            found = {row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            for tokens, users in _TABLES:
                if {tokens, users} <= found:
                    return _users(file, users), _tokens(file, tokens)
    except sqlite3.Error as error:
        raise UnreadableFile(name, f"SQLite says: {error}") from None
    raise UnreadableFile(name, "it is no database of qlued's: it lacks the table qlued_token or auth_user")


def _users(file: sqlite3.Connection, table: str) -> list[QluedUser]:
    rows = file.execute(f"SELECT id, username, is_active, is_superuser FROM {table} ORDER BY id")  # noqa: S608 - our own names
    return [QluedUser(row, name, bool(active), bool(superuser)) for row, name, active, superuser in rows]


def _tokens(file: sqlite3.Connection, table: str) -> list[QluedToken]:
    rows = file.execute(f"SELECT id, user_id, key, is_active FROM {table} ORDER BY id")  # noqa: S608 - our own names
    return [QluedToken(row, user, key, bool(active)) for row, user, key, active in rows]
