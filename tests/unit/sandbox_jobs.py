"""How the tests of the sandbox run jobs in it, and look at its processes."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from models.errors import QuledgerError
from tasks.sandbox.fork_client import ForkServerClient, ServerKind
from tasks.sandbox.job_process import Sandbox
from tasks.sandbox.rlimits import Limits
from tests.waiting import until

RESOLVER = "tests.unit.sandbox_fakes:load"
DOCUMENT = b'{"experiment_0": {"shots": 3}, "experiment_1": {"shots": 4, "seed": 11}}'
WIDE = Limits(cpu_seconds=20, wall_seconds=20, memory_mb=500, answer_mb=1)
STEPS = ("validate", "compile", "execute")

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel does not offer it elsewhere")


Test = Callable[[Sandbox], Awaitable[None]]
Runs = Callable[[Test], None]


def with_own_sandbox(test: Test, *preload: str) -> None:
    """Run a test on a sandbox of its own."""

    async def run() -> None:
        async with Sandbox(resolver=RESOLVER, preload=preload) as sandbox:
            await test(sandbox)

    asyncio.run(run())


async def run_job(sandbox: Sandbox, backend: str, limits: Limits = WIDE) -> tuple[dict[str, Any], ...]:
    """Run all three steps."""
    async with sandbox.job(backend, DOCUMENT, job_id="job-1", limits=limits) as job:
        return await job.call("validate"), await job.call("compile", seed=5), await job.call("execute")


async def error_of(sandbox: Sandbox, backend: str, limits: Limits = WIDE) -> QuledgerError:
    """Return the error that a job ends with."""
    try:
        answers = await run_job(sandbox, backend, limits)
    except QuledgerError as error:
        return error
    pytest.fail(f"no error, but {answers!r:.500}")


async def did(sandbox: Sandbox, action: str) -> Any:
    """Return what an action returned in the child."""
    _, _, result = await run_job(sandbox, f"execute-{action}")
    return json.loads(result["document"])["results"][0]["did"]


def server_of(sandbox: Sandbox) -> ForkServerClient:
    """Return the fork server of the backends that declare nothing, as all of the tests' are."""
    return sandbox.fork_servers._servers[ServerKind(access=None, is_ours=False)]


def is_there(pid: int) -> bool:
    """Say whether a process exists, be it only as a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_running(pid: int) -> bool:
    """Say whether a process exists and has not ended; the system's first process may be slow to collect it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return sys.platform != "linux" and is_there(pid)


def wait_until_gone(*pids: int) -> None:
    """Wait until the processes have ended."""
    until(lambda: not any(map(is_running, pids)), 5, pause=0.005, max_pause=0.005)


def children_of(pid: int) -> list[str]:
    """Return the process ids of all children, zombies as well."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
