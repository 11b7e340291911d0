"""The contract of a storage provider under several at once: threads, processes, readers, and a mover that is killed."""

import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from models.errors import DocumentMissing
from storage import layout
from storage.providers.protocol import StorageProvider
from tests.contract import racing
from tests.contract.storages import Store

FOLDER = "jobs/queued/rydberg"


HERE = f"{FOLDER}/000000000000000000000001.json"


def test_of_two_threads_one_creates(store: Store):
    """Whenever two threads create one document, exactly one succeeds, and its document is there."""
    store.need("conditional_create")
    check_creations(store, racing.by_threads(store.storage, racing.create))


def test_of_two_processes_one_creates(store: Store):
    """Whenever two processes create one document, exactly one succeeds, and its document is there."""
    store.need("conditional_create")
    check_creations(store, racing.by_processes(shared(store), racing.create))


def test_of_two_threads_one_moves(store: Store):
    """Whenever two threads move one document to places of their own, exactly one succeeds."""
    store.need("atomic_move")
    prepare(store)
    check_moves_apart(store, racing.by_threads(store.storage, racing.move_apart))


def test_of_two_processes_one_moves(store: Store):
    """Whenever two processes move one document to places of their own, exactly one succeeds."""
    store.need("atomic_move")
    prepare(store)
    check_moves_apart(store, racing.by_processes(shared(store), racing.move_apart))


def test_of_two_threads_one_moves_to_a_free_place(store: Store):
    """Also without an atomic move: when two threads move one document to one free place, exactly one succeeds."""
    store.need("conditional_create")
    prepare(store)
    check_moves_together(store, racing.by_threads(store.storage, racing.move_together))


def test_of_two_processes_one_moves_to_a_free_place(store: Store):
    """Also without an atomic move: when two processes move one document to one free place, exactly one succeeds."""
    store.need("conditional_create")
    prepare(store)
    check_moves_together(store, racing.by_processes(shared(store), racing.move_together))


def test_a_mover_that_is_killed_loses_nothing(store: Store):
    """Wherever a mover is killed, each document is whole in at least one place, and the next move finishes it."""
    number, passages = 16, 4
    url = shared(store)
    prepare(store, number)
    racing.kill_a_mover(url, number, passages)
    for turn in range(number):
        places = racing.queued(turn), layout.taken(racing.job(turn))
        there = [path for path in places if store.storage.exists(path)]
        assert there
        assert all(store.same(path, document(turn)) for path in there)
        if places[0] in there and len(there) == 1:
            store.storage.move(*places)
        elif places[0] in there:
            with contextlib.suppress(DocumentMissing):  # what was moved already may be said to be gone
                store.storage.move(*places)
        assert [path for path in places if store.storage.exists(path)] == [places[1]]
        assert store.same(places[1], document(turn))


def test_readers_never_see_half_a_document(storage: StorageProvider):
    """While a document is rewritten again and again, each read gives one whole version."""
    versions = [json.dumps({"x": chr(65 + number) * 200_000}).encode() for number in range(4)]
    storage.put(HERE, versions[0])
    known = [json.loads(version) for version in versions]
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            storage.put(HERE, versions[number % 4])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(50):
            assert json.loads(storage.get(HERE)) in known
    finally:
        done.set()
        writer.join()


def shared(store: Store) -> str:
    """Return the URL at which another process opens the storage."""
    if not store.kind.shared:
        pytest.skip(f"no other process can open {store.kind.name}")
    return store.place.url


def document(turn: int) -> bytes:
    """Return what movers move in round number so."""
    return b'{"turn": %d}' % turn


def prepare(store: Store, rounds: int = racing.ROUNDS) -> None:
    """Put down what movers race for."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda turn: store.storage.put(racing.queued(turn), document(turn)), range(rounds)))


def check_creations(store: Store, winners: list[list[int]]) -> None:
    """Each round has one winner, whose document is there."""
    assert len(winners) == racing.ROUNDS
    for turn, won in enumerate(winners):
        (winner,) = won
        assert store.same(layout.status("rydberg", racing.job(turn)), b'{"racer": %d}' % winner)


def check_moves_apart(store: Store, winners: list[list[int]]) -> None:
    """Each round has one winner, who alone has the document."""
    assert len(winners) == racing.ROUNDS
    for turn, won in enumerate(winners):
        (winner,) = won
        assert store.same(racing.own_place(winner, turn), document(turn))
        assert not store.storage.exists(racing.own_place(1 - winner, turn))
        assert not store.storage.exists(racing.queued(turn))


def check_moves_together(store: Store, winners: list[list[int]]) -> None:
    """Each round has one winner, and the document has moved."""
    assert [len(won) for won in winners] == [1] * racing.ROUNDS
    for turn in range(len(winners)):
        assert store.same(layout.taken(racing.job(turn)), document(turn))
        assert not store.storage.exists(racing.queued(turn))
