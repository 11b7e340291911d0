"""The contract of a storage, tried on one that is used: in a folder of its own, which is empty afterwards.

`tests/contract` tries more: several processes at once, a mover that is killed, readers of a document that is rewritten.
"""

import contextlib
import functools
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from models import clock
from models.errors import DocumentExists, DocumentMissing, StorageError
from storage import layout
from storage.providers.protocol import StorageProvider, get_or_none

RACERS = 4
ROUNDS = 5
LISTED = 25
LARGE = 5_000_000
NAMED = "20210906_203730-singlequdit-User_1-1088F"
"""An id in which capitals count, as Dropbox has them."""

AWRY = timedelta(minutes=5)
"""So far the clock of a storage may be from ours."""

ONE, TWO = b'{"document": 1}', b'{"document": 2}'
STRANGE = {"a": [1, -2.5, 1e-300, True, None, "\u00e9\u2028\U0001f600\x00"], "b": {"c.d": {"$e": ""}}}


def contract_faults(storage: StorageProvider) -> list[str]:
    """Return what a storage does otherwise than `storage.providers.protocol` says, a sentence each.

    Raises:
        StorageError: it cannot be used at all.
    """
    trial = _Trial(storage, f"{layout.STAGED}/contract-{uuid.uuid4().hex}")
    try:
        faults = [fault for check in _CHECKS for fault in _found(check, trial)]
    except StorageError:
        with contextlib.suppress(Exception):  # what it says of itself counts
            trial.clear()
        raise
    return [*faults, *_found(_cleared, trial)]


class _Trial:
    """A storage, and a folder in it."""

    def __init__(self, storage: StorageProvider, folder: str) -> None:
        self.storage, self.folder = storage, folder
        self.used: set[str] = set()

    def path(self, name: str = "") -> str:
        """Return a place in the folder, by default one where nothing was."""
        found = f"{self.folder}/{name or uuid.uuid4().hex}.json"
        self.used.add(found)
        return found

    def holds(self, path: str, content: bytes) -> bool:
        """Say whether a document is what was written."""
        found = get_or_none(self.storage, path)
        if found is None or self.storage.abilities.exact_bytes:
            return found == content
        return bool(json.loads(found) == json.loads(content))

    def winners(self, act: Callable[[int], object]) -> int:
        """Return how many of several that do something at once get it done."""
        ready = threading.Barrier(RACERS)

        def race(racer: int) -> bool:
            ready.wait()
            try:
                act(racer)
            except (DocumentExists, DocumentMissing):
                return False
            return True

        with ThreadPoolExecutor(RACERS) as threads:
            return sum(threads.map(race, range(RACERS)))

    def clear(self) -> None:
        """Leave nothing behind."""
        for path in self.used:
            self.storage.delete(path)


_Check = Callable[[_Trial], Iterator[str]]


def _found(check: _Check, trial: _Trial) -> Iterator[str]:
    """Yield what a check finds; an error that it does not expect is one more."""
    what = (check.__doc__ or "").rstrip(".")
    try:
        yield from check(trial)
    except (DocumentExists, DocumentMissing) as error:
        yield f"{what}: it failed with {type(error).__name__}"
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a storage raises
        yield f"{what}: it failed with {type(error).__name__}, which is no StorageError"


def _cleared(trial: _Trial) -> Iterator[str]:
    """What was written is deleted again."""
    trial.clear()
    yield from ()


def _read(trial: _Trial) -> Iterator[str]:
    """A document is read as it was written."""
    path = trial.path()
    for value in ({}, STRANGE):
        trial.storage.put(path, json.dumps(value).encode())
        if json.loads(trial.storage.get(path)) != value:
            yield f"a document is not read as it was written: {json.dumps(value)}"
    first = trial.storage.get(path)
    trial.storage.put(path, first)
    if trial.storage.get(path) != first:
        yield "what was read and written again has other bytes"
    if trial.storage.abilities.exact_bytes:
        for content in (b"", b"half {", bytes(range(256))):
            trial.storage.put(path, content)
            if trial.storage.get(path) != content:
                yield f"it says that bytes come back exactly, and these do not: {content[:10]!r}"
    large = json.dumps({"memory": "0" * LARGE}).encode()
    trial.storage.put(path, large)
    if not trial.holds(path, large):
        yield f"a document of {len(large) / 1e6:.0f} MB is not read whole"


