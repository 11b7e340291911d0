"""Settings: what is empty is unset, and whatever a home is called, everything of it lies there."""

import os
import sqlite3
from pathlib import Path

import pytest

from deployments.cli.config import strange
from models.errors import BadSetting, StorageUnavailable
from models.settings import Settings
from storage.log.database import open_database
from storage.providers.folder import FolderStorage
from storage.providers.registry import open_storage
from tasks import prefect_settings

NAMES = ["a%20b", "a?b=c&d#e", "50%", "ü 量子", '$HOME {x} [y] it\'s "z" a:b;c@d\\+']


@pytest.mark.parametrize("name", NAMES)
def test_a_home_is_where_it_is_said_to_be(tmp_path: Path, name: str):
    """Database and storage lie in the folder of exactly this name, and Prefect's database is named there too."""
    settings = Settings(home=tmp_path / name)
    open_database(settings.database_url).dispose()
    open_storage(settings.storages[""]).put("here.json", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "quledger.db").stat().st_size
    assert (tmp_path / name / "storage" / "here.json").exists()
    url = prefect_settings.server_environment(settings)["PREFECT_SERVER_DATABASE_CONNECTION_URL"]
    # By what opens it in Prefect's server.
    open_database(url.replace("+aiosqlite", "")).dispose()
    with sqlite3.connect(tmp_path / name / "prefect" / "prefect.db") as database:
        assert database.execute("SELECT count(*) FROM job").fetchone() == (0,)
    database.close()


@pytest.mark.parametrize("name", ["a%20b", "a?b", "a#b", "50%", "ü"])
def test_a_storage_is_named_by_its_escaped_url(tmp_path: Path, name: str):
    """What Python's `as_uri` and a browser write is the folder of exactly this name."""
    open_storage((tmp_path / name).as_uri()).put("here.json", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("end", ["a?b", "a#b", "a?", "a#", "#a/b"])
def test_a_url_that_would_be_cut_is_refused(tmp_path: Path, end: str):
    """Two laboratories would get one folder, or one database."""
    with pytest.raises(BadSetting, match="%3F"):
        open_storage(f"file://{tmp_path}/{end}")
    if "?" in end:
        with pytest.raises(BadSetting, match="%3F"):
            open_database(f"sqlite:///{tmp_path}/{end}")


def test_names_that_are_no_text_stay_apart(tmp_path: Path):
    """Two folders whose names are bytes of an old encoding are two storages; a home has to be UTF-8."""
    for byte in (b"\xfc", b"\xf6"):
        FolderStorage(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + byte)).as_uri()).put("here.json", byte)
    assert sorted(os.listdir(os.fsencode(tmp_path))) == [b"\xf6", b"\xfc"]
    with pytest.raises(BadSetting, match="QULEDGER_HOME"):
        Settings.read(home=os.fsdecode(b"/srv/\xfc"))
    with pytest.raises(StorageUnavailable):
        FolderStorage("file:///a%00b").get("here.json")


def test_what_is_empty_is_unset(monkeypatch: pytest.MonkeyPatch):
    """Docker Compose hands on `QULEDGER_X=` where nothing is set: each setting has its default then."""
    for name in list(os.environ):
        if name.startswith("QULEDGER_"):
            monkeypatch.delenv(name)
    for name in Settings.model_fields:
        monkeypatch.setenv(f"QULEDGER_{name.upper()}", "")
    assert Settings.read() == Settings.model_construct()


def test_a_home_of_nobody_is_named(monkeypatch: pytest.MonkeyPatch):
    """A container may run as a user that has no home."""
    with pytest.raises(BadSetting, match="QULEDGER_HOME"):
        Settings.read(home=Path("~nobody-of-this-name/lab"))


@pytest.mark.parametrize("name", ["CONCURRENCY", "MAX_ATTEMPTS", "MEMORY_MB", "RESULT_MB", "LEASE_SECONDS"])
@pytest.mark.parametrize("value", ["1" + "0" * 40, "1e400", "nan", "-1"])
def test_a_number_that_nothing_can_have_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    """It would be refused later, by the system, in the midst of a job."""
    monkeypatch.setenv(f"QULEDGER_{name}", value)
    with pytest.raises(BadSetting, match=f"QULEDGER_{name}"):
        Settings.read()


@pytest.mark.parametrize(
    ("name", "shape"), [("QULEDGER_MAIL_TO", '["...", "..."]'), ("QULEDGER_DISPATCH", '{"...": ...}')]
)
def test_what_is_no_json_is_told_its_shape(monkeypatch: pytest.MonkeyPatch, name: str, shape: str):
    """A list or an object, and nothing of what was written."""
    monkeypatch.setenv(name, "secret@example.org")
    with pytest.raises(BadSetting) as refused:
        Settings.read()
    assert str(refused.value) == f"{name}: it is not the JSON that belongs there, such as '{shape}'"


def test_a_variable_with_a_slip_in_its_name_is_named():
    """Nothing reads it, and so nobody else would say so."""
    variables = ["QULEDGER_HOME", "quledger_sign", "QULEDGER_CRASH", "QULEDGER_CONCURENCY", "QULEDGER_XYZ", "HOME"]
    assert strange(Settings.model_fields, variables) == [
        "# 'QULEDGER_CONCURENCY' is set, and is no setting; did you mean QULEDGER_CONCURRENCY?",
        "# 'QULEDGER_XYZ' is set, and is no setting",
    ]
