"""Fixtures of all tests that run the program, and the crash matrix at the end of their report."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from deployments.processes.prefect_server import prefect_server
from models.settings import Settings
from tests import prefect_home
from tests.contract.storages import Servers
from tests.installation import Installation, installation_on
from tests.postgres import Server, postgres_server

WAYS = ("kill", "term", "raise")

# On a busy machine an example takes as long as it takes.
settings.register_profile("quledger", deadline=None)
settings.load_profile("quledger")


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
def prefect_home_is_shared(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All processes of a run share one empty database of Prefect's."""
    base = tmp_path_factory.getbasetemp()
    prefect_home.keep_in(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server for all tests of the session."""
    home = tmp_path_factory.mktemp("prefect")
    prefect_home.fill(home / "prefect")
    # Left alone by the tests: the server's settings come from the environment that starts it.
    before = dict(os.environ)
    os.environ.pop("PREFECT_API_URL", None)
    try:
        with prefect_server(Settings(home=home)) as url:
            yield url
    finally:
        os.environ.clear()
        os.environ.update(before)


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


@pytest.fixture
def installation(tmp_path: Path, prefect_api: str) -> Installation:
    """A laboratory that uses the session's Prefect server."""
    return Installation(tmp_path, prefect_api)


@pytest.fixture
def stored_installation(
    request: pytest.FixtureRequest, tmp_path: Path, prefect_api: str, storage_servers: Servers
) -> Iterator[Installation]:
    """A laboratory like `installation`, on a storage of the kind that the test is parametrised with."""
    with installation_on(request.param, tmp_path, prefect_api, storage_servers) as installation:
        yield installation


@pytest.fixture
def lone_installation(tmp_path: Path) -> Installation:
    """A laboratory that knows of no Prefect server."""
    return Installation(tmp_path, None)
