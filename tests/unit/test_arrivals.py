"""When a document in the inbox may be read, and its place in line."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from models import arrivals
from models.arrivals import ends_too_early, patience, place_in_line

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LOOK = NOW - timedelta(seconds=10)


def at(seconds: float) -> datetime:
    """Return the time so many seconds from now."""
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("claimed", "modified", "right"),
    [
        (None, -5, -5),
        (-5, -4.5, -5),
        (-9, -4.5, -9),
        (-(10**9), -5, 0),  # an id of long ago, whose file was written just now
        (None, -(10**9), -10),  # so old a file would have been there at the last look
        (-(10**9), -(10**9), -10),
        (3600, 3600, 0),
        (None, 3600, 0),
        (3600, -5, 0),
    ],
)
def test_nobody_is_served_for_a_time_that_is_too_good_to_be_true(claimed: float | None, modified: float, right: float):
    """Seconds from now: of the id, of its file, and the place in line; the last look was ten seconds ago."""
    place = place_in_line(None if claimed is None else at(claimed), at(modified), LOOK, NOW)
    assert place == at(right)


DOCUMENTS = [
    json.dumps({"a": ['x"\\', {"b": [1, 2, "}]{["]}], 'k\\"': "\\\\"}).encode(),
    json.dumps({"\u00e9": ["\u00fc" * 5, "\\"]}, ensure_ascii=False, indent=1).encode(),
]


@pytest.mark.parametrize("part", [1, 2, 3, 7, 10**6])
@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_ends_too_early_is_known_by_its_open_ends(document: bytes, part: int, monkeypatch: pytest.MonkeyPatch):
    """Every beginning of a document, however it is looked through, and no whole one."""
    monkeypatch.setattr(arrivals, "_PART", part)
    assert not ends_too_early(document)
    assert all(ends_too_early(document[:length]) for length in range(len(document)))


@pytest.mark.parametrize(
    ("content", "seconds"),
    [
        (b"{}", 0),
        (b'{"a": "' + b"x" * 100 + b'"}', 0),
        (b'{"a" 1}', 2),
        (b"\x00\xff\x00", 2),
        (b"", 60),
        (b" \n", 60),
        (b'{"experiment_0": {', 60),
        (b'{"a": "' + b"x" * 200_000, 60),
        (b'{"a": "' + b"x" * 200_000 + b'"}', 2),
    ],
    ids=range(9),
)
def test_how_long_a_document_has_to_lie(content: bytes, seconds: float):
    """A whole one not at all, one that is wrong in itself for a moment, one that ends too early for a minute."""
    assert patience(content, 2) == seconds
