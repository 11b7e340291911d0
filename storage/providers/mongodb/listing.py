"""What lies in a folder: names, sizes and times, as the server hands them out; no document's content is fetched."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from models import clock
from storage.providers.mongodb import places
from storage.providers.mongodb.connection import Connection, Document
from storage.providers.mongodb.values import BYTES
from storage.providers.protocol import Entry


class Listing:
    """The folders of one storage."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._with_sizes = True

    def entries(self, folder: str) -> Iterator[Entry]:
        """Yield what lies in the folder."""
        if not places.is_shared(folder):
            yield from self._own(folder)
            return
        database, _, rest = folder.partition("/")
        collection = rest.replace("/", ".")
        if places.holds_folders(folder):
            collections = self._connection.database(database).list_collection_names()
            below = f"{collection}." if collection else ""
            children = {name[len(below) :].partition(".")[0] for name in collections if name.startswith(below)}
            for child in sorted(children - {"system"}):
                yield Entry(child, 0, clock.now(), regular=False)
            if collection not in collections:
                return
        yield from self._shared(folder, self._connection.collection(database, collection))

    def _shared(self, folder: str, collection: Collection[Document]) -> Iterator[Entry]:
        """Yield the documents of a collection.

        One whose `_id` says no time bears the time of the look, in the order in which the server lists them.
        WiredTiger lists a collection in the order of insertion, though MongoDB does not promise it.
        """
        now = clock.now()
        for number, head in enumerate(self._heads(collection)):
            name, regular = places.name_of(folder, head)
            field = head.get(BYTES)
            size = field.get("size") if isinstance(field, dict) else None
            yield Entry(
                name,
                size if isinstance(size, int) else head.get("bson_size", 0),
                places.received_at(head["_id"], now + timedelta(microseconds=number)),
                regular,
            )

    def _heads(self, collection: Collection[Document]) -> Iterator[Document]:
        wanted: dict[str, Any] = {"_id": 1, f"{BYTES}.size": 1, "display_name": 1, "payload.display_name": 1, "kid": 1}
        if self._with_sizes:
            try:
                with collection.find({}, wanted | {"bson_size": {"$bsonSize": "$$ROOT"}}) as cursor:
                    yield from cursor
            except OperationFailure as error:
                if "bsonSize" not in str(error):
                    raise
                self._with_sizes = False  # servers before 4.4, and some that only speak the protocol
            else:
                return
        with collection.find({}, wanted) as cursor:
            yield from cursor

    def _own(self, folder: str) -> Iterator[Entry]:
        """Yield our own documents below the folder; each folder in it is stepped over, whatever it holds."""
        collection = self._connection.collection(places.OWN_DATABASE, places.OWN_COLLECTION)
        after, end = f"{folder}/", f"{folder}0"  # "0" is the character that follows "/"
        while after:
            start, after = after, ""
            wanted = {"_id": {"$gte": start, "$lt": end}}
            with collection.find(wanted, {"at": 1, f"{BYTES}.size": 1}, sort=[("_id", 1)]) as cursor:
                for head in cursor:
                    name, slash, _ = head["_id"][len(folder) + 1 :].partition("/")
                    if slash:
                        yield Entry(name, 0, clock.now(), regular=False)
                        after = f"{folder}/{name}0"
                        break
                    yield Entry(name, head.get(BYTES, {}).get("size", 0), _moment(head.get("at")))


def _moment(value: object) -> datetime:
    return value if isinstance(value, datetime) else datetime.now(UTC)
