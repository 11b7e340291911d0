"""Tells front ends which backends there are, and that somebody looks at their queues."""

import asyncio
import json
import logging
from collections.abc import Sequence

from prefect import flow

from models import clock
from models.backend import BackendConfig
from models.errors import StorageError, StorageInactive
from models.job import Phase
from storage import layout
from tasks import backends
from tasks.services import Services, current

_LOG = logging.getLogger("quledger.publish")


def publish(services: Services, names: Sequence[str]) -> None:
    """Write the configuration of each backend with the time of this look at its queue (UTC, whole seconds).

    Raises:
        StorageUnavailable: not one storage could be written.
    """
    counts = services.log.counts()
    checked = clock.now().replace(microsecond=0).isoformat()
    documents: dict[str, bytes] = {}
    for name in names:
        config: BackendConfig = backends.load(name).config
        waiting = counts.get(name, {}).get(Phase.WAITING, 0)
        published = config.model_copy(update={"last_queue_check": checked, "pending_jobs": waiting})
        documents[layout.config(name)] = json.dumps(published.model_dump()).encode("utf-8")
    failed: list[StorageError] = []
    for store in services.stores.names:
        try:
            storage = services.stores.of(store)
            for path, content in documents.items():
                storage.put(path, content)
        except StorageInactive:
            continue
        except StorageError as error:
            failed.append(error)
    if failed and len(failed) == len(services.stores.names):
        raise failed[0]
    for each in failed:
        _LOG.warning("publish_failed action=try_again: %s", each)


@flow(name="publish-backends", persist_result=False)
async def publish_backends() -> list[str]:
    """Publish every backend of this installation; return their names."""
    names = backends.usable()
    await asyncio.to_thread(publish, current(), names)
    return names
