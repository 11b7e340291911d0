"""The contract of a storage provider, over every storage that is supported."""

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.errors import BadSetting, DocumentExists, DocumentMissing, StorageError, StorageUnavailable
from storage.opening import open_storage
from storage.provider import StorageProvider


@pytest.fixture(params=["file", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> StorageProvider:
    """An empty storage of each kind."""
    url = tmp_path.as_uri() if request.param == "file" else f"memory://{uuid.uuid4().hex}"
    return open_storage(url)


def test_a_document_is_read_as_it_was_written(storage: StorageProvider):
    """Bytes come back unchanged, whatever they are."""
    for content in (b"", b"{}", bytes(range(256)) * 100):
        storage.put("a/b/c.json", content)
        assert storage.get("a/b/c.json") == content


def test_put_replaces(storage: StorageProvider):
    """The second document at a path takes the place of the first."""
    storage.put("a/x.json", b"1")
    storage.put("a/x.json", b"22")
    assert storage.get("a/x.json") == b"22"
    assert [entry.name for entry in storage.entries("a")] == ["x.json"]


def test_create_leaves_what_is_there(storage: StorageProvider):
    """A document that exists is not overwritten, and the caller is told."""
    storage.create("a/x.json", b"1")
    with pytest.raises(DocumentExists):
        storage.create("a/x.json", b"2")
    assert storage.get("a/x.json") == b"1"


def test_a_missing_document_is_an_error_of_its_own(storage: StorageProvider):
    """Reading or moving what is not there says so; deleting it is no error."""
    with pytest.raises(DocumentMissing):
        storage.get("a/x.json")
    with pytest.raises(DocumentMissing):
        storage.move("a/x.json", "b/x.json")
    storage.delete("a/x.json")
    assert not storage.exists("a/x.json")


def test_move_takes_the_document_along(storage: StorageProvider):
    """After a move the document is at the target and no longer at the source."""
    storage.put("a/x.json", b"1")
    storage.put("b/x.json", b"old")
    storage.move("a/x.json", "b/x.json")
    assert storage.get("b/x.json") == b"1"
    assert not storage.exists("a/x.json")


def test_entries_name_size_and_time(storage: StorageProvider):
    """A listing gives each document once, with its size and the time it was written."""
    before = datetime.now(UTC) - timedelta(seconds=5)
    for number in range(20):
        storage.put(f"a/{number}.json", b"x" * number)
    entries = {entry.name: entry for entry in storage.entries("a")}
    assert sorted(entries) == sorted(f"{number}.json" for number in range(20))
    assert entries["7.json"].size == 7
    assert all(
        entry.regular and before < entry.modified_at < before + timedelta(minutes=5) for entry in entries.values()
    )


def test_a_folder_that_is_not_there_is_empty(storage: StorageProvider):
    """Listing a folder that nobody made yields nothing."""
    assert list(storage.entries("no/such/folder")) == []


def test_folders_are_not_documents(storage: StorageProvider):
    """A folder inside a folder is listed as not regular."""
    storage.put("a/b/x.json", b"1")
    assert [(entry.name, entry.regular) for entry in storage.entries("a")] == [("b", False)]
    assert not storage.exists("a/b")


def race(work: Callable[[int], None], threads: int = 8) -> list[BaseException | None]:
    """Do the work in several threads at once; return what each one raised."""
    results: list[BaseException | None] = [None] * threads
    barrier = threading.Barrier(threads)

    def run(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except StorageError as error:
            results[number] = error

    workers = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return results


def test_one_mover_wins(storage: StorageProvider):
    """Of several movers of one document exactly one succeeds."""
    for turn in range(50):
        storage.put(f"q/{turn}.json", b"1")
        results = race(lambda number, turn=turn: storage.move(f"q/{turn}.json", f"r{number}/{turn}.json"))  # type: ignore[misc]
        assert [type(result) for result in results].count(type(None)) == 1
        assert sum(storage.exists(f"r{number}/{turn}.json") for number in range(8)) == 1


def test_one_creator_wins(storage: StorageProvider):
    """Of several creators of one document exactly one succeeds, and its bytes are there."""
    for turn in range(50):
        results = race(lambda number, turn=turn: storage.create(f"c/{turn}.json", b"%d" % number))  # type: ignore[misc]
        (winner,) = (number for number, result in enumerate(results) if result is None)
        assert storage.get(f"c/{turn}.json") == b"%d" % winner


def test_readers_never_see_half_a_document(storage: StorageProvider):
    """While a document is rewritten again and again, each read gives one whole version."""
    versions = [bytes([65 + number]) * 200_000 for number in range(4)]
    storage.put("x.json", versions[0])
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            storage.put("x.json", versions[number % 4])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(300):
            assert storage.get("x.json") in versions
    finally:
        done.set()
        writer.join()


def test_a_link_is_not_a_document(tmp_path: Path):
    """A link in a folder, dangling or not, is listed as not regular: nobody reads the machine's files through it."""
    (tmp_path / "q").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "q" / "dangling.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "q" / "link.json").symlink_to(tmp_path / "secret")
    assert all(not entry.regular for entry in open_storage(tmp_path.as_uri()).entries("q"))


def test_nothing_is_left_beside_a_document(tmp_path: Path):
    """Writing beside and renaming leaves no other file behind, also when the creation is refused."""
    storage = open_storage(tmp_path.as_uri())
    storage.put("a/x.json", b"1")
    with pytest.raises(DocumentExists):
        storage.create("a/x.json", b"2")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x.json"]


def test_an_error_names_no_path_of_the_machine(tmp_path: Path):
    """What a storage says when it does not answer holds the document's own path alone."""
    (tmp_path / "a").write_text("a file where a folder should be")
    with pytest.raises(StorageUnavailable) as caught:
        open_storage(tmp_path.as_uri()).put("a/x.json", b"1")
    assert str(tmp_path) not in str(caught.value)
    assert "a/x.json" in str(caught.value)


@pytest.mark.parametrize("url", ["/plain/path", "nosuchscheme://x", ""])
def test_a_url_that_cannot_be_opened_is_a_bad_setting(url: str):
    """What is no URL of a storage is refused with a sentence."""
    with pytest.raises(BadSetting):
        open_storage(url)
