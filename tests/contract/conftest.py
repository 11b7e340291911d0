"""Contract tests that ask for `databases` run on SQLite and PostgreSQL, those that ask for `store` on every storage."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.log.database import open_database
from storage.providers.protocol import StorageProvider
from storage.providers.registry import open_storage
from tests.contract.databases import Databases
from tests.contract.log_fixture import LogFixture
from tests.contract.storages import KINDS, Servers, Store, kind_named, surrounded
from tests.postgres import Server

Houses = Callable[[Path], LogFixture]


@pytest.fixture(scope="session")
def empty_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of SQLite with an empty log; to copy it is quicker than the migrations."""
    path = tmp_path_factory.mktemp("empty") / "log.db"
    open_database(f"sqlite:///{path}").dispose()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """Fresh databases of one kind; `@on("sqlite")` and the like keep a test to one."""
    made: list[str] = []

    def fresh(folder: Path) -> str:
        if request.param == "sqlite":
            path = folder / "log.db"
            if not path.exists():
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(request.getfixturevalue("empty_log"), path)
            return f"sqlite:///{path}"
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


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path, storage_servers: Servers) -> Iterator[Store]:
    """An empty storage of each kind."""
    kind = kind_named(request.param)
    place = storage_servers.place(kind, tmp_path)
    deviation = kind.deviations.get(request.function.__name__)
    if deviation is not None:
        request.node.add_marker(pytest.mark.xfail(reason=deviation, strict=True))
    with surrounded(place):
        yield Store(kind, place, open_storage(place.url))


@pytest.fixture
def storage(store: Store) -> StorageProvider:
    """The storage alone."""
    return store.storage
