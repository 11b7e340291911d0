"""Who waits for a job to change: one look at the log for all of them, several times a second."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping

_LOG = logging.getLogger("quledger.api")

LOOK_SECONDS = 0.2

Seqs = Callable[[Collection[str]], Mapping[str, int]]


class Changes:
    """Tells waiters that a job has a new event. It belongs to one event loop.

    Args:
        seqs: returns the number of the last event of each of these jobs; called in a thread.
    """

    def __init__(self, seqs: Seqs, look_seconds: float = LOOK_SECONDS) -> None:
        self._seqs, self._look_seconds = seqs, look_seconds
        self._waiting: defaultdict[str, set[_Waiter]] = defaultdict(set)
        self._wanted = asyncio.Event()

    async def wait(self, job_id: str, seq: int, seconds: float, token_id: str = "") -> bool:
        """Wait until the job has an event after `seq`, or whoever waits with this token is woken.

        Returns:
            False where the time is over before.
        """
        waiter = _Waiter(seq, token_id)
        with self._registered(job_id, waiter), contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await waiter.woken.wait()
        return waiter.woken.is_set()

    def token_ids(self) -> set[str]:
        """Return with which tokens somebody waits."""
        return {waiter.token_id for waiters in self._waiting.values() for waiter in waiters}

    def wake(self, token_ids: Collection[str]) -> None:
        """Wake those who wait with these tokens."""
        for waiters in self._waiting.values() if token_ids else ():
            for waiter in waiters:
                if waiter.token_id in token_ids:
                    waiter.woken.set()

    async def run(self) -> None:
        """Look until it is cancelled; a log that does not answer is asked again."""
        while True:
            await self._wanted.wait()
            watched = list(self._waiting)
            try:
                seqs = await asyncio.to_thread(self._seqs, watched)
            except Exception as error:  # noqa: BLE001 - whoever waits asks the log himself in the end, and is told
                _LOG.warning("changes_unseen action=look_again: %s", type(error).__name__)
                seqs = {}
            for job_id, seq in seqs.items():
                for waiter in self._waiting.get(job_id, ()):
                    if seq > waiter.seq:
                        waiter.woken.set()
            await asyncio.sleep(self._look_seconds)

    @contextlib.contextmanager
    def _registered(self, job_id: str, waiter: "_Waiter") -> Iterator[None]:
        self._waiting[job_id].add(waiter)
        self._wanted.set()
        try:
            yield
        finally:
            self._waiting[job_id].discard(waiter)
            if not self._waiting[job_id]:
                del self._waiting[job_id]
            if not self._waiting:
                self._wanted.clear()


class _Waiter:
    def __init__(self, seq: int, token_id: str) -> None:
        self.seq, self.token_id, self.woken = seq, token_id, asyncio.Event()
