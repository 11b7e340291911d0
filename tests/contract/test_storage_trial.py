"""`quledger storages --contract`: good storages have no fault, and what a bad one does is said."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from models import clock
from models.errors import DocumentMissing, StorageUnavailable
from storage.providers import contract
from storage.providers.contract import NAMED, TWO, contract_faults
from storage.providers.folder import FolderStorage
from storage.providers.protocol import Entry
from tests.contract.storages import Store
from tests.program import Program


def test_every_kind_keeps_it_and_nothing_is_left(store: Store) -> None:
    """Over a real server where there is one."""
    assert contract_faults(store.storage) == []
    assert [each.name for each in store.storage.entries("staged") if each.regular] == []


class Forgets(FolderStorage):
    def get(self, path: str) -> bytes:
        return super().get(path)[:1000]


class Overwrites(FolderStorage):
    def create(self, path: str, content: bytes) -> None:
        self.put(path, content)


class Invents(FolderStorage):
    def get(self, path: str) -> bytes:
        try:
            return super().get(path)
        except DocumentMissing:
            return b"{}"


class Copies(FolderStorage):
    def move(self, source: str, target: str) -> None:
        self.put(target, self.get(source))


class Lists(FolderStorage):
    def entries(self, folder: str) -> Iterator[Entry]:
        return (each._replace(size=1) for each in list(super().entries(folder))[:10])


class Keeps(FolderStorage):
    def delete(self, path: str) -> None:
        pass


class Loses(FolderStorage):
    def put(self, path: str, content: bytes) -> None:
        if not content.startswith(TWO[:14]):
            super().put(path, content)


class Lags(FolderStorage):
    def entries(self, folder: str) -> Iterator[Entry]:
        return (each for each in super().entries(folder) if clock.now() - each.modified_at > timedelta(minutes=1))


class Lowers(FolderStorage):
    def entries(self, folder: str) -> Iterator[Entry]:
        return (each._replace(name=each.name.lower()) for each in super().entries(folder))


class Flat(FolderStorage):
    def entries(self, folder: str) -> Iterator[Entry]:
        return (each for each in super().entries(folder) if each.regular)

    def exists(self, path: str) -> bool:
        return super().exists(path) or path.endswith("listed")


class Raises(FolderStorage):
    def move(self, source: str, target: str) -> None:
        raise ConnectionResetError("/srv/lab: password=hunter2")


class Unkind(FolderStorage):
    def get(self, path: str) -> bytes:
        raise KeyError(path)

    def delete(self, path: str) -> None:
        if path.endswith(f"{NAMED}.json"):
            raise PermissionError("/srv/lab")
        super().delete(path)


FAULTS = {
    Forgets: {"a document of 5 MB is not read whole"},
    Overwrites: {
        "`create` does not refuse where a document is",
        "`create` writes over a document",
        "of 4 that create one document at once 4 succeed",
    },
    Invents: {"`get` of what is not there raises no DocumentMissing", "a document that was deleted is still there"},
    Copies: {"after `move` the document is still at its source", "of 4 that move one document at once 4 succeed"},
    Lists: {"of 25 documents that were just written the listing has 10", "the listing tells the wrong sizes"},
    Keeps: {
        "a document that was deleted is still there",
        "A document is replaced, created once, and gone when it is deleted: it failed with DocumentExists",
    },
    Loses: {
        "`put` does not replace a document",
        "A document is moved, over another one too: it failed with DocumentMissing",
    },
    Lags: {
        "of 25 documents that were just written the listing has 0",
        "the listing has no folder, as an entry that is not regular",
    },
    Lowers: {"the listing has other names than were written"},
    Flat: {"the listing has no folder, as an entry that is not regular", "`exists` takes a folder for a document"},
    Raises: {
        f"{what}: it failed with ConnectionResetError, which is no StorageError"
        for what in (
            "What is not there is said to be missing",
            "A document is moved, over another one too",
            "Of several at once, one creates and one moves, where it says so",
        )
    },
    Unkind: {
        *(
            f"{what}: it failed with KeyError, which is no StorageError"
            for what in (
                "A document is read as it was written",
                "A document is replaced, created once, and gone when it is deleted",
                "What is not there is said to be missing",
                "A document is moved, over another one too",
            )
        ),
        "What was written is deleted again: it failed with PermissionError, which is no StorageError",
    },
}


@pytest.mark.parametrize("bad", FAULTS, ids=lambda each: each.__name__)
def test_what_a_bad_storage_does_is_said(bad: type[FolderStorage], tmp_path: Path) -> None:
    """All of it, and no more."""
    assert set(contract_faults(bad((tmp_path / "store").as_uri()))) == FAULTS[bad]


def test_it_is_asked_for_at_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 where all is kept, 3 where something differs, 1 where it cannot be used."""
    program = Program(tmp_path / "home", capsys)
    assert program.said("storages", "--contract") == "the storage: it keeps the contract\n"
    monkeypatch.setattr(contract, "_CHECKS", (lambda _trial: iter(["it forgets", "it lies"]),))
    code, out, _ = program("storages", "--contract")
    assert (code, out) == (3, "the storage: it forgets; it lies\n")
    monkeypatch.undo()
    monkeypatch.setattr(FolderStorage, "put", lambda *_: (_ for _ in ()).throw(KeyError("a bug")))
    code, out, _ = program("storages", "--contract")
    assert (code, out.count("it failed with KeyError, which is no StorageError")) == (3, 5)
    monkeypatch.setattr(FolderStorage, "put", lambda *_: (_ for _ in ()).throw(StorageUnavailable("it is away")))
    assert program("storages", "--contract")[0] == 1
