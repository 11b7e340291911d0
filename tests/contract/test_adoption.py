"""A store is taken over on every kind of storage, and by a program that is killed at each of its steps."""

import itertools
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from models.settings import Settings
from storage import layout
from storage.audit.verify import Verifier
from storage.log.database import open_database
from storage.log.event_log import EventLog
from storage.providers.folder import FolderStorage
from storage.providers.protocol import StorageProvider, get_or_none
from storage.providers.stores import Stores
from tasks.jobs.adoption import Adopter
from tasks.services import Services
from tests.contract.databases import Databases, on
from tests.contract.storages import Store

BACKEND = "rydberg"
DOCUMENT = b'{"experiment_0": {"num_wires": 1}}'
HISTORIES = {
    "done": ["submitted", "adopted"],
    "failed": ["submitted", "adopted_error"],
    "finish": ["submitted", "adopted"],
    "torn": ["submitted"],
}
"""What the log says of each job after it."""


def status(job_id: str, said: str, error: str = "None") -> bytes:
    """Return a status as the other spooler writes it."""
    return json.dumps({"job_id": job_id, "status": said, "detail": "Got your json.", "error_message": error}).encode()


def result(job_id: str) -> bytes:
    """Return a result that is whole."""
    one = {"header": {"name": "experiment_0"}, "shots": 1, "success": True, "data": {"memory": ["0"]}}
    document = {"job_id": job_id, "display_name": BACKEND, "backend_version": "1", "results": [one]}
    return json.dumps(document).encode()


LEFT = {
    layout.finished(BACKEND, "done"): DOCUMENT,
    layout.status(BACKEND, "done"): status("done", "DONE"),
    layout.result(BACKEND, "done"): result("done"),
    layout.deleted("failed"): DOCUMENT,
    layout.status(BACKEND, "failed"): status("failed", "ERROR", "too many atoms"),
    layout.running("finish"): DOCUMENT,
    layout.status(BACKEND, "finish"): status("finish", "INITIALIZING"),
    layout.result(BACKEND, "finish"): result("finish"),
    layout.queued(BACKEND, "torn"): DOCUMENT,
    layout.running("torn"): DOCUMENT,
    layout.status(BACKEND, "torn"): status("torn", "INITIALIZING"),
}
"""What the other spooler has left: jobs that are done, failed, done but for its last step, and in two places."""

KEPT = [path for path in LEFT if "done" in path or "failed" in path or path == layout.result(BACKEND, "finish")]
"""What is never written again."""


def house(folder: Path, storage: StorageProvider, url: str) -> Services:
    """Return services over a storage and a database."""
    services = Services(Settings(home=folder))
    vars(services).update(log=EventLog(open_database(url)), stores=Stores.single(storage))
    return services


def taken_over(services: Services) -> None:
    """Make sure that all was taken over, each job once, and that the readers of what has ended see what they saw."""
    services.relay.update_all()  # as each drain does
    storage = services.stores.of("")
    assert [str(finding) for finding in Verifier(services.log.engine, services.stores).all()] == []
    assert {job.job_id: [event.kind for event in services.log.history(job.job_id)] for job in services.log.jobs()} == (
        HISTORIES
    )
    for path in KEPT:
        assert json.loads(storage.get(path)) == json.loads(LEFT[path]), path
    assert json.loads(storage.get(layout.status(BACKEND, "finish")))["status"] == "DONE"
    assert storage.get(layout.finished(BACKEND, "finish")) is not None
    assert get_or_none(storage, layout.running("torn")) is None
    assert json.loads(storage.get(layout.queued(BACKEND, "torn"))) == json.loads(DOCUMENT)
    assert list(Adopter(services, "").plans()) == []


@on("sqlite")
def test_it_is_taken_over_on_every_kind_of_storage(store: Store, databases: Databases, tmp_path: Path):
    """Jobs that are done, failed, nearly done and torn; nothing differs afterwards."""
    for path, content in LEFT.items():
        store.storage.put(path, content)
    services = house(tmp_path, store.storage, databases.new(tmp_path))
    try:
        assert {found.job_id: str(found.plan) for found in Adopter(services, "").run()} == {
            "done": "done",
            "failed": "error",
            "finish": "finish",
            "torn": "run",
        }
        taken_over(services)
    finally:
        services.log.engine.dispose()


class Deadly(FolderStorage):
    """A folder that takes a step before and after whatever it changes."""

    step: Callable[..., None]


def _stepping(name: str) -> Callable[..., Any]:
    def change(self: Deadly, *arguments: Any) -> Any:
        self.step()
        done = getattr(FolderStorage, name)(self, *arguments)
        self.step()
        return done

    return change


for each in ("put", "create", "move", "delete"):
    setattr(Deadly, each, _stepping(each))


def killed_at(nth: int, folder: Path, url: str) -> bool:
    """Take over in a process that is killed at its nth step; return whether it came that far."""
    child = os.fork()
    if child == 0:
        try:
            steps = itertools.count(1)

            def step(*_: object) -> None:
                if next(steps) == nth:
                    os.kill(os.getpid(), signal.SIGKILL)

            storage = Deadly((folder / "store").as_uri())
            storage.step = step
            services = house(folder, storage, url)
            event.listen(services.log.engine, "commit", step)
            list(Adopter(services, "").run())
        except BaseException:  # noqa: BLE001 - nothing of it reaches the test's own process
            os._exit(1)
        os._exit(0)
    _, code = os.waitpid(child, 0)
    assert os.WIFSIGNALED(code) or os.WEXITSTATUS(code) == 0
    return os.WIFSIGNALED(code)


@pytest.mark.slow
@on("sqlite")
def test_it_may_be_killed_at_each_step_and_done_again(databases: Databases, tmp_path: Path):
    """Each job is taken over once, and who reads the store meanwhile sees what has ended as it was."""
    for nth in itertools.count(1):
        folder = tmp_path / str(nth)
        storage = FolderStorage((folder / "store").as_uri())
        for path, content in LEFT.items():
            storage.put(path, content)
        url = databases.new(folder)
        was_killed = killed_at(nth, folder, url)
        assert all(json.loads(storage.get(path)) == json.loads(LEFT[path]) for path in KEPT if "finish" not in path)
        services = house(folder, storage, url)
        if was_killed:
            list(Adopter(services, "").run())
        taken_over(services)
        services.log.engine.dispose()
        if not was_killed:
            break
    assert nth > STEPS


STEPS = 20
"""At least so many there are: each change of a document counts twice, each commit once."""
