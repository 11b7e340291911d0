"""The children and their fork server: how they begin, end and take nothing with them."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import ChildDied, SandboxError
from tasks.sandbox.job_process import Sandbox
from tests.unit.sandbox_jobs import (
    DOCUMENT,
    RESOLVER,
    WIDE,
    Runs,
    children_of,
    error_of,
    is_there,
    only_linux,
    run_job,
    server_of,
    wait_until_gone,
    with_own_sandbox,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("action", "word"),
    [
        ("exit", "status 3"),
        ("abort", "Abort"),
        ("kill_itself", "killed"),
        ("close_channel", "killed"),
        ("breed_and_exit", "status 4"),
    ],
)
def test_a_dead_child_is_told(with_sandbox: Runs, action: str, word: str) -> None:
    """A child that ends is reported at once, and the next job works."""

    async def test(sandbox: Sandbox) -> None:
        error = await error_of(sandbox, f"execute-{action}")
        assert isinstance(error, ChildDied)
        assert word in str(error)
        await run_job(sandbox, "good")

    with_sandbox(test)


def test_a_job_whose_child_is_gone_stays_over(with_sandbox: Runs) -> None:
    """A second call after the child's death says so and forks no new child."""

    async def test(sandbox: Sandbox) -> None:
        async with sandbox.job("execute-exit", DOCUMENT, job_id="j", limits=WIDE) as job:
            for _ in range(2):
                with pytest.raises(ChildDied):
                    await job.call("execute", seed=1)
            with pytest.raises(ChildDied, match="has ended"):
                await job.call("validate")

    with_sandbox(test)


@only_linux
def test_processes_of_a_job_are_killed_with_it(with_sandbox: Runs) -> None:
    """Whatever a job has started is gone after it, in whatever session and with whatever parent."""

    async def test(sandbox: Sandbox) -> None:
        async with sandbox.job("compile-breed", DOCUMENT, job_id="j", limits=WIDE) as job:
            program = json.loads((await job.call("compile", seed=1))["program"])
            assert len(program["did"]) == 3
            assert all(is_there(pid) for pid in [program["pid"], *program["did"]])
        assert not is_there(program["pid"])
        await asyncio.to_thread(wait_until_gone, *program["did"])
        await run_job(sandbox, "good")

    with_sandbox(test)


def test_cancellation_kills_the_child(with_sandbox: Runs) -> None:
    """A cancelled call has killed its child by the time the cancellation comes out."""

    async def test(sandbox: Sandbox) -> None:
        pid: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def work() -> None:
            async with sandbox.job("execute-loop", DOCUMENT, job_id="j", limits=WIDE) as job:
                program = await job.call("compile", seed=1)
                pid.set_result(json.loads(program["program"])["pid"])
                await job.call("execute")

        task = asyncio.create_task(work())
        child = await pid
        assert is_there(child)
        await asyncio.sleep(0)  # into the call
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not is_there(child)

    with_sandbox(test)


def test_leaving_the_sandbox_kills_everything() -> None:
    """A sandbox that is left ends its fork server and the job that is under way, which is told."""

    async def run() -> None:
        async with (
            Sandbox(resolver=RESOLVER, preload=()) as sandbox,
            sandbox.job("good", DOCUMENT, job_id="j", limits=WIDE) as job,
        ):
            child = json.loads((await job.call("compile", seed=1))["program"])["pid"]
            task = asyncio.create_task(error_of(sandbox, "execute-loop"))
            await job.call("validate")
            server = server_of(sandbox).pid
            await sandbox.__aexit__(None, None, None)
            assert not is_there(server)
            wait_until_gone(child)
            assert isinstance(await task, SandboxError)
            with pytest.raises(ChildDied):
                await job.call("validate")
        with pytest.raises(SandboxError, match="closed"):
            await run_job(sandbox, "good")

    asyncio.run(run())


def test_killed_fork_server_is_replaced() -> None:
    """If the fork server is killed, the job under way is told and its child dies; the next job gets a new server."""

    async def test(sandbox: Sandbox) -> None:
        async with sandbox.job("execute-loop", DOCUMENT, job_id="j", limits=WIDE) as job:
            child = json.loads((await job.call("compile", seed=1))["program"])["pid"]
            first = server_of(sandbox).pid
            call = asyncio.create_task(job.call("execute"))
            await asyncio.sleep(0)
            os.kill(first, signal.SIGKILL)
            with pytest.raises(ChildDied, match="fork server"):
                await call
            if sys.platform == "linux":
                await asyncio.to_thread(wait_until_gone, child)
        await run_job(sandbox, "good")
        assert server_of(sandbox).pid != first
        assert not is_there(first)

    with_own_sandbox(test)


def test_fork_server_that_died_unseen_costs_no_job() -> None:
    """If the fork server died while nobody looked, the next job runs on a new one."""

    async def test(sandbox: Sandbox) -> None:
        await run_job(sandbox, "good")
        server = server_of(sandbox)
        os.kill(server.pid, signal.SIGKILL)
        server._process.wait()  # holds the event loop up, so that it cannot see the end
        await run_job(sandbox, "good")
        assert server_of(sandbox) is not server

    with_own_sandbox(test)


