"""What database, storages, Prefect and disks answer when they are asked how they are, and when they do not answer."""

import contextlib
import os
import resource
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.checkup import Checkup
from models import clock
from models.errors import StorageError
from models.health import Health, Sign
from models.settings import Settings
from storage import layout
from storage.audit.verify import Verifier
from storage.log import condition
from storage.providers.folder import FolderStorage
from storage.providers.protocol import StorageProvider
from tasks.health import side_by_side
from tasks.health.questions import try_storage
from tasks.services import Services
from tests.contract.conftest import Houses
from tests.contract.databases import Databases
from tests.contract.log_fixture import LogFixture, dumped

LIMIT = 20_000


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never says a word: host and port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but the test's."""
    for name in [name for name in os.environ if name.startswith(("QULEDGER_", "PREFECT_", "AWS_"))]:
        monkeypatch.delenv(name)


def statuses(found: Health) -> dict[str, str]:
    """Return the status of each part."""
    return {part.name: part.status for part in found.parts}


def says(found: Health, name: str) -> str:
    """Return what was found of a part, and what to do about it."""
    (part,) = [part for part in found.parts if part.name == name]
    return f"{part.says}; {part.do}"


def laboratory(folder: Path, url: str, **settings: object) -> Services:
    """Return a laboratory on a database that is there, with a folder as its storage."""
    return Services(Settings(home=folder / "home", database=url, **settings))  # type: ignore[arg-type]


