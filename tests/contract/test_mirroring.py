"""What is handed in where no drain runs is mirrored all the same, by one process at a time."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.processes.mirroring import mirrored
from flows.publish_backends import publish
from models import clock
from models.settings import Settings
from models.submissions import Submission
from storage import layout
from storage.audit.verify import Verifier
from tasks.jobs.submission import submit_all
from tasks.mirroring import follow_log, is_drained
from tasks.services import Services
from tests.waiting import until


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """A laboratory where three jobs have come over HTTP, and no drain has ever run."""
    for name in ("STORAGE", "DATABASE"):
        monkeypatch.delenv(f"QULEDGER_{name}", raising=False)
    services = Services(Settings(home=tmp_path))
    services.open()
    hand_in(services, 3)
    yield services
    services.log.engine.dispose()


def hand_in(services: Services, number: int) -> list[str]:
    """Hand in jobs as the front door does, and return their ids."""
    jobs = [Submission(backend="singlequdit", document=b"{}", user="alice", source="api") for _ in range(number)]
    return [begun.job.job_id for begun in submit_all(services, jobs)]


def behind(services: Services) -> int:
    """Return how many jobs differ from what stands in the storage, as `quledger verify` says it."""
    return len(list(Verifier(services.log.engine, services.stores).all()))


def test_the_storage_follows_without_a_drain(services: Services) -> None:
    """Then `verify` finds nothing, and front ends of the storage see the jobs."""
    assert behind(services) == 3
    assert follow_log(services, threading.Event()) == 0
    assert behind(services) == 0
    (job_id,) = hand_in(services, 1)
    with mirrored(services, look_seconds=0.01):
        until(lambda: services.cursor.count_behind() == 0)
    status = json.loads(services.stores.of("").get(layout.status("singlequdit", job_id)))
    assert status["status"] == "INITIALIZING"


def test_a_drain_has_that_to_itself(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it has published nothing for three times as long as it may."""
    assert not is_drained(services)
    publish(services, ["rydberg"])
    assert is_drained(services)
    assert follow_log(services, threading.Event()) == 0
    assert services.cursor.count_behind() == 3
    now = clock.now() + timedelta(seconds=3 * services.settings.publish_seconds + 2)
    monkeypatch.setattr(clock, "now", lambda: now)
    assert follow_log(services, threading.Event()) == 0
    assert services.cursor.count_behind() == 0


def test_two_of_them_do_not_do_it_twice(services: Services) -> None:
    """The one that comes later leaves it to the other."""
    with services.locks.alone("mirror") as is_alone:
        assert is_alone
        assert follow_log(Services(services.settings), threading.Event()) == 0
        assert services.cursor.count_behind() == 3
    follow_log(services, threading.Event())
    assert services.cursor.count_behind() == 0


def test_it_ends_when_it_is_told_to(services: Services) -> None:
    """After the job that it is at; the next one goes on."""
    ended = threading.Event()
    ended.set()
    follow_log(services, ended)
    assert services.cursor.count_behind() == 2


def test_a_storage_that_fails_is_tried_again(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    """The log says so, and nothing is lost."""
    folder = services.settings.folder / "storage"
    folder.rename(folder.with_name("elsewhere"))
    folder.write_text("no folder")
    with mirrored(services, look_seconds=0.01):
        until(lambda: "action=try_again" in caplog.text)
        folder.unlink()
        folder.with_name("elsewhere").rename(folder)
        until(lambda: services.cursor.count_behind() == 0)
    assert behind(services) == 0
