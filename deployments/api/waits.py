"""Who waits here: so many at once of each user, and nobody whose token has ended meanwhile."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator

from deployments.api.changes import Changes
from models.errors import InputError
from models.identity.access import Caller
from models.job import FINAL, Job

_LOG = logging.getLogger("quledger.api")

LOOK_SECONDS = 2.0
"""So often it is seen whose tokens are good no more: so long whoever waits may still wait with one."""


class TooManyWaits(InputError):
    """A user holds as many connections as one may, to wait for changes."""

    def __init__(self, most: int) -> None:
        super().__init__(f"you wait for {most} changes at once, and nobody may for more; end a stream, or ask in turn")


class Waits:
    """The waits for changes of jobs. They belong to one event loop.

    Args:
        good: returns which of these tokens, by their ids, still let somebody in; called in a thread.
        most: waits at one time of a user, or of a device.

    Attributes:
        is_over: nobody may wait any more.
    """

    def __init__(self, changes: Changes, good: Callable[[Collection[str]], Collection[str]], most: int) -> None:
        self._changes, self._good, self._most = changes, good, most
        self._users: Counter[str] = Counter()
        self.is_over = False

    def expect_room(self, caller: Caller) -> None:
        """See that the caller may wait.

        Raises:
            TooManyWaits: he waits for too much already.
        """
        if self._users[_who(caller)] >= self._most:
            raise TooManyWaits(self._most)

    @contextlib.contextmanager
    def held(self, caller: Caller) -> Iterator[None]:
        """Count a connection of the caller's while the block runs.

        Raises:
            TooManyWaits: he has too many already.
        """
        self.expect_room(caller)
        who = _who(caller)
        self._users[who] += 1
        try:
            yield
        finally:
            self._users[who] -= 1
            if not self._users[who]:
                del self._users[who]

    async def until_changed(self, caller: Caller, job: Job, seconds: float) -> bool:
        """Wait until a job has changed; return False where it has not in that time.

        Raises:
            TooManyWaits: the caller waits for too much already.
        """
        if job.state in FINAL:
            return False
        with self.held(caller):
            return await self.change(caller, job, seconds)

    async def change(self, caller: Caller, job: Job, seconds: float) -> bool:
        """Wait until a job has an event after its last one here, or the caller's token has ended.

        Returns:
            False where the time is over before.
        """
        return self.is_over or await self._changes.wait(job.job_id, job.seq, seconds, caller.token_id)

    def end(self) -> None:
        """Wake all, and let nobody wait any more: the server is about to stop."""
        self.is_over = True
        self._changes.wake(self._changes.token_ids())

    async def run(self, look_seconds: float = LOOK_SECONDS) -> None:
        """Wake those whose tokens have ended, until it is cancelled: whoever is woken asks again, and is told."""
        while True:
            await asyncio.sleep(look_seconds)
            token_ids = self._changes.token_ids()
            if not token_ids:
                continue
            try:
                good = await asyncio.to_thread(self._good, token_ids)
            except Exception as error:  # noqa: BLE001 - a log that does not answer now is asked again
                _LOG.warning("tokens_unseen action=look_again: %s", type(error).__name__)
            else:
                self._changes.wake(token_ids - set(good))


def _who(caller: Caller) -> str:
    return f"user/{caller.user}" if caller.user else f"device/{caller.device}"
