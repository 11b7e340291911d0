"""What `quledger up` says of storages that Prefect keeps: which are still to be made, and which have come to be."""

import time
from collections.abc import Callable

from models.settings import BLOCK
from tasks.services import Services

LOOK_SECONDS = 15.0
"""How often those that cannot be used yet are looked at, and new ones looked for."""


class Blocks:
    """The storages of one installation whose logins Prefect keeps.

    Args:
        say: called with each line for the operator.
    """

    def __init__(self, services: Services, say: Callable[[str], None]) -> None:
        self._services, self._say = services, say
        urls = services.settings.storages
        self._elsewhere = {name for name, url in urls.items() if not url.startswith(BLOCK)}
        self._is_used = services.settings.takes_every_block or len(self._elsewhere) < len(urls)
        # What was said last of each; empty where it can be used.
        self._said: dict[str, str] = {}
        self._look_at = 0.0

    def look(self) -> None:
        """Say what is new, if it is time to look again."""
        if not self._is_used or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_SECONDS
        stores = self._services.stores
        stores.find()
        asked = [name for name in stores.names if name not in self._elsewhere and self._said.get(name) != ""]
        troubles = stores.troubles(asked)
        for name in asked:
            trouble = str(troubles.get(name, ""))
            if trouble != self._said.get(name):
                shown = name or self._services.settings.storages[""]
                self._say(f"Storage {shown}: {trouble or 'served'}")
            self._said[name] = trouble
