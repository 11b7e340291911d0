"""Tells front ends which backends there are, and that somebody looks at their queues."""

import asyncio
import json
from collections.abc import Sequence

from prefect import flow

from models import clock
from models.backend import BackendConfig
from models.errors import KeyUnusable
from models.job import Phase
from storage import layout
from storage.signing import sign
from tasks import backends
from tasks.services import Services, current


def publish(services: Services, names: Sequence[str]) -> None:
    """Write the configuration of each backend with the time of this look at its queue (UTC, whole seconds).

    Raises:
        KeyUnusable: a backend signs and cannot; its configuration is left to grow old, all others are published.
    """
    counts = services.log.counts()
    unusable: KeyUnusable | None = None
    try:
        services.signer.publish()
    except KeyUnusable as error:
        unusable = error
    checked = clock.now().replace(microsecond=0).isoformat()
    for name in names:
        config: BackendConfig = backends.load(name).config
        waiting = counts.get(name, {}).get(Phase.WAITING, 0)
        fields = {"last_queue_check": checked, "pending_jobs": waiting, "sign": services.signer.signs(name)}
        try:
            key = services.signer.key(name)
        except KeyUnusable as error:
            unusable = error
            continue
        published = config.model_copy(update=fields | {"kid": key and key.kid}).model_dump()
        content = json.dumps(published).encode("utf-8") if key is None else sign(published, key)
        services.storage.put(layout.config(name), content)
    if unusable is not None:
        raise unusable


@flow(name="publish-backends", persist_result=False)
async def publish_backends() -> list[str]:
    """Publish every backend of this installation; return their names."""
    names = backends.usable()
    await asyncio.to_thread(publish, current(), names)
    return names
