"""One document at its place: read, written and removed, with its parts where it is large."""

from collections.abc import Callable

import bson
from bson.errors import InvalidDocument
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError, OperationFailure

from models import clock
from models.errors import DocumentExists, DocumentMissing, StorageUnavailable
from storage.providers.mongodb import values
from storage.providers.mongodb.connection import Connection, Document
from storage.providers.mongodb.large import LargeDocuments
from storage.providers.mongodb.places import Place, place_of
from storage.providers.mongodb.values import BYTES, MOVING, WRAPPED, StoredValue

INLINE = 15 * 1000 * 1000
"""Bytes that are kept in one document; more are kept in parts."""

_LARGE = f"{BYTES}.large"
_Write = Callable[[Place, Document], None]
_TRIES = 20
_REFUSED = frozenset({2, 9, 15, 22, 52, 56, 57, 10334, 17280, 17419, 17420})
"""Codes with which a server refuses what a document holds: names, nesting, size."""


class Documents:
    """The documents of one storage. What pymongo raises is for the caller to translate."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._large = LargeDocuments(connection, self.large_at)

    def at(self, place: Place) -> Collection[Document]:
        """Return the collection of a place."""
        return self._connection.collection(place.database, place.collection)

    def read(self, path: str) -> bytes:
        """Return the document at a path.

        Raises:
            DocumentMissing: there is none.
        """
        place = place_of(path)
        known = ""
        while True:
            head = self.at(place).find_one(place.key)
            if head is None:
                raise DocumentMissing(path)
            field = values.kept(head)
            if field is None:
                return values.to_bytes(_as_submitted(place, head))
            content = self._large.read(field.large) if field.content is None else field.content
            if content is not None:
                return content
            # Replaced while we read, unless it is the same head again: then its parts are lost.
            if field.large == known:
                return values.to_bytes(head)
            known = field.large

    def write(self, path: str, content: bytes, write: _Write) -> None:
        """Write the content in the form that is due at the path, by `insert` or `replace`."""
        place = place_of(path)
        folder = path.rpartition("/")[0]
        document = values.to_bson(content, folder) if place.shared else None
        if document is not None and _accepted(write, place, document):
            return
        beside = values.stand_in(content, folder) if place.shared else {}
        if len(content) <= INLINE - len(str(beside)):
            write(place, _dated(place, values.with_bytes(StoredValue(len(content), content), beside)))
            return
        large = self._large.write(path, content)
        try:
            write(place, _dated(place, values.with_bytes(StoredValue(len(content), None, large), beside)))
        except DocumentExists:
            self._large.remove(large)
            raise
        self._large.complete_upload(large)

    def insert(self, place: Place, document: Document) -> None:
        """Write a new document.

        Raises:
            DocumentExists: there is one.
        """
        try:
            if not place.found_by_id and self.at(place).find_one(place.key, {"_id": 1}):
                raise DocumentExists(place.collection)
            self.at(place).insert_one({"_id": place.identity, **document})
        except DuplicateKeyError:
            raise DocumentExists(f"{place.collection} {place.identity}") from None

    def replace(self, place: Place, document: Document) -> None:
        """Put the document in the place of the old one, if there is one, and remove the old one's parts."""
        for _ in range(_TRIES):
            try:
                old = self.at(place).find_one_and_replace(
                    place.key, document, projection={BYTES: 1}, upsert=place.found_by_id
                )
                if old is None and not place.found_by_id:
                    self.at(place).insert_one({"_id": place.identity, **document})
            except DuplicateKeyError:
                continue  # two wrote the first one at once
            field = values.kept(old) if old else None
            if field is not None and field.large and field.large != document.get(BYTES, {}).get("large"):
                self._large.remove(field.large)
            return
        msg = "too many write the same document at once"
        raise StorageUnavailable(msg)

    def arrive(self, source: str, head: Document, target: str) -> None:
        """Write a document that moves to its new place, in the form that is due there."""
        there = place_of(target)
        field = values.kept(head)
        if field is not None and field.content is not None:
            self.write(target, field.content, self.replace)
        elif field is not None:
            self._large.complete_upload(field.large)  # or a sweep would look for its head at the old place
            self.replace(there, _dated(there, values.with_bytes(field, {})))
        else:
            document = _as_submitted(place_of(source), head)
            as_it_is = document if there.shared else _dated(there, {WRAPPED: document})
            if len(bson.encode(as_it_is)) > values.MAX_BYTES or not _accepted(self.replace, there, as_it_is):
                self.write(target, values.to_bytes(document), self.replace)

    def delete(self, path: str) -> None:
        """Remove the document if there is one, its parts last."""
        place = place_of(path)
        while not self.at(place).delete_one(place.key | {_LARGE: None}).deleted_count:
            large = self.large_at(path)
            if not large:
                return
            self._large.begin(path, large)
            if self.at(place).delete_one(place.key | {_LARGE: large}).deleted_count:
                self._large.remove(large)
                return

    def large_at(self, path: str) -> str:
        """Return the id of the parts that the head at a path names; empty if none."""
        place = place_of(path)
        head = self.at(place).find_one(place.key, {BYTES: 1})
        field = values.kept(head) if head else None
        return field.large if field else ""


def _accepted(write: _Write, place: Place, document: Document) -> bool:
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


def _as_submitted(place: Place, head: Document) -> Document:
    """Return a front end's document without what we put around it."""
    if not place.shared and isinstance(head.get(WRAPPED), dict):
        wrapped: Document = head[WRAPPED]
        return wrapped
    return {name: value for name, value in head.items() if name not in ("_id", MOVING)}


def _dated(place: Place, document: Document) -> Document:
    return document if place.shared else document | {"at": clock.now()}
