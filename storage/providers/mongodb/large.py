"""Documents that are too large for one BSON document, in parts: MongoDB's own GridFS.

A reader finds such a document by an id that stands in its head, the one document at its place. The parts are written
first and the head last, so nobody ever sees a part of a new one.
"""

import contextlib
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from gridfs import GridFSBucket
from gridfs.errors import CorruptGridFile, NoFile

from models import clock
from storage.providers.mongodb.connection import Connection
from storage.providers.mongodb.places import OWN_DATABASE

PART_BYTES = 8 * 1024 * 1024
PATIENCE = timedelta(hours=1)
"""After so long, a write whose head does not name its parts was killed."""


class LargeDocuments:
    """The bucket `large` of our own database; a list of writes that were begun says which parts may be orphans."""

    def __init__(self, connection: Connection, head: Callable[[str], str]) -> None:
        """`head` returns the id that the head at a path names; empty if none."""
        self._connection = connection
        self._head = head

    def write(self, path: str, content: bytes) -> str:
        """Write the parts; return their id, which nobody knows until it is put into a head."""
        self._sweep()
        name = uuid.uuid4().hex
        self.begin(path, name)
        self._bucket.upload_from_stream_with_id(name, path, content)
        return name

    def read(self, name: str) -> bytes | None:
        """Return the whole; None if the parts are gone."""
        try:
            return self._bucket.open_download_stream(name).read()
        except (NoFile, CorruptGridFile):
            return None

    def begin(self, path: str, name: str) -> None:
        """Note that these parts, of a document at `path`, may soon belong to nobody."""
        self._begun.replace_one({"_id": name}, {"path": path, "at": clock.now()}, upsert=True)

    def complete_upload(self, name: str) -> None:
        """Note that a head names the parts."""
        self._begun.delete_one({"_id": name})

    def remove(self, name: str) -> None:
        """Remove the parts that no head names any more."""
        with contextlib.suppress(NoFile):  # of a write that was killed only parts are there, and they are gone now
            self._bucket.delete(name)
        self.complete_upload(name)

    def _sweep(self) -> None:
        """Remove the parts that killed writers left."""
        for old in list(self._begun.find({"at": {"$lt": clock.now() - PATIENCE}})):
            if self._head(old["path"]) == old["_id"]:
                self.complete_upload(old["_id"])
            else:
                self.remove(old["_id"])

    @property
    def _begun(self) -> Any:
        return self._connection.collection(OWN_DATABASE, "begun")

    @property
    def _bucket(self) -> GridFSBucket:
        return GridFSBucket(self._connection.database(OWN_DATABASE), "large", chunk_size_bytes=PART_BYTES)
