"""Where a path of the layout lies in MongoDB: database, collection and the filter that finds the one document.

The rule of sqooler's MongoDB provider: the first segment of the path is the database, the rest of the folder joined
with `.` is the collection, the file's name without `.json` is the `_id`, as an ObjectId where it is 24 hexadecimal
digits. What is Quledger's own (histories, staged results) lies in a database of its own, under its whole path.
"""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from bson import ObjectId

OWN_DATABASE = "quledger"
OWN_COLLECTION = "documents"

_SHARED = frozenset({"backends", "jobs", "status", "results"})
_OF_FOLDERS = frozenset({*_SHARED, "jobs/queued", "jobs/finished"})
_HEX = re.compile(r"[0-9a-f]{24}")
_UUID4 = re.compile(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{7}")
_FIRST = datetime(2009, 1, 1, tzinfo=UTC)
_SKEW = timedelta(minutes=5)


class Place(NamedTuple):
    """Where one document lies.

    Attributes:
        database: without the prefix of the storage.
        key: the filter that finds it.
        identity: the `_id` that a new one gets.
        shared: whether front ends read it, so that it has to be a BSON document.
    """

    database: str
    collection: str
    key: dict[str, Any]
    identity: Any
    shared: bool = True

    @property
    def found_by_id(self) -> bool:
        """Whether the key is the `_id`, so that the server itself lets only one document have it."""
        return "_id" in self.key


def place_of(path: str) -> Place:
    """Return where the document at a path of the layout lies."""
    folder, _, name = path.rpartition("/")
    database, _, rest = folder.partition("/")
    if database not in _SHARED or not rest or not name.endswith(".json") or name == ".json":
        return Place(OWN_DATABASE, OWN_COLLECTION, {"_id": path}, path, shared=False)
    name = name.removesuffix(".json")
    collection = rest.replace("/", ".")
    identity = _identity(name)
    key: dict[str, Any] = {"_id": identity}
    if folder == "backends/configs":
        key = {"$or": [{"display_name": name}, {"payload.display_name": name}]}
    elif folder == "backends/public_keys":
        key = {"kid": name}
    if "_id" not in key:
        # Readers find it by its name. Made from the name, the id lets only one of two first writers succeed.
        identity = ObjectId(hashlib.sha256(path.encode()).digest()[:12])
    return Place(database, collection, key, identity)


def is_shared(folder: str) -> bool:
    """Say whether front ends look into the folder."""
    return folder.partition("/")[0] in _SHARED


def holds_folders(folder: str) -> bool:
    """Say whether there are collections for the folders in this one."""
    return folder in _OF_FOLDERS


def name_of(folder: str, document: dict[str, Any]) -> tuple[str, bool]:
    """Return the name in a listing of a document, and whether a path with that name leads back to it."""
    name = document["_id"]
    if folder == "backends/configs":
        signed = document.get("payload")
        name = document.get("display_name") or (signed.get("display_name") if isinstance(signed, dict) else None)
    elif folder == "backends/public_keys":
        name = document.get("kid")
    elif isinstance(name, ObjectId):
        return f"{name}.json", True
    elif _HEX.fullmatch(str(name)):
        name = None  # a text that looks like the ObjectId of another document
    if not isinstance(name, str) or "/" in name or not name:
        return f"_id {document['_id']!r}", False
    return f"{name}.json", True


def received_at(identity: Any, now: datetime) -> datetime:
    """Return when a document was put there, as far as its `_id` tells; `now` if it does not.

    An ObjectId begins with its time. sqooler's job ids are the first 24 digits of a random UUID, of which the same
    digits say nothing; nor does a time in the future, or before there was MongoDB.
    """
    if isinstance(identity, ObjectId) and not _UUID4.fullmatch(str(identity)):
        made = identity.generation_time
        if _FIRST <= made <= now + _SKEW:
            return made
    return now


def _identity(name: str) -> Any:
    return ObjectId(name) if _HEX.fullmatch(name) else name
