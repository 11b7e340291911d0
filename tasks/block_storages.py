"""Opens the storages that Prefect's blocks describe, by their names; a change there is noticed while a drain runs."""

import logging
import re
import threading
import time
from typing import Any

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL
from pydantic import BaseModel, ValidationError

from models.errors import BadSetting, StorageInactive, StorageRefused, StorageUnavailable, echo
from models.logins import Address
from models.settings import BLOCK, STORAGE_NAME
from models.words import without_prefix
from storage.providers.in_words import InWords
from storage.providers.protocol import StorageProvider
from storage.providers.registry import open_storage
from tasks.prefect_block import KINDS, NAMED, Described

_LOG = logging.getLogger("quledger.storage_block")

RELOAD_SECONDS = 15.0
"""A block is read again, and new ones are looked for, after so long."""


class BlockOpener:
    """Opens the storage of one block, and again when the block has changed."""

    def __init__(self, url: str) -> None:
        self._name = url.removeprefix(BLOCK)
        self._lock = threading.Lock()
        self._loaded_at = float("-inf")
        self._block: Described | None = None
        self._opened: tuple[Address, StorageProvider] | None = None

    def __call__(self) -> StorageProvider:
        """Return the storage as the block says now.

        Raises:
            StorageInactive: the block is switched off.
            StorageUnavailable: there is no such block, or Prefect was never reached.
            StorageRefused: its login cannot be used. No setting of ours is wrong, so a drain goes on with the rest.
        """
        with self._lock:
            try:
                block = self._newest()
                if not block.is_active:
                    raise StorageInactive(self._name)
                wanted = block.address()
                if self._opened is None or self._opened[0] != wanted:
                    storage = open_storage(wanted.url, wanted.login)
                    self._opened = wanted, InWords(storage, self._said)
            except BadSetting as error:
                raise StorageRefused(self._said(str(error))) from None
            except StorageRefused as error:
                error.args = (self._said(str(error)),)
                raise
            return self._opened[1]

    def _said(self, message: str) -> str:
        """Return what is wrong in the words of whoever looks at the block: its name, and those of its fields."""
        fields = re.sub(r"\b(?:AWS|DROPBOX)_[A-Z0-9_]*[A-Z0-9]|\bQULEDGER_STORAGE\b", _field, message)
        return f"the block {echo(self._name)}: {fields}"

    def _newest(self) -> Described:
        """Return the block; while Prefect does not answer, the last one that was read.

        Raises:
            StorageUnavailable: there is none (any more), or Prefect was never reached.
            BadSetting: it cannot be used, or there are several.
        """
        if time.monotonic() >= self._loaded_at + RELOAD_SECONDS:
            try:
                self._block = _load(self._name)
            except StorageUnavailable as error:
                if self._block is None:
                    raise
                _LOG.warning("block_unavailable action=keep: %s", error)
            self._loaded_at = time.monotonic()
        if self._block is None:
            msg = f"Prefect has no block {echo(self._name)} of ours; make it in its UI: Blocks > + > Quledger ..."
            raise StorageUnavailable(msg)
        return self._block


_FIELDS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "AWS_REGION": "region",
    "AWS_ENDPOINT_URL": "endpoint",
    "QULEDGER_STORAGE": "url",
    **{name: name.removeprefix("DROPBOX_").lower() for name in ("DROPBOX_APP_KEY", "DROPBOX_APP_SECRET")},
    "DROPBOX_REFRESH_TOKEN": "refresh_token",
}
"""Variable in the messages of a provider -> the field of a block that takes its place."""


def _field(variable: re.Match[str]) -> str:
    return _FIELDS.get(variable[0], variable[0])


class BlockFinder:
    """Finds all blocks of our kinds, for whoever names none: `{"lab": "file:///…", "*": "block://*"}`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._found: dict[str, BlockOpener] = {}
        self._refused: set[str] = set()

    def __call__(self) -> dict[str, BlockOpener]:
        """Return what opens each block that was ever found, by its name, oldest block first."""
        with self._lock:
            if time.monotonic() >= self._asked_at + RELOAD_SECONDS and PREFECT_API_URL.value() is not None:
                self._asked_at = time.monotonic()
                try:
                    blocks = sorted(_documents(), key=lambda each: str(each["created"]))
                except Exception as error:  # noqa: BLE001 - of many kinds, and some hold what was asked
                    _LOG.warning("blocks_unknown action=look_again: %s", type(error).__name__)
                else:
                    for block in blocks:
                        self._take(str(block["name"]))
            return dict(self._found)

    def _take(self, name: str) -> None:
        if re.fullmatch(STORAGE_NAME, name):
            self._found.setdefault(name, BlockOpener(BLOCK + name))
        elif name not in self._refused:
            self._refused.add(name)
            _LOG.warning("block_left_out action=none: %s is no name of a storage; %s", echo(name), NAMED)


def _documents(name: str | None = None) -> list[dict[str, Any]]:
    """Return the blocks of our kinds as Prefect keeps them, with their logins; of this name if one is given."""
    asked: dict[str, Any] = {"block_types": {"slug": {"any_": list(KINDS)}}, "include_secrets": name is not None}
    if name is not None:
        asked["block_documents"] = {"name": {"any_": [name]}, "is_anonymous": {"eq_": False}}
    with get_client(sync_client=True) as client:
        found: list[dict[str, Any]] = client.request("POST", "/block_documents/filter", json=asked).json()
    return found


def _load(name: str) -> Described | None:
    """Return the block of this name, None where there is none.

    Raises:
        StorageUnavailable: Prefect does not say.
        BadSetting: it cannot be used, or there are several.
    """
    if PREFECT_API_URL.value() is None:
        msg = f"the storage {BLOCK}{name} is kept by Prefect; PREFECT_API_URL has to say by which"
        raise StorageUnavailable(msg)
    try:
        found = _documents(name)
    except Exception as error:  # noqa: BLE001 - of many kinds, and some hold what was asked
        msg = f"Prefect does not give the block {echo(name)} ({type(error).__name__})"
        raise StorageUnavailable(msg) from None
    if not found:
        return None
    kinds = [str(each["block_type"]["name"]) for each in found]
    if len(found) > 1:
        raise BadSetting(f"there are {len(found)} blocks of this name ({', '.join(sorted(kinds))}); delete all but one")
    kind = KINDS[found[0]["block_type"]["slug"]]
    try:
        block: Described = kind.model_validate(found[0]["data"])
    except ValidationError as error:
        raise BadSetting("; ".join(_fault(kind, each["loc"], each["msg"]) for each in error.errors())) from None
    return block


def _fault(kind: type[BaseModel], place: tuple[int | str, ...], message: str) -> str:
    """Return what is wrong with a block, and what its field is to hold."""
    if not place:
        return without_prefix(message)
    field = kind.model_fields.get(str(place[0]))
    return f"the field {place[0]} cannot be that" + (f" ({field.description})" if field and field.description else "")
