"""The streams of backends as documents in a storage; those of users, projects and devices are never written there."""

import json
from typing import Any

from sqlalchemy import Connection, Engine

from models.errors import DocumentMissing, echo
from models.events import compact
from models.identity.checking import check_stream
from models.identity.people import Fold
from models.identity.streams import BACKEND, backend_stream
from storage import layout
from storage.identity import streams, views
from storage.log.database import reading
from storage.providers.protocol import StorageProvider

VERSION = 1

Rows = list[dict[str, Any]]
Written = dict[tuple[str, str], str]
"""URL of a storage, and a backend -> hash of the last event that is known to be mirrored there."""


def mirror(engine: Engine, storage: StorageProvider, written: Written) -> None:
    """Bring the mirrored streams of a storage up to the log; one that knows what the log does not is left as it is.

    Args:
        written: what this process has mirrored; it is remembered there.

    Raises:
        StorageError: the storage does not take them now.
    """
    with reading(engine) as connection:
        found = list(streams.streams(connection, BACKEND))
    for stream, rows in found:
        backend, last = stream.partition("/")[2], rows[-1]["hash"]
        if written.get((storage.url, backend)) == last:
            continue
        try:
            theirs = _hashes(read(storage, backend))
        except DocumentMissing:
            theirs = []
        except (ValueError, RecursionError):
            continue  # `restore` names it
        if theirs == _hashes(rows)[: len(theirs)]:
            if len(theirs) < len(rows):
                storage.put(layout.stream(backend), _document(stream, rows))
            written[storage.url, backend] = last


def read(storage: StorageProvider, backend: str) -> Rows:
    """Return the events of a mirrored stream as the log stores them; whether they are true is not asked.

    Raises:
        DocumentMissing: there is none.
        ValueError: it is none of this backend.
    """
    document = json.loads(storage.get(layout.stream(backend)))
    if not isinstance(document, dict) or document.get("stream") != backend_stream(backend):
        msg = "it is no stream of this backend"
        raise ValueError(msg)
    lines = document.get("events")
    if document.get("version") != VERSION or not isinstance(lines, list):
        msg = f"it is a stream of version {echo(document.get('version'))}, and this Quledger knows {VERSION}"
        raise ValueError(msg)
    if not lines or not all(isinstance(line, dict) and "data" in line for line in lines):
        msg = "its events are no list of events"
        raise ValueError(msg)
    return [line | {"data": compact(line["data"])} for line in lines]


def take_over(connection: Connection, storage: StorageProvider, backend: str) -> str:
    """Append what a mirrored stream knows and the log does not; the caller has the turn for it.

    Returns:
        Why log and mirror cannot both be true, in a clause; empty where they can.

    Raises:
        ValueError: the mirrored stream is none, or not what was written.
    """
    stream = backend_stream(backend)
    rows = read(storage, backend)
    checked = check_stream(stream, rows)
    if checked.fold is None or checked.fault is not None:
        raise ValueError(checked.fault)
    ours = [row["hash"] for each, found in streams.streams(connection, BACKEND) if each == stream for row in found]
    theirs = _hashes(rows)
    common = min(len(ours), len(theirs))
    if ours[:common] != theirs[:common]:
        return f"log and mirror of {stream} each hold events that the other does not; the log's stay"
    if len(theirs) > len(ours):
        before: Fold | None = check_stream(stream, rows[: len(ours)]).fold
        streams.add(connection, rows[len(ours) :])
        views.change(connection, before, checked.fold)
    return ""


def _hashes(rows: Rows) -> list[str]:
    return [str(row.get("hash")) for row in rows]


def _document(stream: str, rows: Rows) -> bytes:
    events = [row | {"data": json.loads(row["data"])} for row in rows]
    return json.dumps({"version": VERSION, "stream": stream, "events": events}).encode("utf-8")
