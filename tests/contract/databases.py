"""The databases that the contract tests run on: the same tests for each kind."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from storage.log.database import open_database


class Databases:
    """Fresh databases of one kind, and every engine that a test opens on them.

    Attributes:
        kind: the name of the dialect, as in a URL.
        saved: returns what the database of a URL holds, which nobody may have open.
    """

    def __init__(
        self,
        kind: str,
        empty: bytes,
        filled: Callable[[Path, bytes], str],
        saved: Callable[[str], bytes],
        give_back: Callable[[str], None] = lambda _url: None,
    ) -> None:
        self.kind = kind
        self.saved = saved
        self._empty = empty
        self._filled = filled
        self._give_back = give_back
        self._made: list[str] = []
        self._engines: list[Engine] = []

    def new(self, folder: Path, saved: bytes | None = None) -> str:
        """Return the URL of a database of its own, which holds what was saved, or else an empty log."""
        self._made.append(self._filled(folder, saved or self._empty))
        return self._made[-1]

    def open(self, url: str) -> Engine:
        """Open a database until the end of the test."""
        engine = open_database(url)
        self._engines.append(engine)
        return engine

    def close(self) -> None:
        """Close every connection, and be done with these databases."""
        while self._engines:
            self._engines.pop().dispose()
        while self._made:
            self._give_back(self._made.pop())


def on(kind: str) -> pytest.MarkDecorator:
    """Keep a test to one kind of database."""
    return pytest.mark.parametrize("databases", [kind], indirect=True)
