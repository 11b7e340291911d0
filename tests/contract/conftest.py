"""Every contract test that asks for `databases` runs on SQLite and on PostgreSQL."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.databases import Databases
from tests.contract.log_fixture import LogFixture
from tests.postgres import Server

Houses = Callable[[Path], LogFixture]


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """Fresh databases of one kind; `@on("sqlite")` and the like keep a test to one."""
    made: list[str] = []

    def fresh(folder: Path) -> str:
        if request.param == "sqlite":
            return f"sqlite:///{folder / 'log.db'}"
        made.append(server.fresh())
        return made[-1]

    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgres")
    databases = Databases(request.param, fresh)
    yield databases
    databases.close()
    for url in made:
        server.drop(url)


@pytest.fixture
def log_fixtures(databases: Databases) -> Houses:
    """Make empty log_fixtures, each in a folder and with a database of its own."""
    return lambda folder: LogFixture(folder, databases.open(databases.new(folder)))
