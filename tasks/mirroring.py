"""The storages are brought up to the log where no drain does it: documents of jobs that came over HTTP, for one."""

import contextlib
import json
import threading
import time
from datetime import datetime, timedelta

from models import clock
from models.errors import StorageError
from models.signing import unwrapped
from storage import layout
from storage.identity.stream_mirror import mirror
from tasks.backends import registry
from tasks.services import Services

LOOK_SECONDS = 10.0
"""So often it is seen whether a drain has come."""

REST = 4
"""So many times as long as it worked it rests: requests come first."""

MISSED = 3
"""So many times a drain may be late with what it publishes before it counts as gone."""


def last_look(services: Services, backend: str, storage: str = "") -> datetime | None:
    """Return when somebody looked at the queue of a backend, as he has published it; None where nobody has said."""
    try:
        published = unwrapped(json.loads(services.stores.of(storage).get(layout.config(backend))))
        return datetime.fromisoformat(published["last_queue_check"])
    except (StorageError, ValueError, TypeError, KeyError, RecursionError):
        return None


def is_drained(services: Services) -> bool:
    """Return whether a drain serves: then the storages are its business."""
    latest = timedelta(seconds=MISSED * services.settings.publish_seconds)
    looks = (last_look(services, name, storage) for storage in services.stores.names for name in registry.names())
    return any(look is not None and abs(clock.now() - look) <= latest for look in looks)


def mirror_streams(services: Services) -> None:
    """Bring the mirrored streams of backends up to the log, in each storage that takes them now."""
    for store in services.stores.names:
        # What one storage does not take now is written at the next look.
        with contextlib.suppress(StorageError):
            mirror(services.log.engine, services.stores.of(store), services.streams_written)


def follow_log(services: Services, ended: threading.Event) -> int:
    """Relay each job that is behind, unless a drain or another process like this one does; most of the time it rests.

    Args:
        ended: stops it after a job.

    Returns:
        How many could not be relayed.

    Raises:
        LogError: the log does not answer now.
    """
    if not services.cursor.behind(limit=1) or is_drained(services):
        return 0
    with services.locks.alone("mirror") as is_alone:
        if not is_alone:
            return 0
        mirror_streams(services)
        services.rollback.compare_all()
        failed, looked = 0, time.monotonic()
        begun = looked
        for relayed in services.relay.catch_up():
            failed += not relayed
            if ended.wait(min(LOOK_SECONDS, REST * (time.monotonic() - begun))):
                break
            begun = time.monotonic()
            if begun - looked > LOOK_SECONDS:
                if is_drained(services):
                    break
                looked = time.monotonic()
    return failed
