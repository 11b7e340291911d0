"""What database, storages, disks and log files are asked; Prefect is asked in `flows/prefect_api/health.py`."""

import functools
import itertools
import json
import os
import random
import threading
import uuid
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy import make_url

from models import clock
from models.errors import DocumentMissing, LogError, QuledgerError, StorageError, StorageInactive
from models.health import (
    BACKENDS,
    DATABASE,
    DISK,
    DRAINS,
    LOGS,
    MIRROR,
    NOTICES,
    PREFECT,
    QUEUE_CHECK,
    STORAGE,
    Part,
    Room,
    judge_backends,
    judge_disk,
    judge_drains,
    judge_logs,
    judge_mirror,
    judge_notices,
)
from models.settings import BLOCK, Settings
from models.signing import unwrapped
from storage import layout
from storage.identity.devices import standing
from storage.log import condition, outbox
from storage.log.database import open_database
from storage.log.pauses import pauses
from storage.providers.protocol import StorageProvider
from storage.providers.registry import ORDINARY, leaving_nothing, open_storage
from storage.providers.stores import Opener
from tasks.backends import registry
from tasks.health.presence import seen_here
from tasks.health.side_by_side import THREADS, Answer, Question
from tasks.log_files import LOG_FILES, LogErrors
from tasks.services import Services

PATIENCE = 2.0
"""So many seconds a database that another one has locked is waited for."""

FIND_SECONDS = 1.5
"""So long Prefect may take to tell the storages that it keeps."""

LOADING = 1.5
"""So many seconds each plug-in has to be loaded here, where it is only named; a drain waits longer."""

LISTED = 1000
"""Of so many documents beside it the time of the probe is looked for."""

DAY = timedelta(days=1)


def questions(services: Services) -> list[Question]:
    """Return what is asked of everything but Prefect."""
    settings, openers = services.settings, _openers(services)
    first = next(iter(openers))
    asked = [
        Question(
            (DATABASE, MIRROR, DRAINS, NOTICES),
            functools.partial(_database, settings),
            do="look at the server of QULEDGER_DATABASE, or at the disk of the file",
        )
    ]
    asked += [
        Question(
            (_called(name),),
            functools.partial(_storage, name, opener),
            whose=whose,
            do="look at the server or the disk of QULEDGER_STORAGE; `quledger storages` tries it",
        )
        for name, (opener, whose) in openers.items()
    ]
    asked += [
        Question(
            (BACKENDS,),
            functools.partial(_backends, services, openers[first][0]),
            whose=f"{DATABASE} or {_called(first)}",
        ),
        Question((DISK,), functools.partial(_disk, settings), do="look at the disks of home, database and storage"),
        Question((LOGS,), functools.partial(_logs, settings), do="look at the disk of the home"),
    ]
    return asked


def _openers(services: Services) -> dict[str, tuple[Opener, str]]:
    """Return what opens each storage, and the part that is down if one cannot be opened; Prefect keeps some of them."""
    settings, found = services.settings, []

    def find() -> None:
        with suppress(QuledgerError):
            found.append(services.stores)

    if settings.takes_every_block:
        finding = threading.Thread(target=find, name=f"{THREADS}blocks", daemon=True)
        finding.start()
        finding.join(FIND_SECONDS)
    else:
        find()
    if found:
        return {name: (functools.partial(found[0].of, name), "") for name in found[0].names}
    return {
        name: (functools.partial(_of, services, name), PREFECT)
        if url.startswith(BLOCK)
        else (functools.partial(open_storage, url), "")
        for name, url in settings.storages.items()
    }


def _of(services: Services, name: str) -> StorageProvider:
    return services.stores.of(name)


def _database(settings: Settings) -> Answer:
    try:
        engine = open_database(settings.database_url, existing=True, patience=PATIENCE)
    except QuledgerError as error:
        return Answer(_without_database(str(error)))
    try:
        condition.write_and_read(engine)
        asked_at = clock.now()
        told = condition.server_time(engine)
        clocks = {} if told is None else {"the database": _ahead(told, asked_at, clock.now())}
        lag, now = condition.lag(engine), clock.now()
        waiting = {name: (each.number, each.since) for name, each in outbox.untold(engine).items()}
        devices = {name: standing(engine, name).seen_at for name in filter(registry.served_outside, registry.names())}
        engines = [name for name, at in devices.items() if at is not None and now - at <= QUEUE_CHECK]
        wait = [name for name in condition.oldest_waiting(engine) if name not in devices] if engines else []
        signs = [sign._replace(process=seen_here(sign.worker)) for sign, _ in condition.signs(engine)]
    except LogError as error:
        return Answer(_without_database(str(error)))
    finally:
        engine.dispose()
    works = Part(name=DATABASE, status="ok", says="takes a row and gives it back")
    parts = [works, judge_mirror(lag.behind, lag.oldest, now), judge_drains(signs, now, engines, wait)]
    return Answer([*parts, judge_notices(waiting, now)], clocks)


