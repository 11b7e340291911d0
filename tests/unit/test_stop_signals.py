"""Signals that end a process in good order."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.processes.drain import _stoppable
from deployments.processes.stop_signals import stop_signals
from models.settings import Settings


@pytest.fixture(params=[signal.SIG_DFL, signal.SIG_IGN], ids=["terminal", "nohup"])
def hangup(request: pytest.FixtureRequest) -> Iterator[signal.Handlers]:
    """What a hangup means to a process that is just starting."""
    before = signal.signal(signal.SIGHUP, request.param)
    yield request.param
    signal.signal(signal.SIGHUP, before)


def test_a_closed_terminal_ends_a_process_in_good_order(hangup: signal.Handlers, tmp_path: Path):
    """What is under way is cancelled, as by SIGTERM; whoever has hangups ignored goes on."""
    ignored = hangup is signal.SIG_IGN
    assert stop_signals() == [signal.SIGTERM, signal.SIGHUP][: 1 if ignored else 2]

    async def hear() -> str:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.05 if ignored else 60)
        return "went on"

    with contextlib.nullcontext() if ignored else pytest.raises(KeyboardInterrupt):
        assert asyncio.run(_stoppable(hear(), Settings(home=tmp_path))) == "went on"
