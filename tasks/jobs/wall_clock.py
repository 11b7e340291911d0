"""Whether the clock on the wall can be trusted just now."""

import time
from datetime import datetime

from models import clock

STEP_SECONDS = 1.0
"""A clock that goes so far from the steady one between two looks was set, or this machine slept."""


class Wall:
    """The clock on the wall beside the steady one: leases are times, and mean nothing just after the clock was set."""

    def __init__(self) -> None:
        self._seen: tuple[datetime, float] | None = None
        self._trusted_from = 0.0

    def is_trusted(self, lease_seconds: float) -> bool:
        """Say whether leases may be judged: not before everybody alive has had the time to renew theirs."""
        now, steady = clock.now(), time.monotonic()
        if self._seen is not None:
            passed = (now - self._seen[0]).total_seconds()
            if abs(passed - (steady - self._seen[1])) > STEP_SECONDS:
                self._trusted_from = steady + lease_seconds
        self._seen = now, steady
        return steady >= self._trusted_from
