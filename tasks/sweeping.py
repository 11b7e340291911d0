"""Removes what killed writers have left in the storages."""

import logging

from models.errors import LogError, StorageError, StorageInactive
from storage.documents.leftovers import Leftovers
from storage.providers.beside import sweep
from tasks.services import Services

_LOG = logging.getLogger("quledger.sweeping")

SECONDS = 60.0
"""How often a drain looks for staged results that were left over."""

HALVES_SECONDS = 3600.0
"""How often it looks everywhere for halves of documents."""


def sweep_storages(services: Services) -> int:
    """Remove the halves of documents that are too old to be finished; return how many there were."""
    swept = 0
    for name in services.stores.names:
        try:
            swept += sweep(services.stores.of(name))
        except StorageInactive:
            continue
        except StorageError as error:
            _LOG.warning("sweep_failed action=try_again: %s", error)
    if swept:
        _LOG.info("swept action=remove halves=%d", swept)
    return swept


def sweep_leftovers(services: Services) -> int:
    """Remove what was staged for jobs that had ended already; return of how many jobs that was."""
    swept = 0
    leftovers = Leftovers(services.log, services.stores, services.locks)
    for name in services.stores.names:
        try:
            swept += leftovers.sweep(name)
        except StorageInactive:
            continue
        except (LogError, StorageError) as error:
            _LOG.warning("sweep_failed action=try_again: %s", error)
    return swept
