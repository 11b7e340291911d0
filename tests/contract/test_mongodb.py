"""What MongoDB adds to the contract: what front ends find, what BSON cannot hold, queues and moves."""

import itertools
import json
import logging
import multiprocessing
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import ObjectId
from pymongo import MongoClient

from models import clock
from models.documents import parse_document
from models.errors import DocumentExists, DocumentMissing, JobRejected
from storage import layout
from storage.documents.inbox import Inbox
from storage.log.database import open_database
from storage.log.event_log import EventLog
from storage.providers.mongodb import mongo_storage, values
from storage.providers.mongodb.mongo_storage import MongoStorage
from storage.providers.registry import open_storage
from storage.providers.stores import Stores
from tests.contract.storages import Servers, kind_named

ID = "0123456789abcdef01234567"
QUEUED = layout.queued("rydberg", ID)
RESULT = layout.result("rydberg", ID)

STRANGE = {
    "a whole number beyond 64 bit": b'{"experiment_0": {"shots": 36893488147419103232}}',
    "one name twice": b'{"a": 1, "a": 2}',
    "NaN and Infinity": b'{"a": [NaN, Infinity, -Infinity]}',
    "a number beyond a double": b'{"a": 1e999}',
    "names with dots": b'{"a.b": {"c.d": 1}}',
    "names with dollars": b'{"$set": {"$where": 1}}',
    "a name that is empty": b'{"": 1}',
    "a name with a zero": b'{"a\\u0000b": 1}',
    "half a character": b'{"a": "\\ud800"}',
    "an _id": b'{"_id": 5, "a": 1}',
    "our own names": b'{"quledger": {"size": 1}, "quledger_move": "x"}',
    "120 levels": b'{"a": ' * 120 + b"1" + b"}" * 120,
    "20000 levels": b'{"a": ' * 20_000 + b"1" + b"}" * 20_000,
    "a list": b"[1, 2]",
    "nothing": b"",
    "no JSON": b"half {",
    "no UTF-8": b'{"a": "\xff\xfe"}',
    "17 MB": json.dumps({"a": "x" * 17_000_000}).encode(),
    "6 MB of JSON, 17 MB of BSON": json.dumps({"a": ["x"] * 1_250_000}).encode(),
}


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


def value(content: bytes) -> object:
    """Return what a reader makes of a document."""
    try:
        return json.dumps(parse_document(content))
    except JobRejected:
        return content


@pytest.mark.parametrize("content", STRANGE.values(), ids=STRANGE)
def test_whatever_a_user_submits_is_kept(storage: MongoStorage, content: bytes):
    """A job document with whatever in it goes from the queue to its end, and says the same at each place."""
    places = [
        QUEUED,
        layout.taken(ID),
        layout.running(ID),
        layout.finished("rydberg", ID),
        layout.deleted(ID),
    ]
    storage.create(QUEUED, content)
    first = storage.get(QUEUED)
    assert value(first) == value(content)
    for source, target in itertools.pairwise(places):
        storage.move(source, target)
        assert storage.get(target) == first
        assert not storage.exists(source)
    assert [entry.name for entry in storage.entries(layout.DELETED)] == [f"{ID}.json"]


def test_what_quledger_writes_for_front_ends_is_read_back_byte_by_byte(storage: MongoStorage):
    """Status, configuration and result come back as `json.dumps` wrote them, whatever text and numbers they hold."""
    config = {"display_name": "rydberg", "last_queue_check": "2026-11-21T09:10:46+00:00", "kid": None}
    signed = {"header": {"alg": "EdDSA"}, "payload": config | {"display_name": "fermions"}, "signature": "x=="}
    written = {
        layout.status("rydberg", ID): {"job_id": ID, "status": "DONE", "detail": "é\u2028\ud83d\ude00"},
        layout.config("rydberg"): config,
        layout.config("fermions"): signed,
        RESULT: {"results": [{"data": {"memory": ["0 1"], "x": [1.0, 1, 1e-300, -0.0, 0.1, 2**62]}}]},
    }
    for path, document in written.items():
        content = json.dumps(document).encode("utf-8")
        for _ in range(2):
            storage.put(path, content)
            assert storage.get(path) == content


