"""What engines outside bring and say, on every database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.facts import Submitted, Validated
from models.identity.errors import UnknownDevice
from models.identity.facts import DeviceReported
from models.job import State
from models.settings import Settings
from storage.audit.rebuild import rebuild
from storage.identity.audit import control_faults
from storage.identity.devices import Standing, standing
from storage.identity.directory import Directory
from storage.uploads.engine_files import KEPT, EngineFiles
from tasks.jobs.engines import Engine
from tasks.services import Services
from tests.contract.databases import Databases

NOW = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)


def test_files_are_of_one_attempt_and_gone_after_a_day(databases: Databases, tmp_path: Path):
    """The last one counts, whoever brings it at the same time; the end of the job takes all."""
    engine, now = databases.open(databases.new(tmp_path)), [NOW]
    files = EngineFiles(engine, lambda: now[0])
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda content: files.put("j", 1, "result", content), (b"a", b"b", b"c", b"d")))
    assert files.of("j", 1)["result"] in (b"a", b"b", b"c", b"d")
    files.put("j", 1, "result", b"last")
    files.put("j", 2, "result", b"other")
    files.put("k", 1, "result", b"of another job")
    assert files.of("j", 1) == {"result": b"last"}
    files.remove("j")
    assert (files.of("j", 1), files.of("j", 2)) == ({}, {})
    now[0] += KEPT + timedelta(seconds=1)
    files.put("l", 1, "result", b"new")
    assert files.of("k", 1) == {}


def test_a_device_stands_as_its_engine_said_last(databases: Databases, tmp_path: Path):
    """What it does not say stays as it was; the views can be made anew."""
    url = databases.new(tmp_path)
    directory = Directory(databases.open(url))
    with pytest.raises(UnknownDevice):
        directory.append("device/kawasaki", DeviceReported(status="available"), actor="test")
    assert standing(directory.engine, "kawasaki") == Standing()
    directory.issue("device/kawasaki", actor="test")
    for said in ({"status": "available"}, {"n_qubits": 3}, {"device_info": "{}", "calibrated_at": NOW}):
        directory.append("device/kawasaki", DeviceReported(**said), actor="device/kawasaki")
    seq = directory.append("device/kawasaki", DeviceReported(n_qubits=3), actor="device/kawasaki").seq
    assert seq == 4  # what is no news is no event
    found = standing(directory.engine, "kawasaki")
    assert found == Standing("available", 3, "{}", "2026-11-27T08:00:00.000000+00:00")
    rebuild(directory.engine)
    assert standing(directory.engine, "kawasaki") == found
    assert list(control_faults(directory.engine)) == []


def test_of_all_engines_that_claim_at_once_each_gets_its_own_job(databases: Databases, tmp_path: Path):
    """One key or two, one server or two; nobody else writes to what one has."""
    url = databases.new(tmp_path)
    services = Services(Settings(home=tmp_path, database=url))
    for number in range(3):
        fact = Submitted.of(b"{}", keep_up_to=9, backend="kawasaki", source="api", user="ann", received_at=NOW)
        services.log.submit(f"j{number}", fact, "test")
    engines = [Engine(services, "kawasaki", token_id) for token_id in ("one", "one", "two", "two")]
    with ThreadPoolExecutor(4) as threads:
        held = list(threads.map(lambda engine: engine.claim_next(), engines))
    claimed = [each.job.job_id for each in held if each is not None]
    assert sorted(claimed) == ["j0", "j1", "j2"]
    (mine, *_) = (each for each in held if each is not None)
    owner = next(engine for engine in engines if engine.has(mine.job))
    other = next(engine for engine in engines if engine.token_id != owner.token_id)
    assert not other.has(mine.job)
    assert not other.beat(mine.job)
    assert owner.beat(mine.job)
    again = Engine(services, "kawasaki", owner.token_id).hold(mine.job)  # another server, which knows nothing
    assert again.record_now(Validated(experiments=1, shots=1)).state is State.VALIDATED
    services.log.engine.dispose()
