"""What stands in MongoDB for the bytes of a document, and the bytes that it stands for.

A document that front ends share is kept as the BSON of its JSON value, wherever BSON can hold that value; read back it
is the JSON text that `json.dumps` writes by default. Anything else is kept byte by byte, below a key of its own.
"""

import contextlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import bson
from bson import json_util

BYTES = "quledger"
"""The key below which bytes are kept."""

MOVING = "quledger_move"
"""The key under which a mover leaves its mark in a document."""

WRAPPED = "document"
"""The key under which a front end's document lies in our own collection."""

MAX_BYTES = 16 * 1024 * 1024 - 4096
"""Bytes of BSON in one document: MongoDB's limit, with room for an id and a mark."""

_DEEPEST = 90
"""MongoDB allows 100 levels of nesting, of which a wrapper takes some."""

_LARGE_ID = re.compile(r"[0-9a-f]{32}")
_NOTE = (
    "BSON cannot hold this document, or it is larger than a MongoDB document may be. It is whole in `content`, or in"
    " the GridFS bucket `large` of the database `quledger` under the id that `large` says."
)


class StoredValue(NamedTuple):
    """Bytes that are kept as such: here, or as a large document elsewhere.

    Attributes:
        size: in bytes.
        content: None where they are elsewhere.
        large: their id there; empty where they are here.
    """

    size: int
    content: bytes | None = None
    large: str = ""

    def as_field(self) -> dict[str, Any]:
        """Return what stands for them in a document."""
        where: dict[str, Any] = (
            {"large": self.large} if self.content is None else {"content": bson.Binary(self.content)}
        )
        return {"size": self.size} | where


def kept(document: Mapping[str, Any]) -> StoredValue | None:
    """Return the bytes that a document of ours keeps; None for any other document, whatever it holds."""
    field = document.get(BYTES)
    if not isinstance(field, dict) or not isinstance(size := field.get("size"), int):
        return None
    content, large = field.get("content"), field.get("large")
    if isinstance(content, bytes) and len(content) == size:
        return StoredValue(size, content)
    if isinstance(large, str) and _LARGE_ID.fullmatch(large):
        return StoredValue(size, None, large)
    return None


def to_bson(content: bytes, folder: str) -> dict[str, Any] | None:
    """Return the BSON document with the JSON value of `content`; None where only the bytes themselves will do.

    Of a job or a public key the value is enough. What else Quledger writes has to be read back byte by byte.
    """
    try:
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not _storable(value):
        return None
    if not folder.startswith(("jobs/", "backends/public_keys")) and _canonical(value) != content:
        return None
    if folder == "backends/configs":
        for holder in (value, value.get("payload")):
            if isinstance(holder, dict):
                _with_date(holder)
    try:
        size = len(bson.encode(value))
    except (bson.errors.BSONError, OverflowError, UnicodeError, RecursionError):
        return None  # whole numbers beyond 64 bit, half characters, zeros in a key
    return value if size <= MAX_BYTES else None


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """Return the JSON text of a BSON document: the same bytes for the same document."""
    return _canonical({name: value for name, value in document.items() if name not in ("_id", MOVING)})


def stand_in(content: bytes, folder: str) -> dict[str, Any]:
    """Return what front ends find where the bytes are kept otherwise: of a result all but its outcomes."""
    if not folder.startswith("results/"):
        return {}
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    inner = value.get("payload", value)
    if isinstance(inner, dict):
        inner["results"] = []
        inner["header"] = {"note": _NOTE}
    rest = to_bson(json.dumps(value).encode("ascii"), folder)
    return rest if rest is not None and len(bson.encode(rest)) < MAX_BYTES // 16 else {}


def with_bytes(field: StoredValue, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document that keeps the bytes, with a note for whoever finds it."""
    return {**content, BYTES: field.as_field() | {"note": _NOTE}}


def _canonical(value: Any) -> bytes:
    return json.dumps(value, default=_plain).encode("ascii")


def _plain(value: Any) -> Any:
    """Return the JSON form of a value that only BSON has."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        with contextlib.suppress(UnicodeDecodeError):
            return value.decode("ascii")  # sqooler keeps the base64 text of a public key as bytes
    try:
        return json_util.default(value)
    except TypeError:
        return str(value)


def _with_date(config: dict[str, Any]) -> None:
    """Make the time of the last look at the queue a date, as front ends expect it, where it says no more than one."""
    said = config.get("last_queue_check")
    try:
        moment = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return
    if moment is not None and moment.tzinfo is UTC and moment.isoformat() == said and moment.microsecond % 1000 == 0:
        config["last_queue_check"] = moment


def _storable(value: dict[str, Any]) -> bool:
    """Say whether the names and the nesting are such that every MongoDB takes them."""
    if not value.keys().isdisjoint(("_id", BYTES, MOVING)):
        return False
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for holder in level:
            if isinstance(holder, dict):
                if any(name.startswith("$") for name in holder):
                    return False
                holder = holder.values()  # noqa: PLW2901 - the same thing, without its names
            below += [each for each in holder if isinstance(each, dict | list)]
        if not below:
            return True
        level = below
    return False
