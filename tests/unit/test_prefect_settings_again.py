"""What the forked programs of the tests have as Prefect's settings is what Prefect would read."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from models.settings import Settings
from tasks.prefect_settings import prepare
from tests.prefect_settings_again import KnownSettings, of_prefect


def read(home: Path, port: int) -> Any:
    """Go into the environment of a program of this home, whose server is at this port; return what Prefect reads."""
    from prefect.context import root_settings_context  # noqa: PLC0415 - Prefect takes seconds to import

    prepare(Settings(home=home))
    os.environ |= {"PREFECT_HOME": str(home / "prefect"), "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    os.chdir(home / "prefect")
    return root_settings_context()


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KnownSettings]:
    """What is known of one program."""
    monkeypatch.chdir(tmp_path)
    with mock.patch.dict(os.environ):
        for name in of_prefect(os.environ):
            del os.environ[name]
        yield KnownSettings(os.environ, read(tmp_path / "one", 65535))


def test_another_home_and_another_server_are_as_if_read(known: KnownSettings, tmp_path: Path):
    """Every setting that is made of them is another one, and none else."""
    there = read(tmp_path / "other", 4200)
    assert known.now() == there
    assert str(there.settings.profiles_path) == os.devnull
    assert there.settings.home == tmp_path / "other" / "prefect"
    assert there.settings.ui_url == "http://127.0.0.1:4200"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PREFECT_API_KEY", "k"),
        ("PREFECT_API_URL", "https://cloud/api"),
        ("PREFECT_SERVER_UI_API_URL", "/other"),
        ("PREFECT_HOME", "~/there"),
    ],
)
def test_any_other_setting_is_read(known: KnownSettings, name: str, value: str):
    """It may change more than itself."""
    os.environ[name] = value
    assert known.now() is None


@pytest.mark.parametrize("name", [".env", "prefect.toml", "pyproject.toml"])
def test_where_a_file_has_settings_they_are_read(known: KnownSettings, name: str):
    """Prefect looks for it in the current folder."""
    Path(name).write_text("")
    assert known.now() is None
