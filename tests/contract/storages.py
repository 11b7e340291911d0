"""The kinds of storage that the tests run over: each with a real server where there is one.

A kind is added by one line in `KINDS`. One with a server has a module of its own (such as `tests/seaweedfs.py`), and
its name in `SERVED` of `tests/conftest.py`.
"""

import contextlib
import importlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from storage.providers.protocol import Abilities, StorageProvider


class Place(NamedTuple):
    """An empty storage, as any process can open it.

    Attributes:
        url: what `open_storage` takes.
        environment: variables that have to be set for it, such as credentials.
    """

    url: str
    environment: Mapping[str, str] = {}


Places = Callable[[Path], Place]
"""Makes one empty storage after the other; the folder is the test's own."""


@dataclass(frozen=True)
class Kind:
    """One kind of storage.

    Attributes:
        name: of the kind, in the names of tests.
        served: runs its server while the block runs, and says how to get empty storages there; it skips the test,
            with a reason, where there is nothing to run.
        abilities: what `StorageProvider.abilities` must be; tests of what is missing are skipped.
        deviations: what it does otherwise than the contract says: name of the test function -> why. The test must
            fail then, so that none is switched off by accident.
        shared: whether another process can open the same storage.
    """

    name: str
    served: Callable[[], contextlib.AbstractContextManager[Places]]
    abilities: Abilities = Abilities()  # noqa: RUF009 - a NamedTuple never changes
    deviations: Mapping[str, str] = field(default_factory=dict)
    shared: bool = True


@contextlib.contextmanager
def _folders() -> Iterator[Places]:
    def place(folder: Path) -> Place:
        return Place((folder / "store").as_uri())

    yield place


@contextlib.contextmanager
def _memory() -> Iterator[Places]:
    def place(_folder: Path) -> Place:
        return Place(f"memory://{uuid.uuid4().hex}")

    yield place


@contextlib.contextmanager
def _folders_by_fsspec() -> Iterator[Places]:
    def place(folder: Path) -> Place:
        return Place(f"dir::{(folder / 'store').as_uri()}")

    yield place


FILE = Kind("file", _folders)
DIR = Kind("dir", _folders_by_fsspec, Abilities(conditional_create=False, atomic_move=False))
MEMORY = Kind("memory", _memory, shared=False)

KINDS = {
    "file": "tests.contract.storages:FILE",
    "memory": "tests.contract.storages:MEMORY",
    "dir": "tests.contract.storages:DIR",
    "s3": "tests.seaweedfs:S3",
    "fsspec": "tests.seaweedfs:FSSPEC",
    "mongodb": "tests.secantus:MONGODB",
    "dropbox": "tests.dropbox_kind:DROPBOX",
}
"""Every kind: name -> `module:attribute`, imported when a test needs it."""

if "QULEDGER_TEST_MONGODB" in os.environ:
    KINDS["mongod"] = "tests.secantus:MONGOD"


LIVES = ("file", "s3", "mongodb")
"""Kinds over which whole lives of jobs are run: drains that are killed, crash points. The first one runs them all."""


def sampled(sample: set[Any], cases: list[Any], *, everything: bool) -> list[tuple[str, Any]]:
    """Return pairs of kind and case: all cases of the first kind, and of the others the sample, or all if wished."""
    return [(kind, case) for kind in LIVES for case in cases if everything or kind == LIVES[0] or case in sample]


def kind_named(name: str) -> Kind:
    """Return the kind of this name."""
    module, _, attribute = KINDS[name].partition(":")
    found: Kind = getattr(importlib.import_module(module), attribute)
    assert found.name == name
    return found


class Servers:
    """The servers of one session, each started when a test first needs it."""

    def __init__(self) -> None:
        self._open = contextlib.ExitStack()
        self._places: dict[str, Places] = {}

    def place(self, kind: Kind, folder: Path) -> Place:
        """Return an empty storage of this kind."""
        if kind.name not in self._places:
            self._places[kind.name] = self._open.enter_context(kind.served())
        return self._places[kind.name](folder)

    def close(self) -> None:
        """Stop them all."""
        self._open.close()


@contextlib.contextmanager
def surrounded(place: Place) -> Iterator[None]:
    """Set the environment that the storage needs, here and in every process that is started meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "DROPBOX_"))]:
            patch.delenv(name)
        for name, value in place.environment.items():
            patch.setenv(name, value)
        yield


class Store(NamedTuple):
    """An empty storage of one kind, and what is known of it."""

    kind: Kind
    place: Place
    storage: StorageProvider

    def need(self, *abilities: str) -> None:
        """Skip the test where the storage does not claim these abilities."""
        for ability in abilities:
            if not getattr(self.kind.abilities, ability):
                pytest.skip(f"{self.kind.name} has no {ability}, and says so")

    def same(self, path: str, content: bytes) -> bool:
        """Say whether a document holds what was written."""
        found = self.storage.get(path)
        return found == content if self.kind.abilities.exact_bytes else json.loads(found) == json.loads(content)
