"""Opens the storage at a URL."""

from urllib.parse import urlsplit

from models.errors import BadSetting
from models.settings import redact_url
from storage.files import FsspecStorage
from storage.provider import StorageProvider


def open_storage(url: str) -> StorageProvider:
    """Return the storage at `url`: `file:///folder`, `memory://name`, `mongodb://host`, or any other that fsspec knows.

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
    if scheme in ("mongodb", "mongodb+srv"):
        from storage.mongodb.provider import MongoStorage  # noqa: PLC0415 - pymongo takes a second to import

        return MongoStorage(url)
    return FsspecStorage(url)
