"""Waiting until something is so, and no longer."""

import time
from collections.abc import Callable

PAUSE_SECONDS = 0.1


def wait_until(
    condition: Callable[[], object], seconds: float = 200, *, told: Callable[[], object] = lambda: "it did not come"
) -> None:
    """Return as soon as the condition holds; fail if that takes longer.

    Args:
        told: called for what a failure says.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, told()
        time.sleep(PAUSE_SECONDS)
