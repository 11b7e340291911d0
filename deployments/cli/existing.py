"""The services of commands that need a log, and begin none: one that is not there is refused, not made."""

import contextlib
import tempfile
from collections.abc import Iterator

from models.errors import BadSetting
from storage.log.database import open_database
from storage.log.event_log import EventLog
from storage.log.no_log import NoLog
from tasks.services import Services, current


class LogNotThere(BadSetting):
    """There is no log where the settings say."""


def existing() -> Services:
    """Return the services of this process.

    Raises:
        LogNotThere: there is no log where the settings say; nothing was made.
        LogUnavailable: the database cannot be used now.
    """
    services = current()
    if "log" not in vars(services):
        settings = services.settings
        try:
            # Where the services look for it when they are asked.
            vars(services)["log"] = EventLog(open_database(settings.database_url, begins=False))
        except NoLog as error:
            where = "where QULEDGER_DATABASE says" if settings.database else "in the home, which QULEDGER_HOME names"
            said = f"{error}. This is {where}; nothing was made. `quledger submit`, `quledger up`, and what else brings"
            raise LogNotThere(f"{said} something in, begin a log") from None
    return services


@contextlib.contextmanager
def existing_or_empty() -> Iterator[Services]:
    """Lend the services of this process to a dry run: where there is no log, with an empty one that is gone afterwards.

    Raises:
        LogUnavailable: the database cannot be used now.
    """
    try:
        services = existing()
    except LogNotThere:
        services = current()
    else:
        yield services
        return
    with tempfile.TemporaryDirectory(prefix="quledger-") as folder:
        log = EventLog(open_database(f"sqlite:///{folder}/empty.db"))
        vars(services)["log"] = log
        try:
            yield services
        finally:
            del vars(services)["log"]
            log.engine.dispose()
