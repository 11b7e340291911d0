"""Looks at the inboxes: at each storage by itself, so that one that is down or slow holds up no other."""

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple

from models.errors import QuledgerError, StorageInactive
from tasks.services import Services

_LOG = logging.getLogger("quledger.drain")

LONGEST_WAIT = 2.0
"""How long, in seconds, a look at several storages waits for one that does not answer, before it goes on beside."""


class Seen(NamedTuple):
    """What one look brought: how many new jobs, and how many documents may still be being written."""

    taken: int = 0
    unsettled: int = 0


class Looks:
    """The inboxes of one drain.

    Attributes:
        down: names of the storages that cannot be used now: their jobs have to wait.
        inactive: those of them that somebody has switched off: nobody waits for them.
    """

    def __init__(self, services: Services, backends: Sequence[str]) -> None:
        self._services = services
        self._backends = backends
        self._under_way: dict[str, asyncio.Task[Seen]] = {}
        self.down: set[str] = set()
        self.inactive: set[str] = set()

    async def look(self) -> Seen:
        """Take new jobs from every inbox."""
        for name in self._services.stores.names:
            if name not in self._under_way:
                self._under_way[name] = asyncio.create_task(self._look_at(name))
        alone = len(self._under_way) == 1
        done, still = await asyncio.wait(self._under_way.values(), timeout=None if alone else LONGEST_WAIT)
        self._under_way = {name: task for name, task in self._under_way.items() if task in still}
        seen = [task.result() for task in done]
        return Seen(sum(each.taken for each in seen), sum(each.unsettled for each in seen) + len(still))

    def usable(self) -> list[str]:
        """Return the names by which jobs know the storages that can be used now; the jobs of all others wait."""
        return self._names_but(self.down)

    def awaited(self) -> list[str]:
        """Return the names by which jobs know the storages that are to be served, now or when they are back."""
        return self._names_but(self.inactive)

    def _names_but(self, left_out: set[str]) -> list[str]:
        stores = self._services.stores
        names = [name for name in stores.names if name not in left_out]
        # The first one has the empty name too.
        return names if stores.full("") in left_out else sorted({"", *names})

    async def doubt(self, name: str) -> bool:
        """Ask the storage of a job that did not come through whether it is there; return whether it is down."""
        full = self._services.stores.full(name)
        if full in self._services.stores.names and not await asyncio.to_thread(self._services.mirror.answers, full):
            self.down.add(full)
        return full in self.down

    async def close(self) -> None:
        """Wait for the looks that are under way: what they take is in the log or not."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _look_at(self, name: str) -> Seen:
        """Look at one storage; it counts as down while it fails and does not answer either."""
        new = unsettled = 0
        try:
            await asyncio.to_thread(self._services.stores.of, name)
        except StorageInactive as error:
            if name not in self.inactive:
                _LOG.warning("storage_inactive action=leave: %s", error)
            self.down.add(name)
            self.inactive.add(name)
            return Seen()
        except QuledgerError:
            pass  # said below, for each backend
        self.inactive.discard(name)
        # A folder that cannot be listed looks like one that nobody made: what is down has to answer first.
        if name in self.down and not await asyncio.to_thread(self._services.mirror.answers, name):
            return Seen(unsettled=1)
        answers = True
        for backend in self._backends:
            try:
                taken = await asyncio.to_thread(self._services.inboxes[name].take, backend, self._services.worker)
            except QuledgerError as error:
                _LOG.warning("inbox_unavailable action=try_again backend=%s: %s", backend, error)
                # A folder that cannot be read keeps nobody waiting for ever; a storage that is down does.
                answers = await asyncio.to_thread(self._services.mirror.answers, name)
                unsettled += not answers
                if not answers:
                    break  # the queues of the other backends are in the same storage
            else:
                new += len(taken.jobs)
                unsettled += taken.unsettled
        if answers:
            self.down.discard(name)
        else:
            self.down.add(name)
        return Seen(new, unsettled)
