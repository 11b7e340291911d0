"""Documents in MongoDB that are too large for one BSON document: their parts come and go with their heads."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient

from models import clock
from models.errors import DocumentExists
from storage import layout
from storage.providers.mongodb import documents, large, values
from storage.providers.mongodb.mongo_storage import MongoStorage
from storage.providers.registry import open_storage
from tests.contract.storages import Servers, kind_named

ID = "0123456789abcdef01234567"
QUEUED = layout.queued("rydberg", ID)
RESULT = layout.result("rydberg", ID)


@pytest.fixture
def storage(tmp_path: Path, storage_servers: Servers) -> MongoStorage:
    """An empty storage."""
    storage = open_storage(storage_servers.place(kind_named("mongodb"), tmp_path).url)
    assert isinstance(storage, MongoStorage)
    return storage


@pytest.fixture
def look(storage: MongoStorage) -> Iterator[Any]:
    """Look at a database of the storage as any other program does."""
    uri, prefix = storage._connection._uri, storage._connection.prefix
    with MongoClient[dict[str, Any]](uri) as client:
        yield lambda name: client[f"{prefix}{name}"]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sixteenth of the sizes will do: what happens to the parts is not a matter of their bytes."""
    for module, size in ((values, "MAX_BYTES"), (documents, "INLINE"), (large, "PART_BYTES")):
        monkeypatch.setattr(module, size, getattr(module, size) // 16)


def large_result(shots: int = 120_000) -> bytes:
    """Return a result document of so many shots; 1.8 million are too many for MongoDB itself."""
    outcomes = [{"header": {"name": "experiment_0"}, "data": {"memory": ["0 1 0 1 0"] * shots}}]
    return json.dumps({"display_name": "rydberg", "job_id": ID, "status": "DONE", "results": outcomes}).encode()


def parts_of(look: Any) -> int:
    """Return how many large documents there are, whole or in part."""
    chunks = look("quledger")["large.chunks"].distinct("files_id")
    files = [each["_id"] for each in look("quledger")["large.files"].find()]
    return len({*chunks, *files})


def test_a_result_too_large_for_one_document_is_kept_in_parts(storage: MongoStorage, look: Any):
    """It is read back byte by byte; in its place front ends find who it is of, and where all of it lies."""
    content = large_result(1_800_000)
    storage.put(RESULT, content)
    assert storage.get(RESULT) == content
    found = look("results")["rydberg"].find_one({"_id": ObjectId(ID)})
    assert (found["job_id"], found["status"], found["results"]) == (ID, "DONE", [])
    assert "GridFS" in found["header"]["note"]
    assert found["quledger"]["size"] == len(content)
    (entry,) = storage.entries("results/rydberg")
    assert (entry.name, entry.size) == (f"{ID}.json", len(content))


@pytest.mark.usefixtures("small_parts")
def test_parts_go_with_their_document(storage: MongoStorage, look: Any):
    """Parts of a document that was replaced or deleted are removed, and a refused one leaves none behind."""
    content = large_result()
    storage.put(RESULT, content)
    storage.put(RESULT, content.replace(b"0 1 0 1 0", b"1 1 0 1 0"))
    assert parts_of(look) == 1
    with pytest.raises(DocumentExists):
        storage.create(RESULT, content)
    assert parts_of(look) == 1
    storage.put(RESULT, b'{"results": []}')
    assert parts_of(look) == 0
    storage.put(layout.staged(ID, 1), content)
    storage.delete(layout.staged(ID, 1))
    assert parts_of(look) == 0
    assert list(look("quledger")["begun"].find()) == []


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("killed_at", ["parts", "head"])
def test_parts_that_a_killed_writer_left_are_removed_later(
    storage: MongoStorage, look: Any, monkeypatch: pytest.MonkeyPatch, killed_at: str
):
    """An hour later the next large write removes parts that no document names, and none that one does."""

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    content = large_result()
    storage.put(layout.result("rydberg", "f" * 24), content)
    with monkeypatch.context() as patch:
        if killed_at == "parts":
            patch.setattr(documents.Documents, "replace", killed)
        else:
            patch.setattr(large.LargeDocuments, "complete_upload", killed)
        with pytest.raises(Killed):
            storage.put(RESULT, content)
    assert parts_of(look) == 2
    later = clock.now() + large.PATIENCE + timedelta(minutes=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    storage.put(layout.staged(ID, 1), content)
    assert parts_of(look) == (2 if killed_at == "parts" else 3)
    for path in [layout.result("rydberg", "f" * 24), layout.staged(ID, 1)] + [RESULT] * (killed_at == "head"):
        assert storage.get(path) == content


@pytest.mark.usefixtures("small_parts")
def test_readers_never_see_half_of_a_large_document(storage: MongoStorage):
    """While a document in parts is rewritten again and again, each read gives one whole version."""
    versions = [json.dumps({"a": letter * 1_200_000}).encode() for letter in "ab"]
    storage.put(RESULT, versions[0])
    done = threading.Event()

    def write() -> None:
        for turn in range(12):
            storage.put(RESULT, versions[turn % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert storage.get(RESULT) in versions
    writer.join()


@pytest.mark.usefixtures("small_parts")
def test_nobody_reads_the_parts_of_others(storage: MongoStorage, look: Any):
    """A front end's document that looks like ours is what it is: no bytes are taken for it from elsewhere."""
    storage.put(RESULT, large_result())
    known = look("results")["rydberg"].find_one()["quledger"]["large"]
    look("results")["rydberg"].delete_many({})
    look("quledger")["large.chunks"].delete_many({})
    for field in ({"size": 3, "large": known}, {"size": 3, "large": "../x"}, {"size": 9, "content": b"x"}, {"a": 1}, 5):
        look("jobs")["queued.rydberg"].replace_one({"_id": ObjectId(ID)}, {"quledger": field, "b": 1}, upsert=True)
        assert json.loads(storage.get(QUEUED))["b"] == 1
        storage.move(QUEUED, layout.taken(ID))
        assert storage.exists(layout.taken(ID))
