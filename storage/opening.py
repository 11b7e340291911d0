"""Opens the storage at a URL."""

from urllib.parse import urlsplit

from models.errors import BadSetting
from models.settings import redact_url
from storage.files import FsspecStorage
from storage.provider import StorageProvider


def open_storage(url: str) -> StorageProvider:
    """Return the storage at `url`: `file:///folder`, `memory://name`, or any other URL that fsspec knows.

    Raises:
        BadSetting: nothing here can open such a URL.
    """
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if not scheme:
        msg = f"the storage {redact_url(url)} is no URL; for a folder write file:///the/folder"
        raise BadSetting(msg)
    return FsspecStorage(url)
