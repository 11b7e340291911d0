"""Fixtures of all tests that run the program, and the crash matrix at the end of their report."""

import contextlib
import gc
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import hypothesis
import pytest
from execnet import XSpec

import deployments.processes.prefect_server
from deployments.processes.prefect_server import prefect_server
from models.settings import Settings
from tests import empty_log, forked, new_logs, order, prefect_home, processes, xdist_worker
from tests.contract.storages import Servers
from tests.installation import Installation, installation_on
from tests.postgres import Server, postgres_server
from tests.sqooler_peer import Peer, sqooler_peer

WAYS = ("kill", "term", "raise")

SERVERS = {"prefect_api", "postgres"}
"""Fixtures that start a server."""

SERVED = {"postgresql", "s3", "fsspec", "mongodb", "mongod", "dropbox"}
"""Databases and storages that are a server: a test's parameter, or a file of tests for one alone."""

# On a busy machine an example takes as long as it takes.
hypothesis.settings.register_profile("all", deadline=None)
hypothesis.settings.register_profile("check", deadline=None, max_examples=20)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "all"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[XSpec]) -> None:
    """The test processes are forked from this one."""
    xdist_worker.fork(config, specs)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage while all is imported, nor later in what is there then: there is none, and to look costs."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark the tests that need a server, which `make check` leaves out, and put the files into a good order."""
    for item in items:
        values = item.callspec.params.values() if hasattr(item, "callspec") else ()
        kinds = {value if isinstance(value, str) else getattr(value, "name", None) for value in values}
        if item.path.parent.name == "contract":
            kinds.add(item.path.stem.split("_")[1])
        if kinds & SERVED or SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("server")
    yield
    # Those of the client stand beside it, outside this folder.
    paths = dict.fromkeys(item.path for item in items)
    names = {path: Path(os.path.relpath(path, Path(__file__).parent)).as_posix() for path in paths}
    places = {name: place for place, name in enumerate(order.in_order(names.values()))}
    items.sort(key=lambda item: places[names[item.path]])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the matrix of this run, from what each test recorded, in whatever process it ran."""
    matrix: dict[tuple[str, str, str], str] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in report.user_properties:
                if name == "crash":
                    kind, point, way, found = value
                    matrix[kind, point, way] = found if outcome == "passed" else "FAILED"
    if not matrix:
        return
    terminalreporter.section("crash matrix")
    terminalreporter.write_line(f"{'storage':<9}{'crash point':<26}" + "".join(f"{way:<20}" for way in WAYS))
    for kind, point in sorted({(kind, point) for kind, point, _ in matrix}):
        cells = "".join(f"{matrix.get((kind, point, way), '-'):<20}" for way in WAYS)
        terminalreporter.write_line(f"{kind:<9}{point:<26}{cells}")


@pytest.fixture(scope="session", autouse=True)
def forked_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The test processes of a run fork from the same processes, and no program that was forked outlives the tests."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        for each in (forked, processes):
            each.share(tmp_path_factory.getbasetemp().parent)
    yield
    forked.end()


@pytest.fixture(scope="session", autouse=True)
def new_logs_of_sqlite() -> Iterator[None]:
    """What the migrations do is tried in tests/migration; the others need only what they make."""
    with new_logs.quickly_made():
        yield


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server for all tests of the session."""
    home = tmp_path_factory.mktemp("prefect")
    prefect_home.fill(home / "prefect")
    # Left alone by the tests: the server's settings come from the environment that starts it.
    before = dict(os.environ)
    os.environ.pop("PREFECT_API_URL", None)
    try:
        with contextlib.ExitStack() as stack:
            with forked.forking(deployments.processes.prefect_server):
                url = stack.enter_context(prefect_server(Settings(home=home)))
            yield url
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(autouse=True)
def prefect_of_those_who_ask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Only a test that has asked for the session's Prefect server finds its address in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        if "prefect_api" not in request.fixturenames:
            patch.delenv("PREFECT_API_URL", raising=False)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for all tests of the session."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def storage_servers() -> Iterator[Servers]:
    """The servers of every kind of storage, each started when a test first needs it."""
    servers = Servers()
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def peer() -> Iterator[Peer]:
    """The published sqooler package, for all tests of the session."""
    with sqooler_peer() as peer:
        yield peer


@pytest.fixture
def installation(tmp_path: Path, prefect_api: str) -> Installation:
    """A laboratory that uses the session's Prefect server; its log is made."""
    installation = Installation(tmp_path, prefect_api)
    empty_log.put(installation.home)
    return installation


@pytest.fixture
def stored_installation(
    request: pytest.FixtureRequest, tmp_path: Path, prefect_api: str, storage_servers: Servers
) -> Iterator[Installation]:
    """A laboratory like `installation`, on a storage of the kind that the test is parametrised with."""
    with installation_on(request.param, tmp_path, prefect_api, storage_servers) as installation:
        empty_log.put(installation.home)
        yield installation


@pytest.fixture
def lone_installation(tmp_path: Path) -> Installation:
    """A laboratory that knows of no Prefect server."""
    return Installation(tmp_path, None)
