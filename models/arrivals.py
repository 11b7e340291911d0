"""When a document in the inbox may be read, and its place in line. No clock but our own is trusted.

Front ends write into a folder bit by bit, under ids and with times of their own choice.
"""

from datetime import datetime, timedelta

from models.documents import parse_document
from models.errors import JobRejected

EARLY_END = 30
"""JSON that ends too early is waited for so many times as long as a document that is wrong in itself."""

ID_TOLERANCE = timedelta(seconds=5)
"""So much older than its file a document may claim to be: ids count whole seconds, and are made before the file."""

MAX_PARSED = 200_000
"""The largest document, in bytes, that is parsed to see whether it is whole."""

_PART = 1_000_000


def place_in_line(claimed: datetime | None, modified_at: datetime, not_before: datetime, now: datetime) -> datetime:
    """Return the time that decides when a job is served.

    Args:
        claimed: the time in the job's id; None where it has none.
        modified_at: the time of its file.
        not_before: when the inbox was last looked at without finding it.
        now: when it was found, by our own clock.
    """
    if claimed is not None and claimed < modified_at - ID_TOLERANCE:
        return now
    return min(max(claimed or modified_at, not_before), now)


def patience(content: bytes, settle_seconds: float) -> float:
    """Return how long a document has to lie unchanged before it is judged, in seconds; 0 where it is whole."""
    if len(content) <= MAX_PARSED and is_whole(content):
        return 0.0
    return settle_seconds * (EARLY_END if ends_too_early(content) else 1)


def is_whole(content: bytes) -> bool:
    """Say whether this is one JSON document."""
    try:
        parse_document(content)
    except JobRejected:
        return False
    return True


def ends_too_early(content: bytes) -> bool:
    """Say whether more has to come before this can be JSON: nothing is there yet, a string or a bracket is open.

    Each byte is looked at a few times, whatever they are.
    """
    depth, in_string, escaped = 0, False, False
    for start in range(0, len(content), _PART):
        part = content[start : start + _PART]
        if escaped:
            part = part[1:]
        escaped = (len(part) - len(part.rstrip(b"\\"))) % 2 == 1
        pieces = part.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(pieces[in_string::2])
        depth += outside.count(b"{") + outside.count(b"[") - outside.count(b"}") - outside.count(b"]")
        in_string ^= len(pieces) % 2 == 0
    return in_string or depth > 0 or not content.strip()
