"""What a drain puts in order at its beginning and end, also where that does not work at once."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import stamina

from flows.draining import maintenance as module
from flows.draining.maintenance import Maintenance
from models.errors import LogUnavailable, StorageUnavailable
from models.settings import Settings
from tasks.services import Services


def ended(monkeypatch: pytest.MonkeyPatch, failures: int, reasons: list[str]) -> list[str]:
    """End a drain while leases cannot be looked at so many times; return what was done and said."""
    done: list[str] = []
    left = [LogUnavailable("busy")] * failures

    def expire_leases(_services: Any) -> None:
        if left:
            done.append("failed")
            raise left.pop()
        done.append("expired")

    monkeypatch.setattr(module, "expire_leases", expire_leases)
    monkeypatch.setattr(module, "publish", lambda *_: None)
    monkeypatch.setattr(module, "unserved", lambda *_: reasons)
    monkeypatch.setattr(module, "left_paused", lambda *_: ["1 job left waiting, paused"])
    monkeypatch.setattr(module, "sweep_leftovers", lambda _: done.append("swept"))
    monkeypatch.setattr(module, "sweep_storages", lambda _: None)
    marks = SimpleNamespace(compare=lambda: None, end=lambda: done.append("marked"))
    relay = SimpleNamespace(catch_up=lambda: iter(()), update_late=lambda **_: None)
    services: Any = SimpleNamespace(marks=marks, relay=relay, on_unserved=done.extend, on_progress=done.append)
    poller: Any = SimpleNamespace(backends=["rydberg"])
    with stamina.set_testing(True, attempts=10, cap=True):
        asyncio.run(Maintenance(services, []).end(poller))
    return done


def test_maintenance_at_the_end_is_tried_three_times(monkeypatch: pytest.MonkeyPatch):
    """A database that is busy for a moment does not make a drain fail that has done all its jobs."""
    left = "1 job left waiting, paused"
    assert ended(monkeypatch, 0, []) == [left, "expired", "marked", "swept"]
    assert ended(monkeypatch, 2, []) == [left, "failed", "failed", "expired", "marked", "swept"]
    with pytest.raises(LogUnavailable):
        ended(monkeypatch, 3, [])


def test_maintenance_that_fails_with_what_is_left_out_is_no_error(monkeypatch: pytest.MonkeyPatch):
    """What is left behind is said, and may well be why it fails."""
    said = ended(monkeypatch, 9, ["a storage is down"])
    assert said == ["1 job left waiting, paused", "a storage is down", "failed", "marked", "swept"]


def test_a_drain_of_a_process_that_goes_on_begins_without_any_storage(tmp_path: Path):
    """Whoever starts a drain is told at once that no storage answers; `quledger up` waits until there is one."""
    (tmp_path / "file").write_text("no folder")
    services = Services(Settings(home=tmp_path / "home", storage=(tmp_path / "file" / "below").as_uri()))
    with pytest.raises(StorageUnavailable):
        services.open()
    services.open(patient=True)
    with pytest.raises(StorageUnavailable):
        asyncio.run(Maintenance(services, ["singlequdit"]).begin(patient=False))
    asyncio.run(Maintenance(services, ["singlequdit"]).begin(patient=True))


def test_a_backlog_of_the_mirror_is_worked_off_in_slices(monkeypatch: pytest.MonkeyPatch):
    """Whatever else goes on has its turn between two of them, and it is said how far it has come."""
    monkeypatch.setattr(module, "SLICE_SECONDS", 0.0)
    said: list[str] = []
    turns: list[int] = []
    left = 4
    relay = SimpleNamespace(catch_up=lambda: iter([True, False, True, True]))
    cursor = SimpleNamespace(count_behind=lambda: left)
    services: Any = SimpleNamespace(relay=relay, cursor=cursor, on_progress=said.append)

    async def others() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    async def run() -> None:
        task = asyncio.create_task(others())
        await Maintenance(services, []).catch_up(pause=0.01)
        task.cancel()

    asyncio.run(run())
    assert len(turns) > 4
    assert said == ["the mirror follows the log: 1 job written, 4 to go", "the mirror has come up to the log"]
