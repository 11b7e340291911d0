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
    """

    def __init__(self, kind: str, fresh: Callable[[Path], str]) -> None:
        self.kind = kind
        self._fresh = fresh
        self._engines: list[Engine] = []

    def new(self, folder: Path) -> str:
        """Return the URL of a database of its own, whose log is empty."""
        return self._fresh(folder)

    def open(self, url: str) -> Engine:
        """Open a database until the end of the test."""
        engine = open_database(url)
        self._engines.append(engine)
        return engine

    def close(self) -> None:
        """Close every connection."""
        for engine in self._engines:
            engine.dispose()


def on(kind: str) -> pytest.MarkDecorator:
    """Keep a test to one kind of database."""
    return pytest.mark.parametrize("databases", [kind], indirect=True)
