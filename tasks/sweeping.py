"""Removes what killed writers have left in the storages."""

import logging

from models.errors import StorageError
from storage.providers.beside import sweep
from tasks.services import Services

_LOG = logging.getLogger("quledger.sweeping")

SECONDS = 3600.0
"""How often a drain does so."""


def sweep_storages(services: Services) -> int:
    """Remove the halves of documents that are too old to be finished; return how many there were."""
    swept = 0
    for name in services.stores.names:
        try:
            swept += sweep(services.stores.of(name))
        except StorageError as error:
            _LOG.warning("sweep_failed action=try_again: %s", error)
    if swept:
        _LOG.info("swept action=remove halves=%d", swept)
    return swept
