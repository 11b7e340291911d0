"""A storage whose login Prefect keeps: seen and edited in its UI, opened by `block://name`.

`prefect block register -m tasks.prefect_block` makes the kind of block known; `quledger up` does it by itself. A
change there is noticed within `RELOAD_SECONDS`.
"""

import logging
import threading
import time
from typing import ClassVar

from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from pydantic import Field, SecretStr, ValidationError

from models.errors import BadSetting, StorageInactive, StorageRefused, StorageUnavailable, echo
from models.logins import Address, Kind, address
from models.settings import BLOCK
from storage.providers.protocol import StorageProvider
from storage.providers.registry import open_storage

_LOG = logging.getLogger("quledger.storage_block")

RELOAD_SECONDS = 15.0
"""A block is read again after so long."""


class StorageBlock(Block):
    """A storage that front ends and Quledger share. The block's name is the name of the storage."""

    _block_type_name: ClassVar[str] = "Quledger Storage"
    _block_type_slug: ClassVar[str] = "quledger-storage"
    _description: ClassVar[str] = "A storage through which front ends hand in jobs and read results."

    kind: Kind = Field(default="local", description="What the storage is.")
    description: str = Field(default="", description="What it is for.")
    owner: str = Field(default="", description="Whose it is.")
    is_active: bool = Field(default=True, description="Switched off, it is neither read nor written.")
    login: SecretStr = Field(
        default=SecretStr("{}"),
        description='A JSON object, for instance {"base_path": "/data"} for a local folder,'
        ' {"url": "s3://bucket/prefix", "key": "...", "secret": "..."} for S3, {"url": "mongodb://..."} for MongoDB,'
        ' {"app_key": "...", "app_secret": "...", "refresh_token": "..."} for Dropbox.',
    )


class BlockOpener:
    """Opens the storage of one block, and again when the block has changed."""

    def __init__(self, url: str) -> None:
        self._name = url.removeprefix(BLOCK)
        self._lock = threading.Lock()
        self._loaded_at = float("-inf")
        self._block: StorageBlock | None = None
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
                wanted = address(block.kind, block.login.get_secret_value())
                if self._opened is None or self._opened[0] != wanted:
                    self._opened = wanted, open_storage(wanted.url, wanted.login)
            except BadSetting as error:
                raise StorageRefused(f"the block {echo(self._name)}: {error}") from None
            return self._opened[1]

    def _newest(self) -> StorageBlock:
        """Return the block; while Prefect does not answer, the last one that was read."""
        if self._block is not None and time.monotonic() < self._loaded_at + RELOAD_SECONDS:
            return self._block
        try:
            self._block = _load(self._name)
        except StorageUnavailable as error:
            if self._block is None:
                raise
            _LOG.warning("block_unavailable action=keep: %s", error)
        self._loaded_at = time.monotonic()
        return self._block


def _load(name: str) -> StorageBlock:
    if PREFECT_API_URL.value() is None:
        msg = f"the storage {BLOCK}{name} is kept by Prefect; PREFECT_API_URL has to say by which"
        raise StorageUnavailable(msg)
    try:
        with get_client(sync_client=True) as client:
            slug = StorageBlock.get_block_type_slug()
            document = client.read_block_document_by_name(name, slug, include_secrets=True)
    except ObjectNotFound:
        msg = f"Prefect has no block {echo(name)} of the kind {StorageBlock.get_block_type_name()}"
        raise StorageUnavailable(msg) from None
    except Exception as error:  # noqa: BLE001 - of many kinds, and some hold what was asked
        msg = f"Prefect does not give the block {echo(name)} ({type(error).__name__})"
        raise StorageUnavailable(msg) from None
    try:
        return StorageBlock.model_validate(document.data)
    except ValidationError as error:
        fields = ", ".join(sorted({str(item["loc"][0]) for item in error.errors() if item["loc"]}))
        raise BadSetting(f"the block {echo(name)} cannot be used: look at {fields}") from None
