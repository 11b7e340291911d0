"""The signs of life that a drain gives in the log's database, for whoever asks who serves the queues."""

import asyncio
import logging
from collections.abc import Sequence

from models import clock
from models.errors import LogError
from models.settings import redact_url
from storage.log.condition import put_sign, remove_sign
from tasks.services import Services

_LOG = logging.getLogger("quledger.drain")

SECONDS = 10.0
"""How often a drain gives a sign of life."""


class Signs:
    """The signs of one drain.

    Args:
        prefect: address of the Prefect API that it uses.
    """

    def __init__(self, services: Services, backends: Sequence[str], prefect: str) -> None:
        self._services, self._backends, self._prefect = services, backends, redact_url(prefect)
        self._began_at = clock.now()

    async def give(self) -> None:
        """Give a sign of life."""
        engine, worker = self._services.log.engine, self._services.worker
        await asyncio.to_thread(put_sign, engine, worker, self._began_at, SECONDS, self._backends, self._prefect)

    async def end(self) -> None:
        """Say that this drain ends in good order."""
        try:
            await asyncio.to_thread(remove_sign, self._services.log.engine, self._services.worker, self._began_at)
        except LogError as error:
            _LOG.warning("sign_stays action=go_on: %s", error)
