"""`quledger db size`: how much room everything takes, and when the disk is full."""

import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy import make_url

from deployments.cli.existing import existing
from deployments.cli.output import Json, print_output
from models import clock
from models.errors import QuledgerError
from models.growth import Growth
from models.job import Job
from models.settings import Settings
from storage import layout
from storage.log.sizes import newest_ended, sizes
from storage.providers.protocol import get_or_none
from tasks.services import Services

LOOKED_AT = 20
"""So many jobs are looked at in the storage: as many answers of a storage, times four, are waited for."""


def show_size(*, as_json: Json = False) -> int:
    """Show how much room database and storage take, for each job and each day, and when the disk is full.

    What the storage holds is told by the documents of the newest jobs that have ended. Example: `quledger db size`.
    """
    services = existing()
    found = sizes(services.log.engine, clock.now())
    looked_at = in_storage = 0
    for job in newest_ended(services.log.engine, LOOKED_AT):
        with suppress(QuledgerError):
            size = _in_storage(services, job)
            in_storage, looked_at = in_storage + size, looked_at + (size > 0)
    growth = Growth(*found, looked_at, in_storage, *_disk(services.settings))
    print_output(growth.value(), lambda: print("\n".join(growth.sentences())), as_json=as_json)
    return 0


def _in_storage(services: Services, job: Job) -> int:
    storage = services.stores.of(job.storage)
    paths = (
        layout.events(job.backend, job.job_id),
        services.cursor.position(job.job_id).place,
        layout.status(job.backend, job.job_id),
        layout.result(job.backend, job.job_id),
    )
    return sum(len(get_or_none(storage, path) or b"") for path in paths if path)


def _disk(settings: Settings) -> tuple[int | None, bool]:
    """Return what is free on the disk of the database, if it is one of this machine, and whether a storage is there."""
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite":
        return None, False
    home = _existing(Path(str(url.database)).parent)
    room = os.statvfs(home)
    stores = [Path(unquote(urlsplit(each).path)) for each in settings.storages.values() if each.startswith("file:")]
    is_there = any(_existing(store).stat().st_dev == home.stat().st_dev for store in stores)
    return room.f_bavail * room.f_frsize, is_there


def _existing(place: Path) -> Path:
    for each in (place, *place.parents):
        with suppress(OSError):  # what may not be looked at lies on the disk of what may
            each.stat()
            return each
    return Path("/")
