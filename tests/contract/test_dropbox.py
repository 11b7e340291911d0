"""Dropbox: what lies in it and what it costs; over the official client and our own server."""

import multiprocessing
from collections.abc import Iterator

import pytest

from models.errors import (
    DocumentExists,
    DocumentMissing,
    StorageRefused,
)
from storage import layout
from storage.providers.dropbox import dropbox_storage
from storage.providers.dropbox.dropbox_storage import DropboxStorage
from storage.providers.protocol import Entry
from tests.contract import racing
from tests.contract.dropbox_places import ID, ONE, QUEUED, RUNNING, TWO, empty_storage, fault, lay, root
from tests.dropbox_files import PAGE
from tests.dropbox_server import Service, dropbox_service


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A server for the tests of this file."""
    with dropbox_service() as service:
        yield service


@pytest.fixture
def storage(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[DropboxStorage]:
    """An empty storage."""
    with empty_storage(service, monkeypatch) as storage:
        yield storage


# What lies in it ------------------------------------------------------------------------------------------------------


def test_documents_lie_where_the_peer_looks(service: Service, storage: DropboxStorage):
    """Each document is found at its place in the Dropbox, byte by byte."""
    job = f"job-{ID}.json"
    for path, place in {
        layout.config("rydberg"): "Config/rydberg/config.json",
        QUEUED: f"Queued_Jobs/rydberg/{job}",
        RUNNING: f"Running_Jobs/{job}",
        layout.finished("rydberg", ID): f"Finished_Jobs/rydberg/ann/{job}",
        layout.deleted(ID): f"Deleted_Jobs/{job}",
        layout.status("rydberg", ID): f"Status/rydberg/None/status-{ID}.json",
        layout.result("rydberg", ID): f"Result/rydberg/ann/result-{ID}.json",
        "backends/public_keys/kid.json": "public_keys/kid.json",
    }.items():
        storage.put(path, ONE)
        _, answer = storage._caller.ask(
            path,
            lambda client, place=place: client.files_download(f"{root(storage)}/{place}"),  # type: ignore[misc]
        )
        assert answer.content == ONE
        folder, _, name = path.rpartition("/")
        assert [entry.name for entry in storage.entries(folder)] == [name]


def test_a_status_is_read_where_a_front_end_wrote_it(storage: DropboxStorage):
    """A status in the folder of the user is read, listed once, and deleted; ours is the one that counts."""
    path = layout.status("rydberg", ID)
    lay(storage, f"Status/rydberg/ann/status-{ID}.json", ONE)
    assert storage.exists(path)
    assert storage.get(path) == ONE
    storage.put(path, TWO)
    assert storage.get(path) == TWO
    assert [entry.name for entry in storage.entries("status/rydberg")] == [f"{ID}.json"]
    storage.delete(path)
    assert not storage.exists(path)
    with pytest.raises(DocumentMissing):
        storage.get(path)


def test_what_is_no_job_never_hides_a_job(storage: DropboxStorage):
    """Anything may lie in a queue: it is listed under a name of its own as not regular; the job beside it is one."""
    storage.put(QUEUED, ONE)
    for strange in (f"{ID}.json", "note.txt", f"job-x.json/{ID}.json", ".hidden"):
        lay(storage, f"Queued_Jobs/rydberg/{strange}")
    listed: dict[str, Entry] = {entry.name: entry for entry in storage.entries("jobs/queued/rydberg")}
    assert [name for name, entry in listed.items() if entry.regular] == [f"{ID}.json"]
    assert sorted(name for name, entry in listed.items() if not entry.regular) == [
        ".hidden (in Queued_Jobs/rydberg)",
        f"{ID}.json (in Queued_Jobs/rydberg)",
        "job-x.json (in Queued_Jobs/rydberg)",
        "note.txt (in Queued_Jobs/rydberg)",
    ]
    lay(storage, "Result/rydberg/ann/half")
    assert [(entry.name, entry.regular) for entry in storage.entries("results/rydberg")] == [
        ("ann/half (in Result/rydberg)", False)
    ]


def test_a_folder_where_a_document_belongs_is_said(storage: DropboxStorage):
    """A folder in the place of a document is neither read nor replaced."""
    lay(storage, f"Running_Jobs/job-{ID}.json/x")
    storage.put(QUEUED, ONE)
    assert not storage.exists(RUNNING)
    for request in (
        lambda: storage.get(RUNNING),
        lambda: storage.put(RUNNING, ONE),
        lambda: storage.move(QUEUED, RUNNING),
    ):
        with pytest.raises(StorageRefused, match="folder"):
            request()
    assert storage.get(QUEUED) == ONE


def test_a_listing_that_dropbox_begins_anew_is_complete(service: Service, storage: DropboxStorage):
    """When Dropbox forgets how far a listing had come, it is begun again, and each document comes once."""
    names = [f"{number:024x}.json" for number in range(PAGE * 2 + 50)]
    for name in names:
        storage.put(f"jobs/queued/rydberg/{name}", b"")
    service.control(clear=True, faults=[fault("list_folder/continue", "409", error={".tag": "reset"}, skip=1)])
    assert sorted(entry.name for entry in storage.entries("jobs/queued/rydberg")) == names
    assert service.control() == {"files/list_folder": 2, "files/list_folder/continue": 4}


# Documents in parts ---------------------------------------------------------------------------------------------------


@pytest.fixture
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropbox_storage, "MAX_AT_ONCE", 1000)
    monkeypatch.setattr(dropbox_storage, "PART", 700)


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize("kind", ["cut_before", "cut_after", "error_after"])
@pytest.mark.parametrize("call", ["start", "append_v2", "finish"])
def test_a_document_in_parts_survives_lost_answers(service: Service, storage: DropboxStorage, call: str, kind: str):
    """Whichever part's answer is lost, the document is written whole, and a creation is known as our own."""
    for size in (1001, 1400, 2100, 5000):
        content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        service.control(clear=True, faults=[fault(f"upload_session/{call}", kind)])
        storage.put(RUNNING, content)
        assert storage.get(RUNNING) == content
        storage.delete(QUEUED)
        service.control(clear=True, faults=[fault(f"upload_session/{call}", kind)])
        storage.create(QUEUED, content)
        assert storage.get(QUEUED) == content
        with pytest.raises(DocumentExists):
            storage.create(QUEUED, content)


