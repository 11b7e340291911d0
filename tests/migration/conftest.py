"""Databases without tables, of each kind."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import new_logs


@pytest.fixture(autouse=True)
def migrations() -> Iterator[None]:
    """New logs are made by the migrations themselves."""
    with new_logs.by_migrations():
        yield


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Give the URL of an empty database of one kind, by a name of its own."""
    if request.param == "sqlite":
        yield lambda name: f"sqlite:///{tmp_path / name}.db"
        return
    server = request.getfixturevalue("postgres")
    made: list[str] = []

    def new(_name: str) -> str:
        # Without tables: what is to be tried is how those of the release become today's.
        made.append(server.fresh(b"SELECT 1"))
        return made[-1]

    yield new
    for url in made:
        server.give_back(url)
