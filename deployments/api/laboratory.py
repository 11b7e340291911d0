"""What a caller asks about the laboratory: its backends, whether it works, its numbers."""

import functools
import time
from typing import Any

from deployments.api import metrics
from deployments.api.checkups import FRESH_SECONDS, Checkups
from deployments.api.forecasts import Forecasts
from models import clock
from models.backend import BackendConfig
from models.errors import UnknownBackend
from models.health import QUEUE_CHECK
from models.identity.access import LABORATORY, Act, Caller, why_not
from models.identity.errors import NotPermitted
from models.job import Phase
from models.moments import moment_of
from models.pauses import Pause
from storage.identity.devices import Standing, standing
from storage.identity.pauses import pause, resume
from storage.log.pauses import pauses
from tasks.backends import registry
from tasks.mirroring import last_look
from tasks.services import Services


class Laboratory:
    """The calls about the laboratory; they block."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.checkups = Checkups(services)
        self._served: dict[str, tuple[float, bool]] = {}
        self.forecasts = Forecasts(services)

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

    def document_schema(self, name: str) -> dict[str, Any]:
        """Return the JSON Schema of the documents that one backend takes.

        Raises:
            UnknownBackend: there is none of this name.
        """
        self._expect(name)
        return registry.document_schema(name)

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

    def standing(self, name: str) -> Standing:
        """Return what the engine of a device outside has said of it."""
        return standing(self._services.log.engine, name)

    def why_not_served(self, name: str) -> str | None:
        """Return why a backend is not operational, in words that may be empty; None where it is."""
        pause = self.pauses().get(name)
        return str(pause) if pause else None if self.is_served(name) else ""

    def _was_looked_at(self, name: str) -> bool:
        if registry.served_outside(name):
            said = self.standing(name)
            heard_of = said.seen_at is not None and abs(clock.now() - said.seen_at) <= QUEUE_CHECK
            return heard_of and said.status != "unavailable"
        checked = last_look(self._services, name)
        return checked is not None and abs(clock.now() - checked) <= QUEUE_CHECK

    def _backend(self, name: str) -> dict[str, Any]:
        counts = self._services.log.counts().get(name, {})
        waiting, running = counts.get(Phase.WAITING, 0), counts.get(Phase.RUNNING, 0)
        config = _config_of(name)
        signer = self._services.keys
        config = config.model_copy(
            update={"pending_jobs": waiting, "sign": signer.signs(name), "kid": signer.kid(name)}
        )
        if registry.served_outside(name):
            status = "available" if self.is_served(name) else "unavailable"
            config = config.model_copy(update={"status_msg": status})
        found = self.pauses().get(name)
        pause = found.model_dump(mode="json", exclude={"backend", "by"}) | {"text": str(found)} if found else None
        view = {"name": name, "config": config.model_dump(), "waiting": waiting, "running": running, "pause": pause}
        return view | {"eta": eta.isoformat() if (eta := self.forecasts.eta(name)) else None}

    def metrics(self, caller: Caller) -> str:
        """Return the numbers for Prometheus, in its text format.

        Raises:
            NotPermitted: the caller is no operator.
        """
        if why := why_not(caller, Act.SEE, LABORATORY):
            raise NotPermitted(why)
        return metrics.text_of(self._services, self.checkups.latest())


@functools.lru_cache(maxsize=64)
def _config_of(name: str) -> BackendConfig:
    """Return what a backend publishes; each is loaded once in a process too."""
    return BackendConfig.model_validate(registry.load(name).config, from_attributes=True)
