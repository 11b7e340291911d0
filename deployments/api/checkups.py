"""How the laboratory is, for everybody who asks: asked anew at most every ten seconds, and by one thread at a time."""

import asyncio
import threading
import time

from flows.checkup import Checkup
from models.health import Health
from tasks.services import Services

FRESH_SECONDS = 10.0
"""So old an answer may be: it can be asked by anybody, as often as he likes."""


class Checkups:
    """The health of one laboratory. `latest` blocks; `wait` is for the event loop."""

    def __init__(self, services: Services) -> None:
        self._checkup = Checkup(services)
        self._asking, self._waiting = threading.Lock(), asyncio.Lock()
        self._found: Health | None = None
        self._until = float("-inf")

    def latest(self) -> Health:
        """Return how everything is, as of at most ten seconds ago."""
        with self._asking:
            if self._found is None or time.monotonic() > self._until:
                # It is as old as its first answer may be.
                self._until = time.monotonic() + FRESH_SECONDS
                self._found = self._checkup.ask()
            return self._found

    async def wait(self) -> Health:
        """Return the same; however many wait, they take one thread."""
        async with self._waiting:
            return await asyncio.to_thread(self.latest)
