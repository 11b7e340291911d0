"""What a caller asks about the laboratory: its backends, whether it works, its numbers."""

import functools
import json
import logging
import time
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from models import clock
from models.backend import BackendConfig
from models.errors import LogError, StorageError, UnknownBackend
from models.identity.access import LABORATORY, Act, Caller, why_not
from models.identity.errors import NotPermitted
from models.job import Phase
from models.moments import moment_of
from models.pauses import Pause
from models.signing import unwrapped
from storage import layout
from storage.identity.pauses import pause, resume
from storage.log.pauses import pauses
from tasks.backends import registry
from tasks.jobs.why import drained_at
from tasks.services import Services

_LOG = logging.getLogger("quledger.api")

FRESH_SECONDS = 10.0
"""So old an answer about the laboratory's health may be: it can be asked by anybody, as often as he likes."""

LATEST_CHECK = timedelta(minutes=5)
"""So long after the last look at its queue a backend counts as served; front ends of the storage say the same."""


class Laboratory:
    """The calls about the laboratory; they block."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._well = (float("-inf"), False)
        self._served: dict[str, tuple[float, bool]] = {}
        self._drained: tuple[float, dict[str, datetime]] = (float("-inf"), {})

    def names(self) -> list[str]:
        """Return the names of the backends that can be used."""
        return registry.usable()

    def backends(self) -> list[dict[str, Any]]:
        """Return each backend that can be used: its name, configuration, and how many jobs wait for it and run."""
        return [self._backend(name) for name in registry.usable()]

    def pauses(self) -> dict[str, Pause]:
        """Return the pauses of backends that are not over; for everybody, but for who wanted them."""
        return pauses(self._services.log.engine)

    def pause(self, caller: Caller, name: str, *, drain_down: bool, reason: str, until: str) -> dict[str, Any]:
        """Pause a backend, or say anew how it is paused; return it.

        Args:
            until: a time with its zone, or a span such as `2h`; empty if somebody has to resume.

        Raises:
            NotPermitted: the caller is no operator.
            UnknownBackend: there is none of this name.
            BadName: `until` is no time.
            NotChanged: the pause would be over already.
        """
        self._expect_pausable(caller, name)
        moment = moment_of(until, "until", clock.now()) if until else None
        directory = self._services.directory
        pause(directory, name, drain_down=drain_down, reason=reason, until=moment, actor=f"api:{caller.user}")
        return self._backend(name)

    def resume(self, caller: Caller, name: str) -> dict[str, Any]:
        """Serve a backend again, whether or not it was paused; return it. Else as `pause`."""
        self._expect_pausable(caller, name)
        resume(self._services.directory, name, actor=f"api:{caller.user}")
        return self._backend(name)

    def _expect_pausable(self, caller: Caller, name: str) -> None:
        if why := why_not(caller, Act.PAUSE, LABORATORY):
            raise NotPermitted(why)
        self._expect(name)

    def backend(self, name: str) -> dict[str, Any]:
        """Return one backend.

        Raises:
            UnknownBackend: there is none of this name.
        """
        self._expect(name)
        return self._backend(name)

    def config(self, name: str) -> BackendConfig:
        """Return what one backend can do, without what changes from day to day; no log and no storage is asked.

        Raises:
            UnknownBackend: there is none of this name.
        """
        if not registry.ours(name):  # of others it is looked up what is installed
            self._expect(name)
        return _config_of(name)

    @staticmethod
    def _expect(name: str) -> None:
        known = registry.usable()
        if name not in known:
            raise UnknownBackend(name, known)

    @property
    def storages(self) -> list[str]:
        """The names of the storages, the one for jobs that name none first; a single one may have the empty name."""
        return list(self._services.stores.names)

    def is_served(self, name: str) -> bool:
        """Return whether somebody looks after the queue of a backend, as he has published it for all front ends."""
        asked, served = self._served.get(name, (float("-inf"), False))
        if time.monotonic() - asked > FRESH_SECONDS:
            served = self._was_looked_at(name)
            self._served[name] = time.monotonic(), served
        return served

    def why_not_served(self, name: str) -> str | None:
        """Return why a backend is not operational, in words that may be empty; None where it is."""
        pause = self.pauses().get(name)
        return str(pause) if pause else None if self.is_served(name) else ""

    def _was_looked_at(self, name: str) -> bool:
        try:
            published = unwrapped(json.loads(self._services.stores.of("").get(layout.config(name))))
            checked = datetime.fromisoformat(published["last_queue_check"])
            return abs(clock.now() - checked) <= LATEST_CHECK
        except (StorageError, ValueError, TypeError, KeyError, RecursionError):
            return False

    def _backend(self, name: str) -> dict[str, Any]:
        counts = self._services.log.counts().get(name, {})
        waiting, running = counts.get(Phase.WAITING, 0), counts.get(Phase.RUNNING, 0)
        config = _config_of(name)
        signer = self._services.keys
        config = config.model_copy(
            update={"pending_jobs": waiting, "sign": signer.signs(name), "kid": signer.kid(name)}
        )
        found = self.pauses().get(name)
        pause = found.model_dump(mode="json", exclude={"backend", "by"}) | {"text": str(found)} if found else None
        view = {"name": name, "config": config.model_dump(), "waiting": waiting, "running": running, "pause": pause}
        return view | {"eta": eta.isoformat() if (eta := self._eta(name)) else None}

    def _eta(self, name: str) -> datetime | None:
        """Return when a backend is expected to have done all that waits for it; asked at most ten seconds ago."""
        asked, at = self._drained
        if time.monotonic() - asked > FRESH_SECONDS:
            self._drained = time.monotonic(), (at := drained_at(self._services))
        return at.get(name)

    def is_well(self) -> bool:
        """Return whether the log and at least one storage answer; asked at most ten seconds ago."""
        asked, well = self._well
        if time.monotonic() - asked > FRESH_SECONDS:
            try:
                self._services.log.counts()
                troubles = self._services.stores.troubles(self._services.stores.names)
                well = len(troubles) < len(self._services.stores.names)
            except (LogError, StorageError) as error:
                _LOG.warning("laboratory_unwell action=answer_so: %s", error)
                well = False
            self._well = time.monotonic(), well
        return well

    def metrics(self, caller: Caller) -> str:
        """Return the numbers for Prometheus, in its text format.

        Raises:
            NotPermitted: the caller is no operator.
        """
        if why := why_not(caller, Act.SEE, LABORATORY):
            raise NotPermitted(why)
        registry_ = CollectorRegistry()
        jobs = Gauge("quledger_jobs", "Jobs that have not ended.", ["backend", "phase"], registry=registry_)
        for backend, phases in self._services.log.counts().items():
            for phase, number in phases.items():
                jobs.labels(backend, phase).set(number)
        Gauge("quledger_up", "Whether log and storage answer.", registry=registry_).set(self.is_well())
        return generate_latest(registry_).decode()


@functools.lru_cache(maxsize=64)
def _config_of(name: str) -> BackendConfig:
    """Return what a backend publishes; each is loaded once in a process too."""
    return BackendConfig.model_validate(registry.load(name).config, from_attributes=True)