def test_a_document_of_any_size_is_written_and_read(
    service: Service, storage: DropboxStorage, monkeypatch: pytest.MonkeyPatch
):
    """A result that is too large for one upload goes in parts."""
    monkeypatch.setattr(dropbox_storage, "MAX_AT_ONCE", 4 * 2**20)
    monkeypatch.setattr(dropbox_storage, "PART", 2 * 2**20)
    content = b"0 1 0 1 " * (9 * 2**16)
    storage.put(RUNNING, content)
    assert storage.get(RUNNING) == content
    assert service.control()["files/upload_session/finish"] == 1
    assert "files/upload" not in service.control()


# Several at once ------------------------------------------------------------------------------------------------------


def test_of_two_movers_onto_a_document_one_succeeds(storage: DropboxStorage):
    """Where something lies at the target, one of two movers replaces it, and never what the other has just moved."""
    rounds = 40
    for turn in range(rounds):
        storage.put(racing.queued(turn), b"%d" % turn)
        storage.put(layout.taken(racing.job(turn)), b"old")
    winners = racing.by_threads(storage, racing.move_together, rounds=rounds)
    assert [len(won) for won in winners] == [1] * rounds
    for turn in range(rounds):
        assert storage.get(layout.taken(racing.job(turn))) == b"%d" % turn


def test_a_child_has_connections_of_its_own(service: Service, storage: DropboxStorage):
    """A process that was forked off uses neither the connections nor the locks of its parent."""
    storage.put(QUEUED, ONE)
    service.control(clear=True)
    held = storage._caller._connected().token
    with held:  # as if another thread were just fetching a token
        children = [multiprocessing.get_context("fork").Process(target=_in_a_child, args=(storage,)) for _ in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
            assert child.exitcode == 0
    assert storage.get(QUEUED) == ONE
    assert service.control() == {"files/download": 41, "oauth2/token": 2}


def test_each_step_is_one_request(service: Service, storage: DropboxStorage):
    """Nothing is asked before a document is written, moved, read or deleted."""
    storage.create(QUEUED, ONE)
    storage.get(QUEUED)
    storage.move(QUEUED, RUNNING)
    storage.put(RUNNING, TWO)
    storage.exists(RUNNING)
    storage.delete(RUNNING)
    list(storage.entries("jobs/running"))
    assert service.control() == {
        "files/upload": 2,
        "files/download": 1,
        "files/move_v2": 1,
        "files/get_metadata": 1,
        "files/delete_v2": 1,
        "files/list_folder": 1,
    }


def _in_a_child(storage: DropboxStorage) -> None:
    for _ in range(20):
        assert storage.get(QUEUED) == ONE
