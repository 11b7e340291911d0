"""Short reads of the log have a thread where somebody has to be waited for, and none else."""

import asyncio
import functools
import threading
import time

import pytest

from deployments.api import reads
from deployments.api.reads import Reads


def in_thread(*, is_near: bool, slow: float = 0.0) -> list[bool]:
    """Return of three reads, of which the second is as slow, whether each has a thread."""

    async def run() -> list[bool]:
        here, log = threading.get_ident(), Reads(is_near=is_near)

        def read(seconds: float) -> bool:
            time.sleep(seconds)
            return threading.get_ident() != here

        return [await log.run(functools.partial(read, seconds)) for seconds in (0.0, slow, 0.0)]

    return asyncio.run(run())


def test_a_file_is_read_at_once_and_a_server_asked_in_a_thread() -> None:
    """To hand a read to a thread costs more than to look into a file."""
    assert in_thread(is_near=True) == [False] * 3
    assert in_thread(is_near=False) == [True] * 3


def test_a_file_that_was_slow_has_threads_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """One read may keep the others waiting, and then no more."""
    monkeypatch.setattr(reads, "SLOW_SECONDS", 0.1)
    assert in_thread(is_near=True, slow=0.25) == [False, False, True]
    monkeypatch.setattr(reads, "REST_SECONDS", 0.0)
    assert in_thread(is_near=True, slow=0.25) == [False, False, False]


def test_what_a_read_raises_is_raised() -> None:
    """As in a thread."""

    def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(Reads(is_near=True).run(fail))
