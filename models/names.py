"""Ids and names from outside, checked before they become part of a path."""

import hashlib
import json
import re
import unicodedata
import uuid
from collections.abc import Collection
from datetime import UTC, datetime
from typing import NamedTuple

from models.errors import BadName, echo

_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,199}")
JOB_ID_SAID = "letters, digits, '-', '_' and '.', at most 200 of them"
"""What a job id is made of, as people are told."""

_DISPLAY_NAME = re.compile(r"[a-z0-9]{1,100}")
_DATED_ID = re.compile(r"(?:job-)?(\d{8}_\d{6})-([a-z0-9]+)-(.+)-([0-9a-fA-F]{5})")

NO_JOB_DOCUMENT = f"it is not a job document: that is a file called by its job's id ({JOB_ID_SAID}) and .json"

LEAST_PREFIX = 4
"""Characters of the beginning of an id that may stand for the whole."""

MAX_NAMED = 5
"""So many ids are named where several begin alike."""


class DatedId(NamedTuple):
    """The parts of a job id of the Dropbox layout: `YYYYmmdd_HHMMSS-BACKEND-USER-5hex`, in UTC."""

    submitted_at: datetime
    backend: str
    user: str


def new_job_id() -> str:
    """Return a new job id: 24 hexadecimal digits, which MongoDB takes as an ObjectId."""
    return uuid.uuid4().hex[:24]


def job_id_of_key(  # noqa: PLR0913 - what tells a key
    backend: str, user: str, project: str, key: str, nth: int = 0, *, is_proven: bool = False
) -> str:
    """Return the job id that belongs to an idempotency key of a user in a project: one key is one job.

    Args:
        nth: 0 at first; 1, 2 ... where the ids before belong to jobs of others.
        is_proven: the user has proven who he is: whoever only bears his name has other keys.
    """
    # As JSON: no two lists have one text, whatever their members hold.
    text = json.dumps(["proven" if is_proven else "key", backend, user, project, key, nth], separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:24]


def job_id_for(backend: str, idempotency_key: str) -> str:
    """Return the job id of a flow run; up to release 0.1.0 also that of an idempotency key, when keys had no owner."""
    return hashlib.sha256(f"{backend}\0{idempotency_key}".encode()).hexdigest()[:24]


def one_spelling(name: str) -> str:
    """Return a name of a person or project in the one spelling that equal names share (Unicode's NFC)."""
    return unicodedata.normalize("NFC", name)


def id_meant(text: str, ids: Collection[str]) -> str | None:
    """Return which of these ids is meant by one of them, or by the beginning of one alone; None where none is.

    Raises:
        BadName: several begin so.
    """
    if text in ids:
        return text
    found = sorted(each for each in ids if each.startswith(text)) if len(text) >= LEAST_PREFIX else []
    if len(found) > 1:
        named = ", ".join(found[:MAX_NAMED]) + (", ..." if len(found) > MAX_NAMED else "")
        raise BadName(f"several ids begin with {echo(text)}: {named}; write more of it")
    return found[0] if found else None


def is_job_id(text: str) -> bool:
    """Return whether `text` may be used as a job id: one plain path segment without `..`."""
    return _JOB_ID.fullmatch(text) is not None and ".." not in text


def check_job_id(text: str) -> str:
    """Return `text` if it is a job id.

    Raises:
        BadName: it is not.
    """
    if not is_job_id(text):
        msg = f"{echo(text)} is not a job id ({JOB_ID_SAID})"
        raise BadName(msg)
    return text


def is_display_name(text: str) -> bool:
    """Return whether `text` may be the display name of a backend."""
    return _DISPLAY_NAME.fullmatch(text) is not None


def check_display_name(text: str) -> str:
    """Return `text` if it may be the display name of a backend.

    Raises:
        BadName: it may not.
    """
    if not is_display_name(text):
        msg = f"{echo(text)} is not a backend name (lower-case letters and digits)"
        raise BadName(msg)
    return text


def dated_id(job_id: str) -> DatedId | None:
    """Return the parts of a Dropbox job id; None if the id has another form. User names may hold dashes."""
    match = _DATED_ID.fullmatch(job_id)
    if match is None:
        return None
    try:
        moment = datetime.strptime(match[1], "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return DatedId(moment, match[2], match[3])
