"""Secrets that the servers of one log share: in the database, since that is all that two machines have in common.

Whoever may read the database may read there what such a secret guards; it never leaves it.
"""

import secrets

from sqlalchemy import Engine, bindparam, insert, select
from sqlalchemy.exc import IntegrityError

from storage.log.database import reading, writing
from storage.uploads.tables import SecretRow

BYTES = 32

_TABLE = SecretRow.__table__  # type: ignore[attr-defined]
_VALUE = select(_TABLE.c.value).where(_TABLE.c.name == bindparam("name"))


def shared_secret(engine: Engine, name: str) -> bytes:
    """Return the secret of this name; whoever asks first makes it."""
    for _ in range(2):
        with reading(engine) as connection:
            found: bytes | None = connection.scalar(_VALUE, {"name": name})
        if found is not None:
            return bytes(found)
        try:
            with writing(engine) as connection:
                connection.execute(insert(_TABLE), {"name": name, "value": secrets.token_bytes(BYTES)})
        except IntegrityError:  # another server was first
            continue
    with reading(engine) as connection:
        return bytes(connection.scalars(_VALUE, {"name": name}).one())
