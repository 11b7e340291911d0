"""The storage provider over MongoDB."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
from bson.errors import InvalidDocument
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError, OperationFailure

from models import clock
from models.errors import DocumentExists, DocumentMissing, StorageUnavailable
from storage.mongodb import places, values
from storage.mongodb.connection import Connection, Document
from storage.mongodb.large import LargeDocuments
from storage.mongodb.places import Place, place_of
from storage.mongodb.values import BYTES, MOVING, WRAPPED, Kept
from storage.provider import Abilities, Entry

INLINE = 15 * 1000 * 1000
"""Bytes that are kept in one document; more are kept in parts."""

PATIENCE = 5.0
"""After so many seconds a mover that has marked a document and not moved it is taken for dead."""

_Write = Callable[[Place, Document], None]
_TRIES = 20
_REFUSED = frozenset({2, 9, 15, 22, 52, 56, 57, 10334, 17280, 17419, 17420})
"""Codes with which a server refuses what a document holds: names, nesting, size."""

_LARGE = f"{BYTES}.large"


class MongoStorage:
    """Documents of front ends as BSON where front ends look for them, and our own in the database `quledger`.

    Every change that others can see is one change of one document, which MongoDB makes atomically on any topology;
    no transaction is used. A bytes-for-bytes copy is kept of our own documents; of a job document its JSON value.
    """

    abilities = Abilities(exact_bytes=False, whole_documents=True)

    def __init__(self, url: str, login: Mapping[str, str] | None = None) -> None:
        """`login` may hold `username` and `password`, where they are not in the URL."""
        self._connection = Connection(url, login)
        self.url = self._connection.url
        self._large = LargeDocuments(self._connection, self._named_large)
        self._sizes = True

    def get(self, path: str) -> bytes:
        """Return the document; of a BSON document the JSON text that `json.dumps` writes."""
        place = place_of(path)
        with self._connection.errors(path):
            known = ""
            while True:
                head = self._collection(place).find_one(place.key)
                if head is None:
                    raise DocumentMissing(path)
                field = values.kept(head)
                if field is None:
                    return values.to_bytes(head.get(WRAPPED, {}) if _is_wrapper(place, head) else head)
                content = self._large.read(field.large) if field.content is None else field.content
                if content is not None:
                    return content
                # Replaced while we read, unless it is the same head again: then its parts are lost.
                if field.large == known:
                    return values.to_bytes(head)
                known = field.large

    def put(self, path: str, content: bytes) -> None:
        """Write the document with one change; the parts of a large one are written before it."""
        with self._connection.errors(path):
            self._write(path, content, self._replace)

    def create(self, path: str, content: bytes) -> None:
        """Insert the document; its `_id` is unique, so of several writers one succeeds."""
        with self._connection.errors(path):
            self._write(path, content, self._insert)

    def move(self, source: str, target: str) -> None:
        """Move the document in three steps, of which the first decides who moves it.

        One `findAndModify` puts a mover's mark into the source, if it has none yet: of several movers one succeeds.
        The winner then writes the target and deletes the source that bears its mark. Others wait until the source
        is gone, and say that it is missing. At every moment the document is whole at the source or the target, so a
        mover that is killed loses nothing: whoever next moves the document finds the dead one's mark unchanged for
        `PATIENCE` seconds, puts its own in its place (again one change, that one succeeds in) and moves it. Killed
        between the last two steps, a mover leaves the document at both places until that next move.

        A mover that is not dead but stands still for longer than that, between two steps, may put an old copy back
        to the target. Job documents never change, and the log's fence says which attempt counts.
        """
        here = place_of(source)
        mark = uuid.uuid4().hex
        with self._connection.errors(source):
            head = self._claim(source, target, mark)
            if source != target:
                self._arrive(target, head, wrapped=_is_wrapper(here, head))
                self._collection(here).delete_one(here.key | {MOVING: mark})
            else:
                self._collection(here).update_one(here.key | {MOVING: mark}, {"$unset": {MOVING: ""}})

    def delete(self, path: str) -> None:
        """Remove the document if it is there, its parts last."""
        place = place_of(path)
        collection = self._collection(place)
        with self._connection.errors(path):
            while not collection.delete_one(place.key | {_LARGE: None}).deleted_count:
                large = self._named_large(path)
                if not large:
                    return
                self._large.begin(path, large)
                if collection.delete_one(place.key | {_LARGE: large}).deleted_count:
                    self._large.remove(large)
                    return

    def exists(self, path: str) -> bool:
        """Say whether a document lies there."""
        place = place_of(path)
        with self._connection.errors(path):
            return self._collection(place).find_one(place.key, {"_id": 1}) is not None

    def entries(self, folder: str) -> Iterator[Entry]:
        """Yield what lies in the folder, as the server hands it out; no document's content is fetched.

        A document whose `_id` says no time bears the time of the look, in the order in which the server lists them.
        WiredTiger lists a collection in the order of insertion, though MongoDB does not promise it.
        """
        with self._connection.errors(folder):
            if not places.is_shared(folder):
                yield from self._own_entries(folder)
                return
            database, _, rest = folder.partition("/")
            if places.holds_folders(folder):
                collections = self._connection.database(database).list_collection_names()
                below = rest.replace("/", ".") + "." if rest else ""
                children = {name[len(below) :].partition(".")[0] for name in collections if name.startswith(below)}
                for child in sorted(children - {"system", ""}):
                    yield Entry(child, 0, clock.now(), regular=False)
                if rest.replace("/", ".") not in collections:
                    return
            yield from self._shared_entries(folder, database, rest.replace("/", "."))

    def _shared_entries(self, folder: str, database: str, collection: str) -> Iterator[Entry]:
        now = clock.now()
        for number, head in enumerate(self._heads(self._connection.collection(database, collection))):
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
        if self._sizes:
            try:
                with collection.find({}, wanted | {"bson_size": {"$bsonSize": "$$ROOT"}}) as cursor:
                    yield from cursor
            except OperationFailure as error:
                if "bsonSize" not in str(error):
                    raise
                self._sizes = False  # servers before 4.4, and some that only speak the protocol
            else:
                return
        with collection.find({}, wanted) as cursor:
            yield from cursor

    def _own_entries(self, folder: str) -> Iterator[Entry]:
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

    def _collection(self, place: Place) -> Collection[Document]:
        return self._connection.collection(place.database, place.collection)

    def _named_large(self, path: str) -> str:
        """Return the id of the parts that the head at a path names; empty if none."""
        place = place_of(path)
        head = self._collection(place).find_one(place.key, {BYTES: 1})
        field = values.kept(head) if head else None
        return field.large if field else ""

    def _claim(self, path: str, target: str, mark: str) -> Document:
        """Put a mark into the document and return it.

        Raises:
            DocumentMissing: there is none, or somebody else has moved it.
        """
        place = place_of(path)
        collection = self._collection(place)
        change = {"$set": {MOVING: mark}}
        try:
            head = collection.find_one_and_update(place.key | {MOVING: None}, change)
            seen, since, pause = None, time.monotonic(), 0.002
            while head is None:
                found = collection.find_one(place.key, {MOVING: 1})
                if found is None:
                    raise DocumentMissing(path)
                if found.get(MOVING) != seen:
                    seen, since = found.get(MOVING), time.monotonic()
                elif time.monotonic() - since > PATIENCE:
                    head = collection.find_one_and_update(place.key | {MOVING: {"$eq": seen}}, change)
                if head is None:
                    time.sleep(pause)
                    pause = min(2 * pause, 0.1)
        except OperationFailure:
            head = collection.find_one(place.key)
            if head is None or len(bson.encode(head)) < values.MOST:
                raise
            # So full that it has no room for a mark: here the deletion decides, after the copy, so nothing is lost.
            self._arrive(target, head, wrapped=_is_wrapper(place, head))
            if not collection.delete_one(place.key).deleted_count:
                raise DocumentMissing(path) from None
        return head

    def _arrive(self, target: str, head: Document, *, wrapped: bool) -> None:
        """Write a moved document to its new place, in the form that is due there."""
        there = place_of(target)
        field = values.kept(head)
        if field is not None and field.content is not None:
            self._write(target, field.content, self._replace)
        elif field is not None:
            self._large.settle(field.large)  # or a sweep would look for its head at the old place
            self._replace(there, _dated(there, values.with_bytes(field, {})))
        else:
            document = head[WRAPPED] if wrapped else {k: v for k, v in head.items() if k not in ("_id", MOVING)}
            as_it_is = document if there.shared else _dated(there, {WRAPPED: document})
            if len(bson.encode(as_it_is)) > values.MOST or not self._accepted(self._replace, there, as_it_is):
                self._write(target, values.to_bytes(document), self._replace)

    def _write(self, path: str, content: bytes, write: _Write) -> None:
        """Write the content in the form that is due at the path, by `write`."""
        place = place_of(path)
        folder = path.rpartition("/")[0]
        document = values.to_bson(content, folder) if place.shared else None
        if document is not None and self._accepted(write, place, document):
            return
        beside = values.stand_in(content, folder) if place.shared else {}
        if len(content) <= INLINE - len(str(beside)):
            write(place, _dated(place, values.with_bytes(Kept(len(content), content), beside)))
            return
        large = self._large.write(path, content)
        try:
            write(place, _dated(place, values.with_bytes(Kept(len(content), None, large), beside)))
        except DocumentExists:
            self._large.remove(large)
            raise
        self._large.settle(large)

    def _accepted(self, write: _Write, place: Place, document: Document) -> bool:
        """Write the document by `write`; return False where it is refused for what it holds, as its bytes would not be."""
        try:
            write(place, document)
        except (ValueError, InvalidDocument):
            return False
        except OperationFailure as error:
            if error.code not in _REFUSED:
                raise
            return False
        return True

    def _insert(self, place: Place, document: Document) -> None:
        collection = self._collection(place)
        try:
            if not place.found_by_id and collection.find_one(place.key, {"_id": 1}):
                raise DocumentExists(place.collection)
            collection.insert_one({"_id": place.identity, **document})
        except DuplicateKeyError:
            raise DocumentExists(f"{place.collection} {place.identity}") from None

    def _replace(self, place: Place, document: Document) -> None:
        """Put the document in the place of the old one, if there is one, and remove the old one's parts."""
        collection = self._collection(place)
        for _ in range(_TRIES):
            try:
                old = collection.find_one_and_replace(
                    place.key, document, projection={BYTES: 1}, upsert=place.found_by_id
                )
                if old is None and not place.found_by_id:
                    collection.insert_one({"_id": place.identity, **document})
            except DuplicateKeyError:
                continue  # two wrote the first one at once
            field = values.kept(old) if old else None
            if field is not None and field.large and field.large != document.get(BYTES, {}).get("large"):
                self._large.remove(field.large)
            return
        msg = "too many write the same document at once"
        raise StorageUnavailable(msg)


def _is_wrapper(place: Place, head: Document) -> bool:
    return not place.shared and isinstance(head.get(WRAPPED), dict)


def _dated(place: Place, document: Document) -> Document:
    return document if place.shared else document | {"at": clock.now()}


def _moment(value: object) -> datetime:
    return value if isinstance(value, datetime) else datetime.now(UTC)
