"""What the mirror holds of a job, compared with the log."""

import json
from collections.abc import Sequence
from typing import Any

from models.errors import DocumentMissing
from models.events import Event, Standing, hashes, standing
from storage import layout
from storage.documents.job_documents import HISTORY_VERSION
from storage.providers.protocol import StorageProvider


def mirrored_standing(storage: StorageProvider, backend: str, job_id: str, events: Sequence[Event]) -> Standing:
    """Read the mirrored history of a job, and say how it stands to the events of the log: one request.

    A history that is missing, or that is no JSON any more, holds nothing.
    """
    try:
        content = storage.get(layout.events(backend, job_id))
    except DocumentMissing:
        content = b""
    return standing(chain(content), hashes(events))


def chain(content: bytes) -> list[str]:
    """Return the hashes that a mirrored history names, from the first event on.

    Only the names are read: whether each is the hash of its event is for `verify` and `restore` to say. A history of
    a newer version is a chain that no log of ours has.
    """
    try:
        document: Any = json.loads(content) if content else {}
    except (ValueError, RecursionError):
        return []
    if not isinstance(document, dict) or not isinstance(lines := document.get("events"), list):
        return []
    version = document.get("version")
    if isinstance(version, int) and version > HISTORY_VERSION:
        return [f"version {version}"]
    found = [str(line.get("hash", "")) if isinstance(line, dict) else "" for line in lines]
    return found[: found.index("")] if "" in found else found