def test_a_laboratory_that_works(databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part answers; asking leaves nothing in the storage and appends nothing to the log."""
    monkeypatch.setattr(side_by_side, "DEADLINE", 60.0)  # on a busy machine too
    url = databases.new(tmp_path)
    services = laboratory(tmp_path, url, free_mb=0, storage=(tmp_path / "store").as_uri())
    engine = databases.open(url)
    condition.put_sign(engine, services.worker, clock.now(), 10.0, ["rydberg"], "http://127.0.0.1:1/api")
    lab = LogFixture(tmp_path, engine)
    lab.submit()
    lab.relay.update_all()
    before, files = dumped(lab), lab.files()
    found = Checkup(services).ask()
    assert statuses(found) == {
        "database": "ok", "mirror": "ok", "drains": "ok", "notices": "ok", "storage": "ok", "backends": "odd",
        "disk": "ok", "logs": "ok", "prefect": "down", "schedules": "unknown", "clock": "ok",
    }  # fmt: skip
    assert says(found, "drains").startswith(f"{services.worker} serves, last sign of life ")
    assert says(found, "prefect").startswith("Prefect at http://127.0.0.1:1/api does not answer")
    assert dumped(lab) == before
    assert lab.files() == files
    assert list(Verifier(engine, lab.stores).all()) == []


def test_a_database_is_asked_to_write_and_tells_its_time(databases: Databases, tmp_path: Path) -> None:
    """Again and again; one that may only be read is named."""
    engine = databases.open(url := databases.new(tmp_path))
    for _ in range(2):
        condition.write_and_read(engine)
    told = condition.server_time(engine)
    assert told is None if databases.kind == "sqlite" else told is not None
    assert told is None or abs(datetime.now(UTC) - told) < timedelta(minutes=1)
    if databases.kind == "postgresql":
        readonly = laboratory(tmp_path, f"{url}?options=-c%20default_transaction_read_only%3Don")
        assert "it may only be read" in says(Checkup(readonly).ask(), "database")


def test_the_lag_of_the_mirror(log_fixtures: Houses, tmp_path: Path) -> None:
    """It is that of the oldest event which is not in the storage yet."""
    lab = log_fixtures(tmp_path)
    assert condition.lag(lab.log.engine) == (0, None)
    lab.submit("first")
    time.sleep(0.001)
    lab.submit("second")
    began = lab.log.history("first")[0].recorded_at
    assert condition.lag(lab.log.engine) == (2, began)
    assert condition.oldest_waiting(lab.log.engine) == {"rydberg": lab.log.get("first").received_at}
    lab.relay.update_all()
    assert condition.lag(lab.log.engine) == (0, None)
    lab.finish(lab.take())
    claimed = [event.recorded_at for event in lab.log.history("first") if event.kind == "claimed"]
    assert condition.lag(lab.log.engine) == (1, claimed[0])
    times = condition.step_times(lab.log.engine, began, 10)
    assert [(backend, job, kind) for backend, job, kind, _ in times] == [
        ("rydberg", "first", event.kind) for event in lab.log.history("first")
    ]


def test_signs_of_life(log_fixtures: Houses, tmp_path: Path) -> None:
    """One for each process; a drain takes its own away and not that of the one which followed it."""
    engine = log_fixtures(tmp_path).log.engine
    first, second = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    condition.put_sign(engine, "a:1:x", first, 10.0, ["rydberg"], "p")
    condition.put_sign(engine, "a:1:x", second, 5.0, [], "q")
    condition.put_sign(engine, "b:1:x", first, 5.0, [], "q")
    condition.remove_sign(engine, "a:1:x", first)
    condition.remove_sign(engine, "b:1:x", first)
    ((sign, prefect),) = condition.signs(engine)
    assert sign == Sign("a:1:x", second, sign.seen_at, 5.0)
    assert prefect == "q"


def test_a_storage_writes_reads_and_removes(storage: StorageProvider) -> None:
    """And tells its time, where a list of documents has it; nothing is left behind."""
    ahead = try_storage(storage)
    assert ahead is None or abs(ahead) < 30
    assert [entry.name for entry in storage.entries("staged")] == []


class Forgetful(FolderStorage):
    """A folder that forgets what was written."""

    def put(self, path: str, content: bytes) -> None:
        """Write it elsewhere."""
        super().put(f"{path}.lost", content)


def test_a_storage_that_loses_what_was_written_is_named(tmp_path: Path) -> None:
    """It may answer as quickly as it likes."""
    with pytest.raises(StorageError, match="just written is not there"):
        try_storage(Forgetful(tmp_path.as_uri()))


@pytest.mark.slow
@pytest.mark.parametrize("what", ["database", "storage", "prefect"])
def test_what_hangs_is_named_in_time(what: str, silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And everything else is asked all the same."""
    settings = Settings(
        home=tmp_path / "home",
        database=f"postgresql://u:p@{silent}/lab" if what == "database" else "",
        storage="s3://lab/here" if what == "storage" else "",
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{silent}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    services = Services(settings)
    if what == "database":
        services.stores.of("").put(layout.MARK, b"{}")  # it has been used: of an empty one the log is asked
    else:
        condition.put_sign(services.log.engine, services.worker, clock.now(), 10.0, [], "")
    checkup = Checkup(services, f"http://{silent}/api" if what == "prefect" else "")
    began = time.monotonic()
    found = checkup.ask()
    assert time.monotonic() - began < 5
    assert [part.name for part in found.down] == [what]
    assert "answer" in says(found, what)
    depending = {
        "database": {"mirror", "drains", "notices", "backends", "prefect", "schedules"},
        "storage": {"backends"},
        "prefect": {"schedules"},
    }[what]
    assert {name for name, status in statuses(found).items() if status == "unknown"} == depending


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may grow beyond `LIMIT` bytes while the test runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


def test_a_disk_that_takes_no_more_is_named(tmp_path: Path, small_files: None) -> None:
    """A storage has no room for what a job writes; and a disk with less than has to be free is down."""
    found = Checkup(Services(Settings(home=tmp_path, free_mb=1_000_000_000))).ask()
    assert {"storage", "disk"} <= {part.name for part in found.down}
    assert "the storage takes no document as large" in says(found, "storage")
    assert "free some space" in says(found, "disk")


def test_errors_in_the_log_files_are_counted(tmp_path: Path) -> None:
    """Those of the last day; what they say is left to the files."""
    now = datetime.now(UTC)
    lines = [
        f"{now - timedelta(days=2):%Y-%m-%d %H:%M:%S},000 ERROR quledger: long ago",
        f"{now:%Y-%m-%d %H:%M:%S},000 ERROR quledger: s3cret",
        f"{now:%Y-%m-%d %H:%M:%S},000 WARNING quledger: no error",
    ]
    (tmp_path / "worker.log").write_text("".join(f"{line}\n" for line in lines))
    found = Checkup(Services(Settings(home=tmp_path))).ask()
    assert says(found, "logs").startswith("1 error in worker.log within a day")
    assert "s3cret" not in found.model_dump_json()


def test_a_database_that_is_locked_says_so(tmp_path: Path) -> None:
    """Whoever holds it is the cause, not the disk."""
    services = Services(Settings(home=tmp_path))
    services.log.engine.dispose()
    with contextlib.closing(sqlite3.connect(tmp_path / "quledger.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        found = Checkup(services).ask()
    assert "another process holds it; end that process or wait" in says(found, "database")
