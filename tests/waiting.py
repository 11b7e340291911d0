"""Waiting for what comes in its own time: until it is so, and not for a time that is hoped to be enough."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

PAUSE, MAX_PAUSE = 0.05, 0.2


def until(
    condition: Callable[[], Value],
    seconds: float = 200,
    *,
    pause: float = PAUSE,
    max_pause: float = MAX_PAUSE,
    told: Callable[[], object] = str,
) -> Value:
    """Return the first value of `condition` that is true; fail if none comes in so many seconds.

    Args:
        pause: seconds between the first two looks; each pause is longer than the one before.
        max_pause: seconds that it grows to.
        told: what the failure shows, such as what a server has printed.
    """
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"after {seconds} s it is still not so: {told()}"
        time.sleep(pause)
        pause = max(pause, min(1.2 * pause, max_pause))
    return value