def _written(trial: _Trial) -> Iterator[str]:
    """A document is replaced, created once, and gone when it is deleted."""
    path = trial.path()
    trial.storage.create(path, ONE)
    with contextlib.suppress(DocumentExists):
        trial.storage.create(path, TWO)
        yield "`create` does not refuse where a document is"
    if not trial.holds(path, ONE):
        yield "`create` writes over a document"
    trial.storage.put(path, TWO)
    if not trial.holds(path, TWO):
        yield "`put` does not replace a document"
    if not trial.storage.exists(path):
        yield "a document that is there does not exist"
    trial.storage.delete(path)
    trial.storage.delete(path)
    if trial.storage.exists(path) or get_or_none(trial.storage, path) is not None:
        yield "a document that was deleted is still there"
    trial.storage.create(path, TWO)
    if not trial.holds(path, TWO):
        yield "a place that was used cannot be used again"


def _missing(trial: _Trial) -> Iterator[str]:
    """What is not there is said to be missing."""
    path, other = trial.path(), trial.path()
    with contextlib.suppress(DocumentMissing):
        trial.storage.get(path)
        yield "`get` of what is not there raises no DocumentMissing"
    with contextlib.suppress(DocumentMissing):
        trial.storage.move(path, other)
        yield "`move` of what is not there raises no DocumentMissing"


def _moved(trial: _Trial) -> Iterator[str]:
    """A document is moved, over another one too."""
    here, there = trial.path(), trial.path()
    for content in (ONE, TWO):
        trial.storage.put(here, content)
        trial.storage.move(here, there)
        if not trial.holds(there, content):
            yield "after `move` the document is not at its target"
        if trial.storage.exists(here):
            yield "after `move` the document is still at its source"


def _listed(trial: _Trial) -> Iterator[str]:
    """A listing has each document once, with its size and time, as soon as it is written."""
    sizes = {f"{number:032x}": number for number in range(LISTED - 1)} | {NAMED: LISTED}
    before = clock.now()
    for name, size in sizes.items():
        trial.storage.put(trial.path(f"listed/{name}"), json.dumps({"x": "x" * size}).encode())
    found = list(trial.storage.entries(f"{trial.folder}/listed"))
    if len(found) != LISTED:
        yield f"of {LISTED} documents that were just written the listing has {len(found)}"
    elif sorted(each.name for each in found) != sorted(f"{name}.json" for name in sizes):
        yield "the listing has other names than were written"
    if len({each.size for each in found}) < len(found):
        yield "the listing tells the wrong sizes"
    if any(abs(each.modified_at - before) > AWRY for each in found):
        yield "the times of a listing are more than five minutes from this machine's clock"
    if not all(each.regular for each in found):
        yield "the listing says that a document is none"
    if list(trial.storage.entries(f"{trial.folder}/nobody")):
        yield "a folder that is not there is not empty"
    if ("listed", False) not in [(each.name, each.regular) for each in trial.storage.entries(trial.folder)]:
        yield "the listing has no folder, as an entry that is not regular"
    if trial.storage.exists(f"{trial.folder}/listed"):
        yield "`exists` takes a folder for a document"


def _raced(trial: _Trial) -> Iterator[str]:
    """Of several at once, one creates and one moves, where it says so."""
    abilities = trial.storage.abilities
    for _ in range(ROUNDS):
        path, places = trial.path(), [trial.path() for _ in range(RACERS)]
        creation = functools.partial(_create, trial.storage, path)
        move = functools.partial(_move, trial.storage, path, places)
        if abilities.conditional_create and (won := trial.winners(creation)) != 1:
            yield f"of {RACERS} that create one document at once {won} succeed"
            return
        trial.storage.put(path, ONE)
        if abilities.atomic_move and (won := trial.winners(move)) != 1:
            yield f"of {RACERS} that move one document at once {won} succeed"
            return


def _create(storage: StorageProvider, path: str, racer: int) -> None:
    storage.create(path, b'{"racer": %d}' % racer)


def _move(storage: StorageProvider, path: str, places: list[str], racer: int) -> None:
    storage.move(path, places[racer])


_CHECKS: tuple[_Check, ...] = (_read, _written, _missing, _moved, _listed, _raced)