def test_fork_server_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork server that cannot start fails the job with a typed error."""
    (tmp_path / "bomb.py").write_text("import os; os._exit(9)")
    monkeypatch.syspath_prepend(tmp_path)

    async def test(sandbox: Sandbox) -> None:
        error = await error_of(sandbox, "good")
        assert isinstance(error, ChildDied)
        assert "does not start" in str(error)

    with_own_sandbox(test, "bomb")


def test_a_module_that_cannot_be_preloaded_stops_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """A module that cannot be preloaded is told to the operator and left to the jobs that want it."""

    async def test(sandbox: Sandbox) -> None:
        await run_job(sandbox, "good")

    with_own_sandbox(test, "no_such_module")
    assert "cannot preload no_such_module" in capfd.readouterr().err


PARENT = """
import asyncio, json
from tasks.sandbox.job_process import Sandbox
from tasks.sandbox.rlimits import Limits
from tests.unit.sandbox_jobs import server_of

async def main():
    async with Sandbox(resolver="tests.unit.sandbox_fakes:load", preload=()) as sandbox:
        async with sandbox.job("compile-breed", b'{"e": {"shots": 1}}', job_id="j", limits=Limits()) as job:
            program = json.loads((await job.call("compile", seed=1))["program"])
            print(json.dumps([server_of(sandbox).pid, program["pid"], *program["did"]]), flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


@only_linux
def test_nothing_survives_a_killed_parent() -> None:
    """If the parent is killed by SIGKILL, its fork server and all processes of its jobs end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        pids = json.loads(parent.stdout.readline())
        assert all(is_there(pid) for pid in pids)
        parent.kill()
    wait_until_gone(*pids)


def test_signals_of_the_terminal_do_not_reach_the_fork_server(with_sandbox: Runs) -> None:
    """The fork server and each child are in sessions of their own, out of reach of the terminal's signals."""

    async def test(sandbox: Sandbox) -> None:
        async with sandbox.job("good", DOCUMENT, job_id="j", limits=WIDE) as job:
            child = json.loads((await job.call("compile", seed=1))["program"])["pid"]
            server = server_of(sandbox).pid
            assert len({os.getsid(0), os.getsid(server), os.getsid(child)}) == 3

    with_sandbox(test)


def test_eight_jobs_at_once(with_sandbox: Runs) -> None:
    """Eight jobs run at the same time in eight processes, and each gets its own answer."""

    async def test(sandbox: Sandbox) -> None:
        everybody = asyncio.Barrier(8)

        async def work(number: int) -> tuple[int, str]:
            async with sandbox.job("good", DOCUMENT, job_id=f"job-{number}", limits=WIDE) as job:
                pid = json.loads((await job.call("compile", seed=number))["program"])["pid"]
                await everybody.wait()
                document = json.loads((await job.call("execute"))["document"])
                return pid, document["job_id"]

        answers = await asyncio.gather(*map(work, range(8)))
        assert len({pid for pid, _ in answers}) == 8
        assert [job_id for _, job_id in answers] == [f"job-{number}" for number in range(8)]

    with_sandbox(test)


def test_many_more_jobs_than_the_socket_holds(with_sandbox: Runs) -> None:
    """Jobs that come faster than the fork server takes them wait for their turn."""

    async def test(sandbox: Sandbox) -> None:
        async def work() -> int:
            async with sandbox.job("good", DOCUMENT, job_id="j", limits=WIDE) as job:
                return int((await job.call("validate"))["shots"])

        await run_job(sandbox, "good")
        control = server_of(sandbox)._control
        room = control.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // 2  # the kernel doubles what it is asked for
        control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        try:
            assert await asyncio.gather(*[work() for _ in range(40)]) == [7] * 40
        finally:
            control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)

    with_sandbox(test)


@only_linux
def test_fifty_jobs_leave_nothing_behind(with_sandbox: Runs) -> None:
    """Fifty jobs one after the other leave no zombie and no open file, here or in the fork server."""

    async def test(sandbox: Sandbox) -> None:
        await run_job(sandbox, "good")
        server = server_of(sandbox).pid

        def open_files() -> int:
            return len(os.listdir("/proc/self/fd"))

        before = open_files()
        for _ in range(50):
            await run_job(sandbox, "good")
        assert open_files() == before
        assert children_of(server) == []
        assert server_of(sandbox).pid == server
        assert children_of(os.getpid()).count(str(server)) == 1

    with_sandbox(test)


def test_backends_with_needs_of_their_own_share_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules that one backend needs are imported by a server of its own, which its first job starts."""
    monkeypatch.setattr("tests.unit.sandbox_fakes.needs", lambda name: ("colorsys",) * (name == "heavy"), raising=False)

    async def both() -> list[tuple[str, ...]]:
        async with Sandbox(resolver=RESOLVER, preload=()) as sandbox:
            light, heavy = await sandbox.fork_servers.get("light"), await sandbox.fork_servers.get("heavy")
            assert light is not heavy
            assert await sandbox.fork_servers.get("other") is light
            assert await sandbox.fork_servers.get("heavy") is heavy
            return [kind.needs for kind in sandbox.fork_servers._servers]

    assert asyncio.run(both()) == [(), ("colorsys",)]
