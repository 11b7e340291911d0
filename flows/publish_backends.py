"""Publishes the backends for front ends, each with the time at which its queue was last looked at."""

import asyncio
import json
import logging
from collections.abc import Sequence
from datetime import datetime

from prefect import flow

from models import clock
from models.backend import BackendConfig
from models.errors import KeyUnusable, StorageError, StorageInactive
from models.job import Phase
from models.pauses import Pause
from storage import layout
from storage.identity.devices import standing
from storage.log.pauses import pauses
from storage.signatures.signing import sign
from tasks.backends import registry
from tasks.calibrating import record
from tasks.mirroring import mirror_streams
from tasks.services import Services, current

_LOG = logging.getLogger("quledger.publish")


def publish(services: Services, names: Sequence[str]) -> None:
    """Write the configuration of each backend, with the time of the last look at its queue (UTC, whole seconds).

    A drain looks now; the engine of a device outside looked when it was last heard of. Of a backend that is paused it
    is when the pause began, and `status_msg` says why.

    Raises:
        StorageError: none of the storages could be written.
        KeyUnusable: a backend signs and cannot; its configuration is left to grow old, all others are published.
    """
    counts, paused = services.log.counts(), pauses(services.log.engine)
    now = clock.now()
    configs = [
        registry.load(name).config.model_copy(
            update={
                "last_queue_check": _last_look(services, name, paused.get(name), now),
                "pending_jobs": counts.get(name, {}).get(Phase.WAITING, 0),
                "status_msg": str(paused[name]) if name in paused else None,
            }
        )
        for name in names
    ]
    record(services, names)
    mirror_streams(services)
    failed: list[StorageError] = []
    unusable: KeyUnusable | None = None
    for store in services.stores.names:
        try:
            _publish_to(services, store, configs)
        except StorageInactive:
            continue
        except KeyUnusable as error:
            unusable = error
        except StorageError as error:
            failed.append(error)
    if failed and len(failed) == len(services.stores.names):
        raise failed[0]
    for each in failed:
        _LOG.warning("publish_failed action=try_again: %s", each)
    if unusable is not None:
        raise unusable


def _last_look(services: Services, name: str, pause: Pause | None, now: datetime) -> str | None:
    """Return when a queue was last looked at; None where the engine of a device outside never did."""
    if pause is not None:
        # Front ends take a backend whose queue was looked at long ago for not operational.
        seen: datetime | None = pause.since
    elif registry.served_outside(name):
        seen = standing(services.log.engine, name).seen_at
    else:
        seen = now
    return None if seen is None else seen.replace(microsecond=0).isoformat()


def _publish_to(services: Services, store: str, configs: Sequence[BackendConfig]) -> None:
    """Write the configurations to one storage, each signed where its backend signs."""
    storage, signer = services.stores.of(store), services.signers.of(store)
    unusable: KeyUnusable | None = None
    try:
        signer.publish()
    except KeyUnusable as error:
        unusable = error
    for config in configs:
        name = config.display_name
        try:
            key = signer.key(name)
        except KeyUnusable as error:
            unusable = error
            continue
        published = config.model_copy(update={"sign": signer.signs(name), "kid": key and key.kid}).model_dump()
        content = json.dumps(published).encode("utf-8") if key is None else sign(published, key)
        storage.put(layout.config(name), content)
    if unusable is not None:
        raise unusable


@flow(name="publish-backends", persist_result=False)
async def publish_backends() -> list[str]:
    """Publish every backend of this installation; return their names."""
    names = registry.usable()
    await asyncio.to_thread(publish, current(), names)
    return names