def test_front_ends_find_documents_where_the_contract_says(storage: MongoStorage, look: Any):
    """Database, collection and `_id` are those of sqooler's provider; a configuration is found by its name."""
    storage.put(QUEUED, b'{"experiment_0": {"shots": 4}}')
    storage.put(layout.status("rydberg", ID), b'{"status": "DONE"}')
    storage.put(RESULT, b'{"status": "DONE"}')
    config = {"display_name": "rydberg", "last_queue_check": "2026-11-21T09:10:46+00:00"}
    storage.put(layout.config("rydberg"), json.dumps(config).encode())
    storage.put("backends/public_keys/k1.json", b'{"x": "abc", "kid": "k1"}')
    assert look("jobs")["queued.rydberg"].find_one() == {"_id": ObjectId(ID), "experiment_0": {"shots": 4}}
    assert look("status")["rydberg"].find_one() == {"_id": ObjectId(ID), "status": "DONE"}
    assert look("results")["rydberg"].find_one() == {"_id": ObjectId(ID), "status": "DONE"}
    found = look("backends")["configs"].find_one({"display_name": "rydberg"})
    assert isinstance(found["_id"], ObjectId)
    assert found["last_queue_check"] == datetime(2026, 11, 21, 9, 10, 46)  # noqa: DTZ001 - as the peer reads it
    assert isinstance(look("backends")["public_keys"].find_one({"kid": "k1"})["_id"], ObjectId)
    assert [entry.name for entry in storage.entries("backends/configs")] == ["rydberg.json"]
    assert [entry.name for entry in storage.entries("backends/public_keys")] == ["k1.json"]
    # An id of another form is kept as a text.
    storage.put(layout.queued("rydberg", "20210906_203730-rydberg-ann-1088f"), b"{}")
    assert look("jobs")["queued.rydberg"].find_one({"_id": "20210906_203730-rydberg-ann-1088f"}) is not None


def test_a_configuration_of_another_spooler_is_renewed_in_its_place(storage: MongoStorage, look: Any):
    """A configuration that somebody published under an id of his own is replaced, signed or not, and stays alone."""
    configs = look("backends")["configs"]
    mine = configs.insert_one({"display_name": "rydberg", "version": "0"}).inserted_id
    signed = configs.insert_one({"payload": {"display_name": "fermions"}, "header": {}, "signature": ""}).inserted_id
    for name in ("rydberg", "fermions"):
        storage.put(layout.config(name), json.dumps({"display_name": name}).encode())
    with pytest.raises(DocumentExists):
        storage.create(layout.config("rydberg"), b"{}")
    assert {each["_id"]: each["display_name"] for each in configs.find()} == {mine: "rydberg", signed: "fermions"}


