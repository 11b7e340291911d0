"""An empty folder in a Dropbox, and what the tests over it share."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from storage import layout
from storage.providers.dropbox import client
from storage.providers.dropbox.dropbox_storage import DropboxStorage
from storage.providers.registry import open_storage
from tests.contract.storages import Place, surrounded
from tests.dropbox_server import Service

ID = "20210906_203730-rydberg-ann-1088f"


QUEUED, RUNNING = layout.queued("rydberg", ID), layout.running(ID)


ONE, TWO = b'{"n": 1}', b'{"n": 2}'


@contextlib.contextmanager
def empty_storage(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[DropboxStorage]:
    """Yield an empty storage that has its access token already; its pauses are short."""
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.01)
    place = Place(service.url(), service.environment)
    with surrounded(place):
        storage = open_storage(place.url)
        assert isinstance(storage, DropboxStorage)
        storage.put("staged/first", b"")
        service.control(clear=True)
        yield storage
        service.control(clear=True)


def fault(call: str, kind: str, **more: Any) -> dict[str, Any]:
    """Return a fault of one of the calls about files."""
    return {"call": f"files/{call}" if call else "", "kind": kind} | more


def root(storage: DropboxStorage) -> str:
    """Return the folder of the storage."""
    return storage._root


def lay(storage: DropboxStorage, place: str, content: bytes = ONE) -> None:
    """Put a file into the Dropbox as anybody may."""
    storage._caller.ask("x", lambda client: client.files_upload(content, f"{root(storage)}/{place}"))
