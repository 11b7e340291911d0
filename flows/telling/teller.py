"""Tells what waits in the outbox, at least once, with pauses that grow; what nobody takes for days is given up."""

import json
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from flows.telling.channel import Channel, NotTold
from models import clock
from models.errors import LogError
from models.health import DATABASE, Health
from models.notices import GIVEN_UP, Notice, next_try, of_health
from models.settings import Settings
from storage.log import outbox
from tasks.services import Services

_LOG = logging.getLogger("quledger.telling")

NAMED_SECONDS = timedelta(minutes=10)
"""So often the database is told who is to be told what."""

UNTOLD = "health.untold"
"""A file in the home: what was told of the health while the database could not be used."""


def channels_of(settings: Settings) -> list[Channel]:
    """Return the ways on which somebody is told."""
    channels: list[Channel] = []
    if settings.webhook is not None and settings.webhook_secret is not None:
        url, secret = settings.webhook.get_secret_value(), settings.webhook_secret.get_secret_value()
        from flows.telling.webhook import Webhook  # noqa: PLC0415 - few have one

        channels.append(Webhook(url, secret, settings.webhook_kinds))
    if settings.mail_server is not None:
        server = settings.mail_server.get_secret_value()
        from flows.telling.mail import Mail  # noqa: PLC0415 - as above

        channels.append(Mail(server, settings.mail_from, settings.mail_to, settings.mail_kinds))
    if settings.prefect_event_kinds:
        from flows.telling.prefect_events import PrefectEvents  # noqa: PLC0415 - as above

        channels.append(PrefectEvents(settings.prefect_event_kinds))
    return channels


class Teller:
    """Tells what waits; several may do so at once."""

    def __init__(self, services: Services, now: Callable[[], datetime] = clock.now) -> None:
        self._services, self._now = services, now
        self._channels = channels_of(services.settings)
        self._named_at: datetime | None = None

    @property
    def has_channels(self) -> bool:
        """Whether anybody is told anything."""
        return bool(self._channels)

    def tell(self) -> int:
        """Tell what is due, and return how much was told; without channels nothing is asked.

        Raises:
            LogError: the database does not answer.
        """
        if not self._channels:
            return 0
        engine, now = self._services.log.engine, self._now()
        if self._named_at is None or not timedelta() <= now - self._named_at < NAMED_SECONDS:
            for gone in outbox.subscribe(engine, {each.name: each.kinds for each in self._channels}, now):
                _LOG.warning("subscriber_gone action=forget: no settings have named the %s for days", gone)
            self._named_at = now
        return sum(self._tell_all(engine, channel) for channel in self._channels)

    def _tell_all(self, engine: Engine, channel: Channel) -> int:
        done, refused = 0, False
        # Whoever takes nothing now is not asked for all that waits.
        while not refused and (taken := outbox.take(engine, channel.name, self._now())):
            for notice, attempts in taken:
                try:
                    channel.tell(notice, self._now())
                except NotTold as error:
                    refused = True
                    self._put_off(engine, channel, notice, attempts, error)
                else:
                    outbox.told(engine, channel.name, notice.notice_id)
                    done += 1
        return done

    def _put_off(self, engine: Engine, channel: Channel, notice: Notice, attempts: int, error: NotTold) -> None:
        now = self._now()
        if now - notice.at > GIVEN_UP:
            _LOG.error("notice_given_up action=none id=%s kind=%s: %s", notice.notice_id, notice.kind, error)
            outbox.told(engine, channel.name, notice.notice_id)
            return
        _LOG.warning("notice_untold action=try_again channel=%s attempts=%d: %s", channel.name, attempts, error)
        again = next_try(attempts, now, random.random())  # noqa: S311 - spreads the pauses
        outbox.put_off(engine, channel.name, notice.notice_id, again)

    def tell_health(self, found: Health) -> None:
        """Tell that the health has changed, if it has; where the database is down, at once and as well as can be."""
        if not self._channels:
            return
        down = {part.name: part.says for part in found.down}
        file = self._services.settings.folder / UNTOLD
        try:
            if DATABASE in down:
                self._tell_without_log(file, down)
                return
            outbox.put_health(self._services.log.engine, down, self._now(), _said_in(file))
            file.unlink(missing_ok=True)
            self.tell()
        except LogError as error:
            _LOG.warning("notice_untold action=try_again: %s", error)

    def _tell_without_log(self, file: Path, down: dict[str, str]) -> None:
        notice = of_health(_said_in(file) or (), down, self._now())
        if notice is None:
            return
        missed = False
        for channel in self._channels:
            if notice.kind in channel.kinds:
                try:
                    channel.tell(notice, self._now())
                except NotTold as error:
                    missed = True
                    _LOG.warning("notice_untold action=try_again channel=%s: %s", channel.name, error)
        if not missed:
            with suppress(OSError):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(sorted(down)))


def _said_in(file: Path) -> list[str] | None:
    """Return which parts were down when that was last told without the database; None if it was told there."""
    try:
        said: list[str] = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return said
