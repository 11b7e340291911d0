"""JSON as people and programs write it: a byte order mark is no part of it, and a key that stands twice is found.

Of a key that stands twice, readers keep the last value and say nothing (RFC 8259, section 4): an experiment is lost.
"""

import json
import re
from typing import Any, NamedTuple

MAX_REPEATED = 100
"""So many repetitions are found."""

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"(?P<key>[ \t\r\n]*:)?|[{}\[\],]')


class Repeated(NamedTuple):
    """A key that its object has already.

    Attributes:
        path: keys and indices that lead to the object.
        line: from 1, of the later one, as is `column`.
        first: line of the earlier one.
    """

    key: str
    path: tuple[str | int, ...]
    line: int
    column: int
    first: int

    def __str__(self) -> str:
        return f"stands twice (line {self.line}, column {self.column}; before on line {self.first})"


def read_json(text: str) -> tuple[Any, list[Repeated]]:
    """Return the JSON value in a text, and the keys that stand twice in it; of these it has the last value.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    is_unique = True

    def joined(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal is_unique
        found = dict(pairs)
        is_unique = is_unique and len(found) == len(pairs)
        return found

    text = text.lstrip("\ufeff")  # several, where files that have one were put together
    value = json.loads(text, object_pairs_hook=joined)
    return value, [] if is_unique else _repeated(text)


class _Level:
    """One object or list while the scan is inside; `place` is the key or index that it has come to."""

    def __init__(self, *, is_list: bool) -> None:
        self.places: dict[str, int] = {}
        self.place: str | int = 0 if is_list else ""


def _repeated(text: str) -> list[Repeated]:
    """Find the keys that stand twice in a text that is JSON; each character is read once."""
    found: list[Repeated] = []
    levels: list[_Level] = []
    for token in _TOKEN.finditer(text):
        sign = token[0][0]
        if sign in "{[":
            levels.append(_Level(is_list=sign == "["))
        elif sign in "}]":
            levels.pop()
        elif sign == "," and isinstance(levels[-1].place, int):
            levels[-1].place += 1
        elif token["key"] is not None:
            level, start = levels[-1], token.start()
            key = level.place = json.loads(text[start : token.start("key")])
            if key in level.places:
                path = tuple(each.place for each in levels[:-1])
                line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
                found.append(Repeated(key, path, line, column, text.count("\n", 0, level.places[key]) + 1))
                if len(found) == MAX_REPEATED:
                    break
            level.places.setdefault(key, start)
    return found
