"""What a drain keeps in order while it serves: configurations, leases, the mirror, and what nobody needs any more."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator, Sequence

import stamina

from flows.draining.inbox_poller import InboxPoller
from flows.draining.unserved import left_paused, unserved
from flows.publish_backends import publish
from models.errors import QuledgerError, StorageError
from models.words import count_of
from tasks.jobs.leases import expire_leases
from tasks.services import Services
from tasks.sweeping import HALVES_SECONDS, SECONDS, sweep_leftovers, sweep_storages

_LOG = logging.getLogger("quledger.drain")

SLICE_SECONDS = 0.5
"""So long the mirror is brought up to the log at a time."""

SAY_SECONDS = 10.0
"""How often it is said how far that has come."""


class Maintenance:
    """What keeps the laboratory in order for as long as one drain serves."""

    def __init__(self, services: Services, backends: Sequence[str]) -> None:
        self._services, self._backends = services, backends
        # On the steady clock.
        self._leftovers_from = self._sweep_from = 0.0

    async def begin(self, *, patient: bool) -> None:
        """See whether the log was set back, and what a crash left behind; none of it grows with what waits.

        Args:
            patient: begin also where no storage can be used: it may come to be.

        Raises:
            StorageError: none of the storages can be used, and nobody is patient.
        """
        # Before anything is appended: a log that was set back has to stay a part of its mirror.
        await asyncio.to_thread(self._services.rollback.compare_all)
        # Once in the open: whoever starts a drain on a storage that does not answer is told so at once.
        try:
            await asyncio.to_thread(self._renew)
        except StorageError as error:
            if not patient:
                raise
            _LOG.warning("housekeeping_failed action=try_again: %s", error)

    async def run(self) -> None:
        """Do what is due again."""
        await asyncio.to_thread(self._renew)
        if time.monotonic() >= self._leftovers_from:
            self._leftovers_from = time.monotonic() + SECONDS
            await asyncio.to_thread(sweep_leftovers, self._services)
        if time.monotonic() >= self._sweep_from:
            self._sweep_from = time.monotonic() + HALVES_SECONDS
            await asyncio.to_thread(sweep_storages, self._services)

    async def catch_up(self, pause: float = SLICE_SECONDS) -> None:
        """Bring the mirror up to the log a slice at a time, so that claims have their turn; say how far it is.

        Args:
            pause: between two slices, in seconds.
        """
        steps, done, say_at = self._services.relay.catch_up(), 0, 0.0
        while (taken := await asyncio.to_thread(_slice, steps)) is not None:
            done += taken
            if time.monotonic() >= say_at:
                left = await asyncio.to_thread(self._services.cursor.count_behind)
                self._services.on_progress(f"the mirror follows the log: {count_of(done, 'job')} written, {left} to go")
                say_at = time.monotonic() + SAY_SECONDS
            await asyncio.sleep(pause)
        if say_at:
            self._services.on_progress("the mirror has come up to the log")

    async def end(self, poller: InboxPoller) -> None:
        """Say what is left behind, and leave the rest in order."""
        reasons = await asyncio.to_thread(unserved, self._services, poller)
        for line in await asyncio.to_thread(left_paused, self._services, poller.backends):
            self._services.on_progress(line)
        await asyncio.to_thread(self._services.relay.update_late, wait=True)
        if reasons:
            self._services.on_unserved(reasons)
            with contextlib.suppress(QuledgerError):  # what is left out may be why it fails
                await self._bring_right()
        else:
            patiently = stamina.retry_context(
                QuledgerError, attempts=3, wait_initial=0.5, wait_max=2.0, wait_exp_base=4, wait_jitter=0.0
            )
            async for attempt in patiently:
                with attempt:
                    await self._bring_right_or_warn()
        await asyncio.to_thread(self._services.marks.end)
        await asyncio.to_thread(sweep_leftovers, self._services)
        if self._sweep_from == 0:
            await asyncio.to_thread(sweep_storages, self._services)

    async def _bring_right_or_warn(self) -> None:
        try:
            await self._bring_right()
        except QuledgerError as error:
            _LOG.warning("housekeeping_failed action=try_again: %s", error)
            raise

    async def _bring_right(self) -> None:
        try:
            await asyncio.to_thread(self._renew)
        finally:
            # A backend that cannot sign keeps no document of another one back.
            await self.catch_up(pause=0.0)

    def _renew(self) -> None:
        """Renew the published configurations, and end attempts whose lease ran out."""
        self._services.marks.compare()
        expire_leases(self._services)
        publish(self._services, self._backends)


def _slice(steps: Iterator[bool]) -> int | None:
    """Relay for a while; return how many jobs were, None where it has come to its end."""
    done, end = 0, time.monotonic() + SLICE_SECONDS
    for relayed in steps:
        done += relayed
        if time.monotonic() >= end:
            return done
    return None
