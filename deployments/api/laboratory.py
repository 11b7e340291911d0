"""What a caller asks about the laboratory: its backends, whether it works, its numbers."""

import functools
import json
import time
from datetime import datetime
from typing import Any

from deployments.api import metrics
from deployments.api.checkups import FRESH_SECONDS, Checkups
from models import clock
from models.backend import BackendConfig
from models.errors import StorageError, UnknownBackend
from models.health import QUEUE_CHECK
from models.identity.access import LABORATORY, Act, Caller, why_not
from models.identity.errors import NotPermitted
from models.job import Phase
from models.signing import unwrapped
from storage import layout
from tasks.backends import registry
from tasks.services import Services


class Laboratory:
    """The calls about the laboratory; they block."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.checkups = Checkups(services)
        self._served: dict[str, tuple[float, bool]] = {}

    def names(self) -> list[str]:
        """Return the names of the backends that can be used."""
        return registry.usable()

    def backends(self) -> list[dict[str, Any]]:
        """Return each backend that can be used: its name, configuration, and how many jobs wait for it and run."""
        return [self._backend(name) for name in registry.usable()]

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

    def _was_looked_at(self, name: str) -> bool:
        try:
            published = unwrapped(json.loads(self._services.stores.of("").get(layout.config(name))))
            checked = datetime.fromisoformat(published["last_queue_check"])
            return abs(clock.now() - checked) <= QUEUE_CHECK
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
        return {"name": name, "config": config.model_dump(), "waiting": waiting, "running": running}

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
