"""Opens the storage at a URL. Each kind is imported when it is first opened."""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from models.errors import BadSetting
from models.settings import redact_url
from storage.files import FsspecStorage
from storage.provider import StorageProvider

DROPBOX_LOGIN = ("app_key", "app_secret", "refresh_token")


def open_storage(url: str, login: Mapping[str, str] | None = None) -> StorageProvider:
    """Return the storage at `url`; nothing is connected yet.

    Args:
        url: `file:///folder`, `dropbox:///Backend_files`, or any other URL that fsspec knows, such as `memory://name`.
        login: what the storage needs to let us in, where that does not come from the environment; the names depend
            on the kind. For Dropbox: `app_key`, `app_secret`, `refresh_token`.

    Raises:
        BadSetting: nothing here can open such a URL, or it takes no such login.
    """
    login = {name: value for name, value in (login or {}).items() if value}
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if not scheme:
        msg = f"the storage {redact_url(url)} is no URL; for a folder write file:///the/folder"
        raise BadSetting(msg)
    if scheme == "dropbox":
        _known(login, DROPBOX_LOGIN, url)
        from storage.dropbox_storage import DropboxStorage  # noqa: PLC0415 - the client takes two seconds to import

        return DropboxStorage(url, login, os.environ)
    return FsspecStorage(url)


def _known(login: Mapping[str, str], names: tuple[str, ...], url: str) -> None:
    if strange := sorted(set(login) - set(names)):
        takes = f"it takes {', '.join(names)}" if names else "it takes none"
        msg = f"the storage {redact_url(url)} takes no login called {', '.join(strange)}; {takes}"
        raise BadSetting(msg)
