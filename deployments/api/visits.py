"""Who comes, and how often: the rate of each user is held, and the last use of each token is remembered."""

import asyncio
import contextlib
import logging
import math
import threading
import time
from datetime import timedelta

from deployments.api.bounds import Rates
from deployments.api.nearness import IS_NEAR
from models import clock
from models.errors import LogError
from models.identity.access import Caller
from models.identity.errors import NotSignedIn
from models.usage import LimitReached
from storage.identity.directory import Directory
from storage.identity.limits import limits_of

_LOG = logging.getLogger("quledger.api")

FRESH_SECONDS = 10.0
"""So long a limit of requests that was read is held to before it is read again."""

WRITE_SECONDS = 20.0
"""So often the tokens that were used are written down."""

BURST = 10
"""So many requests may come at once, however few are allowed in a minute."""


class Visits:
    """The callers of one process; safe to use from several threads."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._changing = threading.Lock()
        self._used: set[str] = set()
        self._limits: dict[str, tuple[float, int | None]] = {}
        self._rates: dict[tuple[str, int], Rates] = {}

    def caller(self, token: str | None) -> Caller:
        """Return whose token this is.

        Raises:
            NotSignedIn: it is missing, unknown, expired or revoked, or good on this machine alone.
            LimitReached: its user has sent too many requests in this minute.
        """
        if not token:
            raise NotSignedIn("missing")
        caller = _near_enough(self._directory.caller_of(token))
        self.note(caller)
        return caller

    def is_known(self, token: str) -> bool:
        """Return whether a token is good; to ask is no request of its user's."""
        with contextlib.suppress(NotSignedIn):
            return bool(self._directory.caller_of(token).token_id)
        return False

    def caller_with(self, token_id: str) -> Caller:
        """Return whose token has this id, for a session that was begun with it; else as `caller`."""
        caller = _near_enough(self._directory.caller_with(token_id))
        self.note(caller)
        return caller

    def again(self, caller: Caller) -> Caller:
        """Return a caller as he stands now: while he waited, his token may have ended. It is no request more.

        Raises:
            NotSignedIn: it has.
        """
        return self._directory.caller_with(caller.token_id)

    def note(self, caller: Caller) -> None:
        """Note that somebody has come.

        Raises:
            LimitReached: he comes too often.
        """
        most = self._most(caller.user) if caller.user else None
        with self._changing:
            self._used.add(caller.token_id)
            if most is None:
                return
            rates = self._rates.setdefault((caller.user, most), Rates(most, min(most, BURST)))
            if most and rates.take(caller.user):
                return
            wait = rates.wait(caller.user) if most else 60.0
        free_at = clock.now() + timedelta(seconds=math.ceil(wait))
        raise LimitReached(f"user/{caller.user}", "requests_a_minute", "requests a minute", most, most, free_at)

    def _most(self, user: str) -> int | None:
        asked, most = self._limits.get(user, (float("-inf"), None))
        if time.monotonic() - asked > FRESH_SECONDS:
            limits = limits_of(self._directory.engine, [user]).get(f"user/{user}")
            most = None if limits is None else limits.requests_a_minute
            self._limits[user] = time.monotonic(), most
        return most

    async def run(self) -> None:
        """Write down now and then which tokens were used, until it is cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await asyncio.to_thread(self.write)
            except LogError as error:  # nobody has to wait for that
                _LOG.warning("token_uses_lost action=go_on: %s", error)

    def write(self) -> None:
        """Write down which tokens were used since the last time."""
        with self._changing:
            used, self._used = self._used, set()
        if used:
            self._directory.touch(used)


def _near_enough(caller: Caller) -> Caller:
    if caller.is_local and not IS_NEAR.get():
        raise NotSignedIn("elsewhere")
    return caller
