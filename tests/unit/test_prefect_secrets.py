"""The key and the database of our own Prefect server: whose they are, and that the one is not in the other."""

import json
import logging
import sqlite3
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from deployments.processes.prefect_secrets import KEY, VARIABLE, keep_secret, warn_of_open_logins
from models.errors import BadSetting
from models.settings import Settings
from tasks.prefect_settings import database, home


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Those of a home in which Prefect has its folder."""
    settings = Settings(home=tmp_path)
    home(settings).mkdir()
    return settings


def on_sqlite(settings: Settings) -> dict[str, str]:
    """Return the environment of a server with our own database."""
    return {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database(settings)}"}


def test_a_home_has_one_key_for_its_owner_alone(settings: Settings):
    """It is made once, and neither it nor the database is for others to read, whatever made the database."""
    database(settings).touch(0o644)
    first, second = (keep_secret(settings, on_sqlite(settings))[VARIABLE] for _ in range(2))
    Fernet(first)
    assert first == second
    modes = {path.name: path.stat().st_mode & 0o777 for path in home(settings).iterdir()}
    assert modes == {"prefect.db": 0o600, KEY: 0o600}


def test_a_key_in_the_database_goes_into_the_file(settings: Settings):
    """What it has encrypted can still be read, and no trace of it is left in the database."""
    key = Fernet.generate_key().decode()
    with sqlite3.connect(database(settings)) as connection:
        connection.execute("CREATE TABLE configuration (key TEXT, value JSON)")
        rows = [("ENCRYPTION_KEY", json.dumps({"fernet_key": key})), ("TELEMETRY", "{}")]
        connection.executemany("INSERT INTO configuration VALUES (?, ?)", rows)
    connection.close()
    assert keep_secret(settings, on_sqlite(settings))[VARIABLE] == key
    assert (home(settings) / KEY).read_text() == key
    assert key.encode() not in database(settings).read_bytes()
    with sqlite3.connect(database(settings)) as connection:
        assert connection.execute("SELECT key FROM configuration").fetchall() == [("TELEMETRY",)]
    connection.close()


def test_a_key_of_the_operator_goes_first(settings: Settings):
    """No other one is made then, nor for a database on a server, which may be others' too."""
    given = on_sqlite(settings) | {VARIABLE: "theirs"}
    assert keep_secret(settings, given) == given
    elsewhere = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://db/prefect"}
    assert keep_secret(settings, elsewhere) == elsewhere
    assert not (home(settings) / KEY).exists()


def test_a_broken_key_is_named_and_not_replaced(settings: Settings):
    """With another one the logins could not be read any more."""
    (home(settings) / KEY).write_text("nonsense")
    with pytest.raises(BadSetting, match=KEY):
        keep_secret(settings, on_sqlite(settings))
    assert (home(settings) / KEY).read_text() == "nonsense"


@pytest.mark.parametrize(
    ("storage", "password", "warned"),
    [
        ("block://cloud", "", True),
        ('{"lab": "file:///srv", "cloud": "block://cloud"}', "", True),
        ("block://cloud", "ann:secret", False),
        ("file:///srv", "", False),
    ],
)
def test_open_logins_are_warned_of(  # noqa: PLR0913 - fixtures and parameters
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    storage: str,
    password: str,
    warned: bool,  # noqa: FBT001 - a parameter of the test
):
    """Where blocks keep logins and the API has no password."""
    for name in ("PREFECT_API_AUTH_STRING", "PREFECT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", password)
    with caplog.at_level(logging.WARNING):
        warn_of_open_logins(Settings(home=settings.home, storage=storage))
    assert ("logins_unprotected" in caplog.text) is warned
