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
Story = Callable[[LogFixture], None]
Told = Callable[[Story], LogFixture]
Kept = dict[tuple[Story, str], tuple[Path, bytes]]


@pytest.fixture(scope="session")
def empty_log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file of SQLite with an empty log; to copy it is quicker than the migrations."""
    path = tmp_path_factory.mktemp("empty") / "log.db"
    open_database(f"sqlite:///{path}").dispose()
    return path.read_bytes()


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """Fresh databases of one kind; `@on("sqlite")` and the like keep a test to one."""
    if request.param == "sqlite":
        databases = Databases("sqlite", request.getfixturevalue("empty_log"), file_with, in_file)
    else:
        server: Server = request.getfixturevalue("postgres")
        databases = Databases(
            "postgresql", server.empty, lambda _, saved: server.fresh(saved), server.dump, server.give_back
        )
    yield databases
    databases.close()


def file_with(folder: Path, saved: bytes) -> str:
    """Put a file of SQLite into a folder, unless there is one; return its URL."""
    path = folder / "log.db"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(saved)
    return f"sqlite:///{path}"


def in_file(url: str) -> bytes:
    """Return what the file of a URL holds."""
    path = Path(url.removeprefix("sqlite:///"))
    assert not path.with_name(f"{path.name}-wal").exists(), "somebody has it open"
    return path.read_bytes()


@pytest.fixture
def log_fixtures(databases: Databases) -> Houses:
    """Make empty log_fixtures, each in a folder and with a database of its own."""
    return lambda folder: LogFixture(folder, databases.open(databases.new(folder)))


@pytest.fixture(scope="session")
def kept() -> Kept:
    """What `log_fixture_after` has made: by what, on which kind of database -> a folder, and what the log holds."""
    return {}


@pytest.fixture
def log_fixture_after(
    databases: Databases, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, kept: Kept
) -> Told:
    """Return a log_fixture after a story, which happens once on each kind of database, and is copied."""

    def after(story: Story) -> LogFixture:
        if (story, databases.kind) not in kept:
            folder = tmp_path_factory.mktemp("after")
            url = databases.new(folder)
            engine = open_database(url)
            story(LogFixture(folder, engine))
            engine.dispose()
            kept[story, databases.kind] = folder, databases.saved(url)
        folder, log = kept[story, databases.kind]
        shutil.copytree(folder / "store", tmp_path / "store")
        return LogFixture(tmp_path, databases.open(databases.new(tmp_path, log)))

    return after


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
