"""Dropbox as a kind of storage for the contract suite: our own server, over the official client."""

import contextlib
from collections.abc import Iterator

from tests.contract.storages import Kind, Place, Places
from tests.dropbox_server import dropbox_service


@contextlib.contextmanager
def _dropbox() -> Iterator[Places]:
    with dropbox_service() as service:
        yield lambda _folder: Place(service.url(), service.environment)


DROPBOX = Kind("dropbox", _dropbox)