def test_two_that_publish_first_make_one_configuration(storage: MongoStorage, look: Any):
    """However many spoolers publish a backend for the first time at once, front ends see it once."""
    for turn in range(20):
        line = threading.Barrier(4)

        def publish(number: int, turn: int = turn, line: threading.Barrier = line) -> None:
            line.wait()
            storage.put(layout.config(f"b{turn}"), json.dumps({"display_name": f"b{turn}", "n": number}).encode())

        threads = [threading.Thread(target=publish, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(each["display_name"] for each in look("backends")["configs"].find()) == sorted(
        f"b{turn}" for turn in range(20)
    )


def test_documents_of_a_front_end_may_hold_what_only_bson_has(storage: MongoStorage, look: Any):
    """Dates, ObjectIds and the like become text; a move leaves them as they are."""
    strange = {
        "date": datetime(2026, 1, 2, tzinfo=UTC),
        "id": ObjectId(ID),
        "more": [bson.Decimal128("1.5"), bson.Regex("a"), bson.Timestamp(1, 2), b"bytes", bson.Int64(5)],
    }
    look("jobs")["queued.rydberg"].insert_one({"_id": ObjectId(ID)} | strange)
    content = storage.get(QUEUED)
    said = json.loads(content)
    assert (said["date"], said["id"], said["more"][3:]) == ("2026-01-02T00:00:00+00:00", {"$oid": ID}, ["bytes", 5])
    for source, target in ((QUEUED, layout.taken(ID)), (layout.taken(ID), layout.running(ID))):
        storage.move(source, target)
        assert storage.get(target) == content
    assert look("jobs")["running"].find_one({"_id": ObjectId(ID)})["id"] == ObjectId(ID)


def test_a_date_beyond_the_calendar_is_text_too():
    """A date that Python has no word for is read like everything else."""
    assert isinstance(json.loads(values.to_bytes({"late": bson.DatetimeMS(2**60)}))["late"], str | dict | int)


def test_a_document_that_has_no_room_for_a_mark_can_be_taken(storage: MongoStorage, look: Any):
    """A front end's document of exactly the largest size is moved like any other."""
    most = 16 * 1024 * 1024 - len(bson.encode({"_id": ObjectId(ID), "a": ""}))
    look("jobs")["queued.rydberg"].insert_one({"_id": ObjectId(ID), "a": "x" * most})
    content = storage.get(QUEUED)
    storage.move(QUEUED, layout.taken(ID))
    storage.move(layout.taken(ID), layout.running(ID))
    assert storage.get(layout.running(ID)) == content
    assert not storage.exists(QUEUED)


def test_the_next_mover_finishes_what_a_dead_one_began(
    storage: MongoStorage, look: Any, monkeypatch: pytest.MonkeyPatch
):
    """A mark that stays is a dead mover's: after a while the next one moves the document; a living one's counts."""
    monkeypatch.setattr(mongo_storage, "PATIENCE", 0.2)
    storage.put(QUEUED, b'{"a": 1}')
    for mark in ("dead", {"$gt": ""}, 5):
        look("jobs")["queued.rydberg"].update_one({"_id": ObjectId(ID)}, {"$set": {"quledger_move": mark}})
        assert storage.get(QUEUED) == b'{"a": 1}'
        storage.move(QUEUED, layout.running(ID))
        storage.move(layout.running(ID), QUEUED)
    # It had copied the document already, to where nobody wants it any more.
    for target, left in ((layout.taken(ID), False), (layout.status("rydberg", ID), True)):
        storage.put(target, b'{"a": 1}')
        mark = {"by": "dead", "to": target}
        look("jobs")["queued.rydberg"].update_one({"_id": ObjectId(ID)}, {"$set": {"quledger_move": mark}})
        storage.move(QUEUED, layout.running(ID))
        assert storage.exists(target) == left
        storage.move(layout.running(ID), QUEUED)
    monkeypatch.setattr(mongo_storage, "PATIENCE", 60)
    look("jobs")["queued.rydberg"].update_one({"_id": ObjectId(ID)}, {"$set": {"quledger_move": "alive"}})
    timer = threading.Timer(0.3, look("jobs")["queued.rydberg"].delete_one, ({"_id": ObjectId(ID)},))
    timer.start()
    with pytest.raises(DocumentMissing):
        storage.move(QUEUED, layout.running(ID))
    timer.join()


def test_a_queue_may_hold_anything(storage: MongoStorage, look: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """What is no job is left alone and reported once, whatever its id is; jobs beside it are taken."""
    queue = look("jobs")["queued.rydberg"]
    strange: list[Any] = [5, 1.5, {"a": 1}, "a b", "../x", "", b"bytes", datetime(2026, 1, 1, tzinfo=UTC), ID, True]
    for identity in strange:
        queue.insert_one({"_id": identity, "a": 1})
    ids = [ObjectId() for _ in range(3)]
    queue.insert_many([{"_id": identity, "experiment_0": {}} for identity in ids])
    log = EventLog(open_database(f"sqlite:///{tmp_path / 'log.db'}"))
    inbox = Inbox(log, Stores.single(storage), max_bytes=100_000, settle_seconds=5)
    caplog.set_level(logging.WARNING)
    assert inbox.take("rydberg", "test").jobs == [str(identity) for identity in ids]
    assert inbox.take("rydberg", "test").jobs == []
    assert len([record for record in caplog.records if "inbox_foreign" in record.message]) == len(strange)
    assert queue.count_documents({}) == len(strange) + len(ids)


def test_a_large_job_of_a_front_end_is_taken_at_the_first_look(storage: MongoStorage, look: Any, tmp_path: Path):
    """MongoDB shows no half documents, so nothing is waited for; one that is too large is taken to be refused."""
    look("jobs")["queued.rydberg"].insert_many(
        [{"_id": ObjectId("a" * 24), "a": "x" * 500_000}, {"_id": ObjectId("b" * 24), "a": ["x"] * 100_000}]
    )
    log = EventLog(open_database(f"sqlite:///{tmp_path / 'log.db'}"))
    inbox = Inbox(log, Stores.single(storage), max_bytes=800_000, settle_seconds=60)
    assert inbox.take("rydberg", "test") == (["a" * 24, "b" * 24], 0, 0)
    # Of the second one BSON makes more bytes than the limit, JSON does not.
    assert log.submission("b" * 24).document is not None
    look("jobs")["queued.rydberg"].insert_one({"_id": ObjectId("c" * 24), "a": "x" * 900_000})
    assert inbox.take("rydberg", "test").jobs == ["c" * 24]
    assert log.submission("c" * 24).document is None


def test_the_order_of_service_is_the_time_in_the_id(storage: MongoStorage, look: Any):
    """An ObjectId says when it was made; sqooler's ids are random, so for them the order of insertion counts."""
    early, late = (ObjectId.from_datetime(datetime(2026, 11, day, tzinfo=UTC)) for day in (3, 4))
    random = ["ffffffffffff4fffafffffff", "000000000000400080000000", "7fffffffffff4fffafffffff"]
    look("jobs")["queued.rydberg"].insert_many(
        [{"_id": each} for each in (late, early, *(ObjectId(text) for text in random))]
    )
    entries = sorted(storage.entries("jobs/queued/rydberg"), key=lambda entry: entry.modified_at)
    assert [entry.name[:-5] for entry in entries] == [str(early), str(late), *random]
    assert entries[0].modified_at == datetime(2026, 11, 3, tzinfo=UTC)
    assert abs(entries[2].modified_at - clock.now()) < timedelta(minutes=1)


def test_folders_of_our_own_are_listed_one_by_one(storage: MongoStorage):
    """A folder in a folder is listed once, whatever it holds, and names beside it that sort around it are not lost."""
    for path in (
        "events/a/1.json",
        "events/a/2.json",
        "events/a.json",
        "events/a-b/1.json",
        "events/a0",
        "events/b/c/d",
    ):
        storage.put(path, b"x")
    listed = sorted((entry.name, entry.regular, entry.size) for entry in storage.entries("events"))
    assert listed == [("a", False, 0), ("a-b", False, 0), ("a.json", True, 1), ("a0", True, 1), ("b", False, 0)]
    assert sorted(entry.name for entry in storage.entries("events/a")) == ["1.json", "2.json"]
    assert not storage.exists("events/a")


def _use_in_child(storage: MongoStorage, outcome: Any) -> None:
    storage.put(layout.staged(ID, 2), b"child")
    outcome.put(storage.get(layout.staged(ID, 1)) + storage.get(layout.staged(ID, 2)))
    outcome.close()
    outcome.join_thread()
    os._exit(0)


def test_a_forked_process_has_a_connection_of_its_own(storage: MongoStorage):
    """A child that was forked in the midst of work reads and writes, and its parent goes on."""
    storage.put(layout.staged(ID, 1), b"parent ")
    context = multiprocessing.get_context("fork")
    outcome = context.Queue()
    child = context.Process(target=_use_in_child, args=(storage, outcome))
    child.start()
    assert outcome.get(timeout=60) == b"parent child"
    child.join(60)
    assert storage.get(layout.staged(ID, 2)) == b"child"
