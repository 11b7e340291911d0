"""The contract of a storage provider, over every kind of storage, cut by ability."""

import errno
import importlib.util
import inspect
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.errors import BadSetting, DocumentExists, DocumentMissing, StorageUnavailable
from storage import layout
from storage.providers.protocol import StorageProvider
from storage.providers.registry import open_storage
from tests.contract import test_storage_races
from tests.contract.storages import KINDS, Store, kind_named

FOLDER = "jobs/queued/rydberg"
HERE = f"{FOLDER}/000000000000000000000001.json"
THERE = "jobs/running/000000000000000000000001.json"
ONE, TWO = b'{"n": 1}', b'{"n": 2}'


@pytest.mark.parametrize("name", KINDS)
def test_a_deviation_is_of_a_test_that_exists(name: str):
    """What a kind of storage declares to do otherwise names a test of the contract."""
    modules = sys.modules[__name__], test_storage_races
    tests = {each for module in modules for each, _ in inspect.getmembers(module, inspect.isfunction)}
    assert set(kind_named(name).deviations) <= tests


def test_it_says_what_it_guarantees(store: Store):
    """The abilities that a storage claims are those that it is tested for."""
    assert store.storage.abilities == store.kind.abilities


def test_a_document_is_read_as_it_was_written(store: Store):
    """A JSON document comes back with the same value, whatever characters and numbers are in it."""
    values = [{}, {"a": [1, -2.5, 1e-300, True, None, "é\u2028\U0001f600\x00"], "b": {"c.d": {"$e": ""}}}]
    for value in values:
        store.storage.put(HERE, json.dumps(value).encode())
        assert json.loads(store.storage.get(HERE)) == value


def test_what_is_read_twice_is_the_same(store: Store):
    """The bytes of a document are a function of it: reading twice, or writing what was read, changes nothing."""
    store.storage.put(HERE, b'{"b": 1,  "a":[1.0, 2]}')
    first = store.storage.get(HERE)
    assert store.storage.get(HERE) == first
    store.storage.put(HERE, first)
    assert store.storage.get(HERE) == first


def test_any_bytes_are_read_as_they_were_written(store: Store):
    """Bytes come back unchanged, whatever they are."""
    store.need("exact_bytes")
    for content in (b"", b"{}", b"half {", bytes(range(256)) * 100):
        store.storage.put(HERE, content)
        assert store.storage.get(HERE) == content


def test_a_large_document_is_read_as_it_was_written(store: Store):
    """A result of 5 MB is written and read whole."""
    content = json.dumps({"memory": ["0 1 0 1 0"] * 400_000}).encode()
    store.storage.put(HERE, content)
    assert store.same(HERE, content)


def test_the_longest_names_are_taken(store: Store):
    """An id of two hundred characters is a job's, and so is the name of each of its documents."""
    for path in (layout.staged("a" * 200, 99, "0" * 64), layout.result("rydberg", "a" * 200)):
        store.storage.create(path, ONE)
        store.storage.put(path, TWO)
        assert store.same(path, TWO)


def test_put_replaces(store: Store):
    """The second document at a path takes the place of the first."""
    store.storage.put(HERE, ONE)
    store.storage.put(HERE, TWO)
    assert store.same(HERE, TWO)
    assert [entry.name for entry in store.storage.entries(FOLDER)] == [HERE.rpartition("/")[2]]


def test_create_leaves_what_is_there(store: Store):
    """A document that exists is not overwritten, and the caller is told."""
    store.storage.create(HERE, ONE)
    for content in (TWO, ONE):
        with pytest.raises(DocumentExists):
            store.storage.create(HERE, content)
    assert store.same(HERE, ONE)


def test_create_after_delete(store: Store):
    """A path that was used and is free again can be used again."""
    store.storage.create(HERE, ONE)
    store.storage.delete(HERE)
    store.storage.create(HERE, TWO)
    assert store.same(HERE, TWO)


def test_a_missing_document_is_an_error_of_its_own(storage: StorageProvider):
    """Reading or moving what is not there says so; deleting it is no error."""
    with pytest.raises(DocumentMissing):
        storage.get(HERE)
    with pytest.raises(DocumentMissing):
        storage.move(HERE, THERE)
    storage.delete(HERE)
    assert not storage.exists(HERE)


def test_move_takes_the_document_along(store: Store):
    """After a move the document is at the target and no longer at the source; what was at the target is replaced."""
    store.storage.put(HERE, ONE)
    store.storage.move(HERE, THERE)
    assert store.same(THERE, ONE)
    assert not store.storage.exists(HERE)
    store.storage.put(HERE, TWO)
    store.storage.move(HERE, THERE)
    assert store.same(THERE, TWO)
    assert not store.storage.exists(HERE)


