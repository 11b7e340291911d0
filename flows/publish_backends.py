"""Tells front ends which backends there are, and that somebody looks at their queues."""

import asyncio
import json
from collections.abc import Sequence

from prefect import flow

from models import clock
from models.backend import BackendConfig
from models.job import Phase
from storage import layout
from tasks import backends
from tasks.services import Services, current


def publish(services: Services, names: Sequence[str]) -> None:
    """Write the configuration of each backend with the time of this look at its queue (UTC, whole seconds)."""
    counts = services.log.counts()
    checked = clock.now().replace(microsecond=0).isoformat()
    for name in names:
        config: BackendConfig = backends.load(name).config
        waiting = counts.get(name, {}).get(Phase.WAITING, 0)
        published = config.model_copy(update={"last_queue_check": checked, "pending_jobs": waiting})
        services.storage.put(layout.config(name), json.dumps(published.model_dump()).encode("utf-8"))


@flow(name="publish-backends", persist_result=False)
async def publish_backends() -> list[str]:
    """Publish every backend of this installation; return their names."""
    names = backends.usable()
    await asyncio.to_thread(publish, current(), names)
    return names
