"""The storage provider over MongoDB."""

import re
import time
import uuid
from collections.abc import Iterator, Mapping

import bson
from pymongo.errors import OperationFailure

from models.errors import DocumentMissing
from storage import failpoints
from storage.providers.mongodb import values
from storage.providers.mongodb.connection import Connection, Document
from storage.providers.mongodb.documents import Documents
from storage.providers.mongodb.listing import Listing
from storage.providers.mongodb.places import place_of
from storage.providers.mongodb.values import MOVING
from storage.providers.protocol import Abilities, Entry

PATIENCE = 5.0
"""After so many seconds a mover that has marked a document and not moved it is taken for dead."""


class MongoStorage:
    """Documents of front ends as BSON where front ends look for them, and our own in the database `quledger`.

    Every change that others can see is one change of one document, which MongoDB makes atomically on any topology;
    no transaction is used. Our own documents are kept byte by byte, of a job document the JSON value.
    """

    abilities = Abilities(exact_bytes=False, whole_documents=True)

    def __init__(self, url: str, login: Mapping[str, str] | None = None) -> None:
        """`login` may hold `username` and `password`, where they are not in the URL."""
        self._connection = Connection(url, login)
        self._documents = Documents(self._connection)
        self._listing = Listing(self._connection)
        self.url = self._connection.url

    def get(self, path: str) -> bytes:
        """Return the document; of a BSON document the JSON text that `json.dumps` writes."""
        with self._connection.errors(path):
            return self._documents.read(path)

    def put(self, path: str, content: bytes) -> None:
        """Write the document with one change; the parts of a large one are written before it."""
        with self._connection.errors(path, len(content)):
            self._documents.write(path, content, self._documents.replace)

    def create(self, path: str, content: bytes) -> None:
        """Insert the document; its `_id` is unique, so of several writers one succeeds."""
        with self._connection.errors(path, len(content)):
            self._documents.write(path, content, self._documents.insert)

    def move(self, source: str, target: str) -> None:
        """Move the document in three steps, of which the first decides who moves it.

        One `findAndModify` puts a mover's mark into the source, if it has none yet: of several movers one succeeds.
        The winner then writes the target and deletes the source that bears its mark. Others wait until the source
        is gone, and say that it is missing. At every moment the document is whole at the source or the target, so a
        mover that is killed loses nothing: whoever next moves the document finds the dead one's mark unchanged for
        `PATIENCE` seconds, puts its own in its place (again one change, in which one succeeds) and moves it. Killed
        between the last two steps, a mover leaves the document at both places; the next move removes that copy.

        A mover that is not dead but stands still for longer than that, between two steps, may put an old copy back
        to the target. Job documents never change, and the log's fence says which attempt counts.
        """
        here = place_of(source)
        mark = uuid.uuid4().hex
        if source == target and self.exists(source):
            return
        with self._connection.errors(source):
            head = self._claim(source, target, {"by": mark, "to": target})
            self._documents.arrive(source, head, target)
            failpoints.point("move.copied")
            abandoned = _abandoned(source, head)
            if abandoned not in ("", target):
                copied = place_of(abandoned)
                self._documents.at(copied).delete_one(copied.key)  # only the head: parts are now the target's
            self._documents.at(here).delete_one(here.key | {f"{MOVING}.by": mark})

    def delete(self, path: str) -> None:
        """Remove the document if it is there, its parts last."""
        with self._connection.errors(path):
            self._documents.delete(path)

    def exists(self, path: str) -> bool:
        """Say whether a document lies there."""
        place = place_of(path)
        with self._connection.errors(path):
            return self._documents.at(place).find_one(place.key, {"_id": 1}) is not None

    def entries(self, folder: str) -> Iterator[Entry]:
        """Yield what lies in the folder, as the server hands it out."""
        with self._connection.errors(folder):
            yield from self._listing.entries(folder)

    def _claim(self, source: str, target: str, mark: dict[str, str]) -> Document:
        """Put a mark into the document and return it, with the mark that it had before.

        Raises:
            DocumentMissing: there is none, or somebody else has moved it.
        """
        place = place_of(source)
        collection = self._documents.at(place)
        change = {"$set": {MOVING: mark}}
        try:
            head = collection.find_one_and_update(place.key | {MOVING: None}, change)
            seen, since, pause = None, time.monotonic(), 0.002
            while head is None:
                found = collection.find_one(place.key, {MOVING: 1})
                if found is None:
                    raise DocumentMissing(source)
                if found.get(MOVING) != seen:
                    seen, since = found.get(MOVING), time.monotonic()
                elif time.monotonic() - since > PATIENCE:
                    head = collection.find_one_and_update(place.key | {MOVING: {"$eq": seen}}, change)
                if head is None:
                    time.sleep(pause)
                    pause = min(2 * pause, 0.1)
        except OperationFailure:
            head = collection.find_one(place.key)
            if head is None or len(bson.encode(head)) < values.MAX_BYTES:
                raise
            # So full that it has no room for a mark: here the deletion decides, after the copy, so nothing is lost.
            self._documents.arrive(source, head, target)
            if not collection.delete_one(place.key).deleted_count:
                raise DocumentMissing(source) from None
        return head


def _abandoned(source: str, head: Document) -> str:
    """Return where a dead mover may have left a copy; empty if there was none, or the mark is not one of ours."""
    mark = head.get(MOVING)
    target = mark.get("to") if isinstance(mark, dict) else None
    job_id = source.rpartition("/")[2].partition(".")[0]
    # A mark may be forged: it must lead to the same job's own places only.
    ours = isinstance(target, str) and re.fullmatch(rf"(jobs|staged)/.*{re.escape(job_id)}(\.document)?\.json", target)
    return target if ours and isinstance(target, str) else ""