def test_a_deleted_document_is_gone(storage: StorageProvider):
    """A document that was deleted is not read, not listed and not there."""
    storage.put(HERE, ONE)
    assert storage.exists(HERE)
    storage.delete(HERE)
    assert not storage.exists(HERE)
    assert list(storage.entries(FOLDER)) == []


def test_entries_name_size_and_time(storage: StorageProvider):
    """A listing gives each document once, with its size and the time it was written."""
    before = datetime.now(UTC) - timedelta(seconds=5)
    for number in range(20):
        storage.put(f"{FOLDER}/{number:024x}.json", json.dumps({"x": "x" * number}).encode())
    entries = {entry.name: entry for entry in storage.entries(FOLDER)}
    assert sorted(entries) == sorted(f"{number:024x}.json" for number in range(20))
    assert [entry.size for entry in storage.entries(FOLDER)].count(entries[f"{7:024x}.json"].size) == 1
    assert all(
        entry.regular and before < entry.modified_at < before + timedelta(minutes=5) for entry in entries.values()
    )


def test_a_long_listing_is_complete(store: Store, monkeypatch: pytest.MonkeyPatch):
    """A queue of more documents than a server lists at once is listed whole, each document once."""
    monkeypatch.setattr("storage.providers.s3.s3_storage.PAGE", 100)
    documents = 1005 if store.kind.name == "fsspec" else 205  # there nobody says how many there are in a page
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: store.storage.put(f"{FOLDER}/{number:024x}.json", b"{}"), range(documents)))
    listed = [entry.name for entry in store.storage.entries(FOLDER)]
    assert sorted(listed) == [f"{number:024x}.json" for number in range(documents)]


def test_what_was_just_written_is_listed(storage: StorageProvider):
    """A listing shows what was written since the last one: nothing is remembered in between."""
    assert list(storage.entries(FOLDER)) == []
    storage.put(HERE, ONE)
    assert len(list(storage.entries(FOLDER))) == 1
    storage.move(HERE, THERE)
    assert list(storage.entries(FOLDER)) == []


def test_a_folder_that_is_not_there_is_empty(storage: StorageProvider):
    """Listing a folder that nobody made yields nothing."""
    assert list(storage.entries("jobs/finished/rydberg")) == []


def test_folders_are_not_documents(storage: StorageProvider):
    """A folder inside a folder is listed as not regular."""
    storage.put(HERE, ONE)
    assert [(entry.name, entry.regular) for entry in storage.entries("jobs/queued")] == [("rydberg", False)]
    assert not storage.exists(FOLDER)


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


def test_what_may_not_be_written_is_said_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder of somebody else's: who runs a drain has to know what to look at."""

    def refuse(_handle: int) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(StorageUnavailable, match="Permission denied; check the owner and mode of the storage's folder"):
        open_storage(tmp_path.as_uri()).put("a/x.json", b"1")


@pytest.mark.parametrize(
    ("url", "module", "package"),
    [
        ("sftp://ann:s3cret@host/x", "paramiko", "paramiko"),
        ("gcs://bucket/x", "gcsfs", "gcsfs"),
        ("abfs://box/x", "adlfs", "adlfs"),
        ("webdav://host/x", "webdav4", r"webdav4\[fsspec\]"),
        ("dir::smb://ann:s3cret@host/x", "smbprotocol", "smbprotocol"),
    ],
)
def test_a_missing_driver_is_named(url: str, module: str, package: str):
    """Where the package of a filesystem is not installed, the error names it, and no password."""
    if importlib.util.find_spec(module) is not None:
        pytest.skip(f"{module} is installed")
    with pytest.raises(BadSetting, match=f"install the package {package}") as caught:
        open_storage(url)
    assert "s3cret" not in str(caught.value)


def test_a_cache_before_a_storage_is_refused(tmp_path: Path):
    """Others write to the storage too, so nothing may be read from a cache."""
    with pytest.raises(BadSetting, match="leave the cache out"):
        open_storage(f"simplecache::{tmp_path.as_uri()}")


@pytest.mark.parametrize("url", ["/plain/path", "nosuchscheme://x", "", "file://server/share", "file:relative"])
def test_a_url_that_cannot_be_opened_is_a_bad_setting(url: str):
    """What is no URL of a storage is refused with a sentence."""
    with pytest.raises(BadSetting) as refused:
        open_storage(url)
    assert ("S3 s3://" in str(refused.value)) == url.startswith("nosuch")
