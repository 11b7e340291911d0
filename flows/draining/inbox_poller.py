"""Looks at the inboxes: at each storage by itself, so that one that is down or slow holds up no other."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

from models.errors import QuledgerError, StorageInactive, StorageRefused
from tasks.services import Services

_LOG = logging.getLogger("quledger.drain")

MAX_WAIT = 2.0
"""How long, in seconds, a look at several storages waits for one that does not answer, before it goes on beside."""


NEVER_THERE_SECONDS = 10.0
"""So long, in seconds, a drain that is to end waits for a storage that has never answered since it began ..."""

COMING_BACK_SECONDS = 300.0
"""... and so long for one that went away."""


class Seen(NamedTuple):
    """What one look brought: how many new jobs, how many documents may still be being written, or are left."""

    taken: int = 0
    unsettled: int = 0
    left: int = 0


class InboxPoller:
    """The inboxes of one drain.

    Attributes:
        backends: display names of those whose queues are looked at.
        down: names of the storages that cannot be used now: their jobs have to wait.
        inactive: those of them that somebody has switched off: nobody waits for them.
        trouble: what those of them say that are not switched off.
    """

    def __init__(self, services: Services, backends: Sequence[str]) -> None:
        self._services = services
        self.backends = backends
        self._under_way: dict[str, asyncio.Task[Seen]] = {}
        self._unsettled: dict[str, int] = {}
        # Since when a storage has been down, on the steady clock; and which have answered since we began.
        self._down_since: dict[str, float] = {}
        self._answered: set[str] = set()
        self._refused: set[str] = set()
        self.down: set[str] = set()
        self.inactive: set[str] = set()
        self.trouble: dict[str, str] = {}

    async def poll(self) -> Seen:
        """Take new jobs from every inbox, also of storages that have come to be."""
        await asyncio.to_thread(self._services.stores.find)
        for name in self._services.stores.names:
            if name not in self._under_way:
                self._under_way[name] = asyncio.create_task(self._poll_one(name))
        alone = len(self._under_way) == 1
        done, still = await asyncio.wait(self._under_way.values(), timeout=None if alone else MAX_WAIT)
        for name, task in self._under_way.items():
            # A look that takes its time may still bring something; one that hangs ends by its storage's timeouts.
            self._unsettled[name] = 1 if task in still else task.result().unsettled
        self._under_way = {name: task for name, task in self._under_way.items() if task in still}
        left_out = self.left_out()
        unsettled = sum(number for name, number in self._unsettled.items() if name not in left_out)
        seen = [task.result() for task in done]
        return Seen(sum(each.taken for each in seen), unsettled, sum(each.left for each in seen))

    def left_out(self) -> set[str]:
        """Return the storages that nobody waits for: switched off, refusing, or silent for too long.

        One that has never answered since we began is given up sooner than one that went away in our midst.
        """
        now = time.monotonic()
        silent = {
            name
            for name, since in self._down_since.items()
            if now - since >= (COMING_BACK_SECONDS if name in self._answered else NEVER_THERE_SECONDS)
        }
        return self.inactive | self._refused | silent

    def usable(self) -> list[str]:
        """Return the names by which jobs know the storages that can be used now; the jobs of all others wait."""
        return self._names_but(
            self.down | {name for name in self._services.stores.names if not self._services.rollback.is_compared(name)}
        )

    def awaited(self) -> list[str]:
        """Return the names by which jobs know the storages that are to be served, now or when they are back."""
        return self._names_but(self.left_out())

    def _names_but(self, left_out: set[str]) -> list[str]:
        stores = self._services.stores
        names = [name for name in stores.names if name not in left_out]
        # The first one has the empty name too.
        return names if stores.full("") in left_out else sorted({"", *names})

    async def check_storage(self, name: str) -> bool:
        """Ask the storage of a job that did not come through whether it is there; return whether it is down."""
        full = self._services.stores.full(name)
        if full in self._services.stores.names and not await self._answers(full):
            self._is_down(full)
        return full in self.down

    async def _answers(self, name: str) -> bool:
        """Ask a storage whether it can be written, and remember what it says if it cannot."""
        error = await asyncio.to_thread(self._services.relay.trouble, name)
        if error is None:
            return True
        self._complain(name, error)
        return False

    def _complain(self, name: str, error: QuledgerError) -> None:
        self.trouble[name] = str(error)
        if isinstance(error, StorageRefused):
            self._refused.add(name)
        else:
            self._refused.discard(name)

    def _is_down(self, name: str) -> None:
        self.down.add(name)
        self._down_since.setdefault(name, time.monotonic())

    def _is_up(self, name: str) -> None:
        self.down.discard(name)
        self._down_since.pop(name, None)
        self._refused.discard(name)
        self.trouble.pop(name, None)
        self._answered.add(name)

    async def close(self) -> None:
        """Wait for the looks that are under way: what they take is in the log or not."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _poll_one(self, name: str) -> Seen:
        """Look at one storage; it counts as down while it fails and does not answer either."""
        new = unsettled = left = 0
        if await self._is_switched_off(name):
            return Seen()
        # A folder that cannot be listed looks like one that nobody made: what is down has to answer first.
        if name in self.down and not await self._answers(name):
            self._is_down(name)
            return Seen(unsettled=1)
        if not await self._is_compared(name):
            self._is_down(name)
            return Seen(unsettled=1)
        answers = True
        for backend in self.backends:
            try:
                taken = await asyncio.to_thread(self._services.inboxes[name].take, backend, self._services.worker)
            except QuledgerError as error:
                _LOG.warning("inbox_unavailable action=try_again backend=%s: %s", backend, error)
                # A folder that cannot be read keeps nobody waiting for ever; a storage that is down does.
                answers = await self._answers(name)
                unsettled += not answers
                if not answers:
                    break  # the queues of the other backends are in the same storage
            else:
                new += len(taken.jobs)
                unsettled += taken.unsettled
                left += taken.left
        if answers:
            self._is_up(name)
        else:
            self._is_down(name)
        return Seen(new, unsettled, left)

    async def _is_switched_off(self, name: str) -> bool:
        try:
            await asyncio.to_thread(self._services.stores.of, name)
        except StorageInactive as error:
            if name not in self.inactive:
                _LOG.warning("storage_inactive action=leave: %s", error)
            self.down.add(name)
            self.inactive.add(name)
            return True
        except QuledgerError:
            pass  # said where it is looked at
        self.inactive.discard(name)
        return False

    async def _is_compared(self, name: str) -> bool:
        """See once whether the log was set back behind what lies in a storage; until then no job of it is claimed."""
        if self._services.rollback.is_compared(name):
            return True
        try:
            await asyncio.to_thread(self._services.rollback.compare, name)
        except QuledgerError as error:
            _LOG.warning("rollback_unknown action=compare_later: %s", error)
            self._complain(name, error)
            return False
        self._services.inboxes[name].begin_anew()
        return True
