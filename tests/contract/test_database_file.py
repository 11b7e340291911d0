"""The file of an event log holds hashes of tokens and secrets: it is its owner's alone."""

import os
from pathlib import Path

import pytest

from models.settings import Settings
from tasks.services import Services


@pytest.fixture
def usual_mask() -> object:
    """New files are everybody's to read, as usual."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def opened(home: Path) -> Services:
    """Return a laboratory with a log on SQLite that is open."""
    services = Services(Settings(home=home, database=f"sqlite:///{home / 'quledger.db'}", storage=""))
    services.open()
    return services


@pytest.mark.usefixtures("usual_mask")
def test_a_new_log_is_its_owners_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With the files that SQLite puts beside it."""
    services = opened(tmp_path)
    files = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("quledger.db*")}
    assert files == dict.fromkeys(("quledger.db", "quledger.db-wal", "quledger.db-shm"), 0o600)
    assert caplog.records == []
    services.log.engine.dispose()


@pytest.mark.usefixtures("usual_mask")
@pytest.mark.parametrize(("mode", "folder", "warned"), [(0o644, 0o755, 1), (0o640, 0o755, 0), (0o644, 0o700, 0)])
def test_an_old_one_that_others_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, folder: int, warned: int
) -> None:
    """Its mode stays: who runs the laboratory decides."""
    opened(tmp_path).log.engine.dispose()
    (tmp_path / "quledger.db").chmod(mode)
    tmp_path.chmod(folder)
    opened(tmp_path).log.engine.dispose()
    assert caplog.text.count("database_open_to_others") == warned
    assert (tmp_path / "quledger.db").stat().st_mode & 0o777 == mode
