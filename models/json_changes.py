"""Where two JSON values differ, a bounded number of places."""

import itertools
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from models.errors import printable

MOST = 100
"""So many places are named; that there are more is said."""

MISSING = object()


class Place(NamedTuple):
    """A place in two JSON values, such as `experiment_0.instructions[2]`; a side that is missing there is None."""

    path: str
    one: str | None
    other: str | None


def changes(one: Any, other: Any) -> tuple[list[Place], bool]:
    """Return the first places in which two JSON values differ, and whether there are more."""
    found = list(itertools.islice(_walk(one, other, ""), MOST + 1))
    return found[:MOST], len(found) > MOST


def _walk(one: Any, other: Any, path: str) -> Iterator[Place]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            where = f"{path}.{key[:60]}" if path else key[:60]
            yield from _walk(one.get(key, MISSING), other.get(key, MISSING), where)
    elif isinstance(one, list) and isinstance(other, list):
        for place, (left, right) in enumerate(itertools.zip_longest(one, other, fillvalue=MISSING)):
            yield from _walk(left, right, f"{path}[{place}]")
    elif type(one) is not type(other) or one != other:
        yield Place(path or "all", _said(one), _said(other))


def _said(value: Any) -> str | None:
    return None if value is MISSING else printable(json.dumps(value))