def _without_database(why: str) -> list[Part]:
    unknown = f"not known: {DATABASE} does not answer"
    return [
        Part(name=DATABASE, status="down", says=why, do="`quledger db check` looks closer"),
        Part(name=MIRROR, status="unknown", says=unknown),
        Part(name=DRAINS, status="unknown", says=unknown),
        Part(name=NOTICES, status="unknown", says=unknown),
    ]


def _storage(name: str, opener: Opener) -> Answer:
    called = _called(name)
    try:
        storage = opener()
        with leaving_nothing(storage):
            told = try_storage(storage)
    except StorageInactive:
        return Answer([Part(name=called, status="ok", says="is switched off")])
    except QuledgerError as error:
        return Answer([Part(name=called, status="down", says=str(error), do="`quledger storages` tries it again")])
    works = Part(name=called, status="ok", says="takes a document, gives it back and removes it")
    return Answer([works], {called: told} if told is not None else {})


def try_storage(storage: StorageProvider) -> float | None:
    """Write, read and remove a document that no reader looks at.

    Returns:
        By how many seconds the clock of the storage is ahead of ours; None where it did not tell.

    Raises:
        StorageError: something of it did not work.
    """
    # As large as what an ordinary job writes, and noise: a storage that compresses has to find room for it too.
    content = json.dumps(random.randbytes(ORDINARY // 2).hex()).encode()  # noqa: S311 - protects nothing
    name = f".health-{uuid.uuid4().hex}"
    path, asked_at = f"{layout.STAGED}/{name}", clock.now()
    try:
        storage.put(path, content)
        written_at = clock.now()
        if json.loads(storage.get(path)) != json.loads(content):
            raise StorageError("the storage gives back another document than was written")
        beside = itertools.islice(storage.entries(layout.STAGED), LISTED)
        told = next((entry.modified_at for entry in beside if entry.name == name), None)
    except (DocumentMissing, ValueError):
        raise StorageError("a document that was just written is not there") from None
    finally:
        with suppress(StorageError):
            storage.delete(path)
    if storage.exists(path):
        raise StorageError("a document that was just removed is still there")
    return None if told is None else _ahead(told, asked_at, written_at)


def _ahead(told: datetime, before: datetime, after: datetime) -> float:
    """Return by how much another clock is ahead of ours beyond doubt, if it was read in this span; whole seconds do."""
    if told > after:
        return (told - after).total_seconds()
    return min(0.0, (told - before).total_seconds() + 1.0)


def _backends(services: Services, opener: Opener) -> Answer:
    # Not the log of the services, which would make a database where there is none.
    engine = open_database(services.settings.database_url, existing=True, patience=PATIENCE)
    try:
        # What is paused is looked at, and is published as if it were not.
        paused: Collection[str] = pauses(engine)
        good, unusable = registry.survey(LOADING)
        names = [name for name in (*good, *unusable) if name not in paused]
        outside = {name: standing(engine, name).seen_at for name in names if registry.served_outside(name)}
    finally:
        engine.dispose()
    checked: dict[str, datetime | None] = dict.fromkeys(names) | outside
    storage = opener()
    for name in names:
        if name not in outside:
            with suppress(StorageError, ValueError, TypeError, KeyError, RecursionError):
                published = unwrapped(json.loads(storage.get(layout.config(name))))
                checked[name] = datetime.fromisoformat(published["last_queue_check"])
    return Answer([judge_backends(checked, clock.now(), outside, unusable)])


def _disk(settings: Settings) -> Answer:
    rooms = [_room(what, place) for what, place in _places(settings).items()]
    return Answer([judge_disk(rooms, settings.free_mb * 1_000_000)])


def _places(settings: Settings) -> dict[str, Path]:
    """Return the folders that grow, by what they are called; of those on one disk the first."""
    places = {"home": settings.folder}
    database = make_url(settings.database_url)
    if database.get_backend_name() == "sqlite" and database.database:
        places["database"] = Path(database.database).parent
    for name, url in settings.storages.items():
        if url.startswith("file:"):
            places[_called(name)] = Path(unquote(urlsplit(url).path))
    disks: dict[int, str] = {}
    for what, place in places.items():
        disks.setdefault(os.stat(_existing(place)).st_dev, what)
    return {what: places[what] for what in disks.values()}


def _existing(place: Path) -> Path:
    return next(each for each in (place, *place.parents) if each.exists())


def _room(what: str, place: Path) -> Room:
    found = os.statvfs(_existing(place))
    return Room(what, found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


def _logs(settings: Settings) -> Answer:
    files = [settings.folder / name for name in LOG_FILES]
    return Answer([judge_logs(LogErrors(*files, since=clock.now() - DAY).counts())])


def _called(name: str) -> str:
    return f"{STORAGE} {name}" if name else STORAGE


def prefect_of_drains(services: Services) -> Sequence[str]:
    """Return the Prefect APIs that drains on this machine use, the newest first; none if that cannot be known."""
    try:
        engine = open_database(services.settings.database_url, existing=True, patience=PATIENCE)
    except QuledgerError:
        return []
    try:
        found = condition.signs(engine)
    except LogError:
        return []
    finally:
        engine.dispose()
    return [prefect for sign, prefect in reversed(found) if prefect and seen_here(sign.worker) in {"there", "stopped"}]
