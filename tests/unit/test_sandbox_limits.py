"""What a job may use in its child, and what it can find out there about others."""

import asyncio
import json
import os
import sys
import time

import pytest

from models.errors import LimitExceeded
from tasks.sandbox.job_process import Sandbox
from tests.unit.sandbox_jobs import (
    DOCUMENT,
    STEPS,
    WIDE,
    Runs,
    children_of,
    did,
    error_of,
    only_linux,
    run_job,
    server_of,
    with_own_sandbox,
)

pytestmark = pytest.mark.slow


def test_wall_limit_stops_every_step(with_sandbox: Runs) -> None:
    """A step that never ends is stopped at the limit of wall time, whichever it is, and its child is gone."""

    async def test(sandbox: Sandbox) -> None:
        await run_job(sandbox, "good")
        limits = WIDE.model_copy(update={"wall_seconds": 0.3})
        started = time.monotonic()
        names = [f"{step}-{action}" for step in STEPS for action in ("sleep", "loop", "ignore_termination")]
        for error in await asyncio.gather(*[error_of(sandbox, name, limits) for name in names]):
            assert isinstance(error, LimitExceeded)
            assert "0.3 s" in str(error)
        assert time.monotonic() - started < 4
        assert children_of(server_of(sandbox).pid) == [] if sys.platform == "linux" else True

    with_sandbox(test)


def test_wall_limit_counts_all_calls_but_no_pauses(with_sandbox: Runs) -> None:
    """The limit of wall time holds for the calls of a job together; what lies between them does not count."""

    async def test(sandbox: Sandbox) -> None:
        limits = WIDE.model_copy(update={"wall_seconds": 0.6})
        await run_job(sandbox, "good")
        async with sandbox.job("compile-nap", DOCUMENT, job_id="j", limits=limits) as job:
            await job.call("validate")
            await asyncio.sleep(0.7)
            await job.call("compile", seed=1)
            with pytest.raises(LimitExceeded, match="more than 0"):
                await job.call("compile", seed=2)

    with_sandbox(test)


def test_cpu_limit_stops_every_step(with_sandbox: Runs) -> None:
    """A computing step is stopped at the limit of CPU time, the first as the last, even if it ignores the signal."""

    async def test(sandbox: Sandbox) -> None:
        limits = WIDE.model_copy(update={"cpu_seconds": 0.5})
        for name in ("validate-loop", "execute-ignore_cpu_warning"):
            error = await error_of(sandbox, name, limits)
            assert isinstance(error, LimitExceeded)
            assert "1 s of CPU time" in str(error)

    with_sandbox(test)


@only_linux
@pytest.mark.parametrize("action", ["memory_bomb", "wrapped_memory_bomb"])
def test_memory_limit(with_sandbox: Runs, action: str) -> None:
    """A step that takes more memory than it may is told so, even if the backend hides the error."""

    async def test(sandbox: Sandbox) -> None:
        error = await error_of(sandbox, f"execute-{action}", WIDE.model_copy(update={"memory_mb": 60}))
        assert isinstance(error, LimitExceeded)
        assert "60 MB of memory" in str(error)

    with_sandbox(test)


@only_linux
def test_the_memory_limit_leaves_room_for_linear_algebra(with_sandbox: Runs) -> None:
    """A calculation that needs 30 MB runs under a limit of 60 MB, since the libraries' own memory does not count."""

    async def test(sandbox: Sandbox) -> None:
        limits = WIDE.model_copy(update={"memory_mb": 60})
        _, _, result = await run_job(sandbox, "execute-calculate", limits)
        assert json.loads(result["document"])["results"][0]["did"] == pytest.approx(360_000)

    with_sandbox(test)


@pytest.mark.parametrize("action", ["execute-answer_bomb", "compile-answer_bomb"])
def test_answer_limit(with_sandbox: Runs, action: str) -> None:
    """An answer larger than its limit is refused, and it is said how large it may be."""

    async def test(sandbox: Sandbox) -> None:
        error = await error_of(sandbox, action)
        assert isinstance(error, LimitExceeded)
        assert "larger than 1 MB" in str(error)

    with_sandbox(test)


@only_linux
def test_no_secret_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child sees nothing of its parent's settings and credentials, nor any file but its own channel."""
    for name in ("AWS_SECRET_ACCESS_KEY", "QULEDGER_STORAGE", "PREFECT_API_KEY", "ANYTHING"):
        monkeypatch.setenv(name, "verysecret")

    async def test(sandbox: Sandbox) -> None:
        seen = await did(sandbox, "look_around")
        assert "verysecret" not in str(seen)
        assert "PATH" in seen["environ"]
        assert "OPENBLAS_NUM_THREADS" in (seen["proc"] or seen["environ"])
        assert seen["files"] == [0, 1, 2, 3, 4]  # the fourth is the folder being listed
        assert seen["links"] == ["/dev/null"] * 3
        assert seen["cwd"] == "/"
        assert seen["limits"] == [0, 0]

    with_own_sandbox(test)


@only_linux
def test_jobs_do_not_see_each_other(with_sandbox: Runs) -> None:
    """What one job leaves in memory or open is not there for another one, and its memory cannot be read."""

    async def test(sandbox: Sandbox) -> None:
        async with sandbox.job("execute-leave_trace", DOCUMENT, job_id="j", limits=WIDE) as other:
            await other.call("execute", seed=1)
            seen = await did(sandbox, "look_around")
        assert seen["seen"] == []
        assert "another job" not in str(seen)
        assert seen["files"] == [0, 1, 2, 3, 4]
        assert seen["dumpable"] == 0

    with_sandbox(test)


def test_a_job_of_a_busy_parent_sees_none_of_its_files() -> None:
    """However many files the drain has open, and under whatever numbers: a child has its own five."""

    async def test(sandbox: Sandbox) -> None:
        assert (await did(sandbox, "look_around"))["files"] == [0, 1, 2, 3, 4]

    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(200)]
    try:
        with_own_sandbox(test)
    finally:
        for each in files:
            os.close(each)


def test_jobs_do_not_draw_the_same_numbers() -> None:
    """Two jobs that draw from the global generators get different numbers."""

    async def test(sandbox: Sandbox) -> None:
        first, second = await did(sandbox, "draw"), await did(sandbox, "draw")
        assert first[0] != second[0]
        assert first[1] != second[1]

    with_own_sandbox(test, "numpy.random")
