"""Opens the storage at a URL: a case for each scheme, and fsspec for all others.

Each kind is imported when it is first opened.
"""

import contextlib
import logging
import os
import random
from collections.abc import Mapping
from urllib.parse import urlsplit

from models.errors import BadSetting
from models.settings import redact_url
from storage import layout
from storage.providers.folder import FolderStorage
from storage.providers.protocol import StorageProvider

S3_LOGIN = ("key", "secret", "token", "endpoint", "region")
MONGODB_LOGIN = ("username", "password")
DROPBOX_LOGIN = ("app_key", "app_secret", "refresh_token")

TELLTALES = ("websockets", "botocore", "aiobotocore", "s3fs", "pymongo", "urllib3", "dropbox")
"""Libraries that write headers or commands, with the passwords in them, into their DEBUG logs."""


def keep_logins_out_of_logs() -> None:
    """Let the libraries that tell logins in their DEBUG logs write none in this process."""
    for name in TELLTALES:
        logging.getLogger(name).setLevel(logging.INFO)


def open_storage(url: str, login: Mapping[str, str] | None = None) -> StorageProvider:
    """Return the storage at `url`; nothing is connected yet.

    Args:
        url: `file:///folder`, `s3://bucket/prefix`, `mongodb://host`, `dropbox:///folder`, or any other URL that
            fsspec knows, such as `memory://name`.
        login: what the storage needs to let us in, where that does not come from the environment; the names depend
            on the kind. For S3: `key`, `secret`, `token`, `endpoint`, `region`; for MongoDB: `username`, `password`;
            for Dropbox: `app_key`, `app_secret`, `refresh_token`.

    Raises:
        BadSetting: nothing here can open such a URL, or it takes no such login.
    """
    login = {name: value for name, value in (login or {}).items() if value}
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    match scheme:
        case "":
            msg = f"the storage {redact_url(url)} is no URL; for a folder write file:///the/folder"
            raise BadSetting(msg)
        case "file":
            _known(login, (), url)
            return FolderStorage(url)
        case "s3" | "s3a":
            _known(login, S3_LOGIN, url)
            from storage.providers.s3.s3_storage import S3Storage  # noqa: PLC0415 - s3fs takes a second to import

            return S3Storage(url, login, os.environ)
        case "mongodb" | "mongodb+srv":
            _known(login, MONGODB_LOGIN, url)
            from storage.providers.mongodb.mongo_storage import MongoStorage  # noqa: PLC0415 - pymongo takes a second to import

            return MongoStorage(url, login)
        case "dropbox":
            _known(login, DROPBOX_LOGIN, url)
            from storage.providers.dropbox.dropbox_storage import DropboxStorage  # noqa: PLC0415 - its client takes seconds to import

            return DropboxStorage(url, login, os.environ)
        case _:
            from storage.providers.fsspec_storage import FsspecStorage  # noqa: PLC0415 - imported where it is used

            return FsspecStorage(url, login)


ORDINARY = 64_000
"""What the documents of an ordinary job take, in bytes; a full disk still takes an empty one."""

MAX_PROBE = 1_000_000
"""No probe is larger, in bytes."""


def probe(storage: StorageProvider, size: int = ORDINARY) -> None:
    """Make sure that the storage can be reached and takes what a job writes: one request. No reader looks at it.

    Args:
        size: bytes that it has to take; what is above `MAX_PROBE` is a job's own affair.

    Raises:
        StorageUnavailable: it does not answer now, or has no room.
        StorageRefused: it will not until somebody changes a setting or a right.
    """
    size = min(max(size, ORDINARY), MAX_PROBE)
    # Noise, so that a storage that compresses has to find room for it too.
    storage.put(layout.PROBE, random.randbytes(size))  # noqa: S311 - protects nothing
    if size > ORDINARY:
        storage.put(layout.PROBE, b"")  # a large one is not left behind


def leaving_nothing(storage: StorageProvider) -> contextlib.AbstractContextManager[None]:
    """Return a block in which a storage is only tried: a folder that was not there before is not there afterwards."""
    return storage.leaving_nothing() if isinstance(storage, FolderStorage) else contextlib.nullcontext()


def _known(login: Mapping[str, str], names: tuple[str, ...], url: str) -> None:
    if unknown := sorted(set(login) - set(names)):
        takes = f"it takes {', '.join(names)}" if names else "it takes none"
        msg = f"the storage {redact_url(url)} takes no login called {', '.join(unknown)}; {takes}"
        raise BadSetting(msg)
