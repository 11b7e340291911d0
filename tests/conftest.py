"""Fixtures of all tests that run the program: a real Prefect server, and laboratories of their own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.prefect_server import prefect_server
from models.settings import Settings
from tests.lab import Lab


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server for all tests of the session."""
    home = tmp_path_factory.mktemp("prefect")
    # Left alone by the tests: the server's settings come from the environment that starts it.
    before = dict(os.environ)
    os.environ["PREFECT_HOME"] = str(home)
    os.environ.pop("PREFECT_API_URL", None)
    try:
        with prefect_server(Settings(home=home)) as url:
            yield url
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def lab(tmp_path: Path, prefect_api: str) -> Lab:
    """A laboratory that uses the session's Prefect server."""
    return Lab(tmp_path, prefect_api)


@pytest.fixture
def lonely_lab(tmp_path: Path) -> Lab:
    """A laboratory that knows of no Prefect server."""
    return Lab(tmp_path, None)
