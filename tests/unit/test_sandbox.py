import asyncio
import hashlib
import json
import logging
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models.errors import BackendFailed, ChildDied, JobRejected, LimitExceeded, QuledgerError, SandboxError
from tasks.sandbox.job_process import Sandbox
from tasks.sandbox.rlimits import Limits
from tests.unit import sandbox_fakes

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


@pytest.fixture(scope="module", name="with_sandbox")
def _with_sandbox() -> Iterator[Runs]:
    """Run tests on one sandbox, so that not each of them waits for the start of a fork server."""
    with asyncio.Runner() as runner:
        sandbox = Sandbox(resolver=RESOLVER, preload=())
        yield lambda test: runner.run(test(sandbox))  # type: ignore[arg-type]
        runner.run(sandbox.__aexit__(None, None, None))


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
    until = time.monotonic() + 5
    while left := [pid for pid in pids if is_running(pid)]:
        assert time.monotonic() < until, f"still there: {left}"
        time.sleep(0.005)


def children_of(pid: int) -> list[str]:
    """Return the process ids of all children, zombies as well."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_three_calls_give_summary_program_and_result(with_sandbox: Runs) -> None:
    """One child answers the summary, the program with its hash and seeds, and the contract's result document."""

    async def test(sandbox: Sandbox) -> None:
        summary, program, result = await run_job(sandbox, "good")
        assert summary == {"experiments": 2, "shots": 7, "cost": 14}
        assert program["program_sha256"] == hashlib.sha256(program["program"]).hexdigest()
        assert program["seed"] == 5
        assert json.loads(program["program"])["seed"] == 5
        document = json.loads(result["document"])
        assert list(document) == [
            "backend_name", "display_name", "backend_version", "job_id", "qobj_id", "success", "status", "header",
            "results",
        ]  # fmt: skip
        assert document["display_name"] == "fake"
        assert document["job_id"] == "job-1"
        assert document["status"] == "DONE"
        assert [r["name"] for r in document["results"]] == ["experiment_0", "experiment_1"]
        assert result["document"] == json.dumps(document).encode("ascii")
        assert result["versions"]["python"] == platform.python_version()
        expected = hashlib.sha256(sandbox_fakes.CONFIG.model_dump_json().encode()).hexdigest()
        assert result["backend_config_sha256"] == expected
        assert 0 <= result["seconds"] < 1
        assert 0 < result["cpu_seconds"] < 5
        assert 5 < result["max_rss_mb"] < 500

    with_sandbox(test)


def test_each_step_runs_once(with_sandbox: Runs) -> None:
    """A step that has run is not run again, neither by a later step nor by a second call."""

    async def test(sandbox: Sandbox) -> None:
        async with sandbox.job("good", DOCUMENT, job_id="j", limits=WIDE) as job:
            for _ in range(2):
                await job.call("validate")
                await job.call("compile", seed=1)
            result = await job.call("execute")
        calls = json.loads(result["document"])["results"][0]["calls"]
        assert calls == {"validate": 1, "compile": 1, "execute": 1}

    with_sandbox(test)


def test_execute_alone_runs_the_skipped_steps(with_sandbox: Runs) -> None:
    """A resumed job that goes straight to its execution is validated and compiled on the way, with its seed."""

    async def test(sandbox: Sandbox) -> None:
        async with sandbox.job("good", DOCUMENT, job_id="j", limits=WIDE) as job:
            result = await job.call("execute", seed=9)
            program = await job.call("compile", seed=9)
        assert json.loads(result["document"])["results"][0]["calls"]["validate"] == 1
        assert json.loads(program["program"])["seed"] == 9

    with_sandbox(test)


def test_another_seed_makes_another_program(with_sandbox: Runs) -> None:
    """A compilation with a different seed is not answered with the program of the first."""

    async def test(sandbox: Sandbox) -> None:
        async with sandbox.job("good", DOCUMENT, job_id="j", limits=WIDE) as job:
            first, second = await job.call("compile", seed=1), await job.call("compile", seed=2)
        assert json.loads(first["program"])["seed"] == 1
        assert json.loads(second["program"])["seed"] == 2

    with_sandbox(test)


@pytest.mark.parametrize("step", STEPS)
def test_every_fault_of_a_rejected_job_arrives(with_sandbox: Runs, step: str) -> None:
    """A rejection in any step arrives with each of its faults and all their fields."""

    async def test(sandbox: Sandbox) -> None:
        error = await error_of(sandbox, f"{step}-reject")
        assert isinstance(error, JobRejected)
        with pytest.raises(JobRejected) as expected:
            sandbox_fakes.Actions.reject()
        assert error.faults == expected.value.faults

    with_sandbox(test)


def test_a_foreign_exception_with_faults_is_a_rejection(with_sandbox: Runs) -> None:
    """An exception of an outside package counts as a rejection if it has faults."""

    async def test(sandbox: Sandbox) -> None:
        error = await error_of(sandbox, "validate-reject_as_peer")
        assert isinstance(error, JobRejected)
        assert [str(fault) for fault in error.faults] == ["name: no such gate", "not a Fault"]

    with_sandbox(test)


def test_a_document_that_is_no_json_is_rejected(with_sandbox: Runs) -> None:
    """Bytes that are not JSON are the user's fault, found in the child."""

    async def test(sandbox: Sandbox) -> None:
        async with sandbox.job("good", b"{", job_id="j", limits=WIDE) as job:
            with pytest.raises(JobRejected, match="not JSON"):
                await job.call("validate")

    with_sandbox(test)


def test_a_failing_backend_shows_no_path_but_logs_its_traceback(
    with_sandbox: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    """A backend's own exception gives its class and one bounded line without paths; the log has the traceback."""

    async def test(sandbox: Sandbox) -> None:
        with caplog.at_level(logging.DEBUG, "quledger.sandbox"):
            error = await error_of(sandbox, "execute-break_down")
        assert isinstance(error, BackendFailed)
        assert (error.kind, error.retryable) == ("KeyError", False)
        text = str(error)
        assert "KeyError" in text
        assert "3/4 done" in text
        assert len(text) < 300
        assert "\n" not in text
        assert sandbox_fakes.__file__ not in text
        assert "secret.json" not in text
        assert "in break_down" in caplog.text
        assert len(caplog.text) < 20_000

    with_sandbox(test)


@pytest.mark.parametrize(
    ("action", "kind", "retryable"),
    [
        ("be_busy", "BusyError", True),
        ("be_mute", "MuteError", False),
        ("recurse", "RecursionError", False),
        ("leave", "SystemExit", False),
        ("return_object", "TypeError", False),
        ("write_file", "OSError", False),
    ],
)
def test_other_exceptions_tell_their_kind(with_sandbox: Runs, action: str, kind: str, *, retryable: bool) -> None:
    """Whatever a backend raises arrives as its failure, with the backend's own word on another attempt."""

    async def test(sandbox: Sandbox) -> None:
        error = await error_of(sandbox, f"execute-{action}")
        assert isinstance(error, BackendFailed)
        assert (error.kind, error.retryable) == (kind, retryable)

    with_sandbox(test)
    sandbox_fakes.FORBIDDEN_FILE.unlink(missing_ok=True)


def test_an_unknown_backend_is_a_failure(with_sandbox: Runs) -> None:
    """A name that the resolver does not know ends the call with an error and not the child."""

    async def test(sandbox: Sandbox) -> None:
        assert isinstance(await error_of(sandbox, "execute-no_such_action"), BackendFailed)

    with_sandbox(test)


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
        assert children_of(sandbox.fork_servers._servers[()].pid) == [] if sys.platform == "linux" else True

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


@pytest.mark.slow
def test_cpu_limit_stops_every_step(with_sandbox: Runs) -> None:
    """A computing step is stopped at the limit of CPU time, whichever it is, even if it ignores the signal."""

    async def test(sandbox: Sandbox) -> None:
        limits = WIDE.model_copy(update={"cpu_seconds": 0.5})
        names = [*(f"{step}-loop" for step in STEPS), "execute-ignore_cpu_warning"]
        for error in await asyncio.gather(*[error_of(sandbox, name, limits) for name in names]):
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
            server = sandbox.fork_servers._servers[()].pid
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
            first = sandbox.fork_servers._servers[()].pid
            call = asyncio.create_task(job.call("execute"))
            await asyncio.sleep(0)
            os.kill(first, signal.SIGKILL)
            with pytest.raises(ChildDied, match="fork server"):
                await call
            if sys.platform == "linux":
                await asyncio.to_thread(wait_until_gone, child)
        await run_job(sandbox, "good")
        assert sandbox.fork_servers._servers[()].pid != first
        assert not is_there(first)

    with_own_sandbox(test)


def test_fork_server_that_died_unseen_costs_no_job() -> None:
    """If the fork server died while nobody looked, the next job runs on a new one."""

    async def test(sandbox: Sandbox) -> None:
        await run_job(sandbox, "good")
        server = sandbox.fork_servers._servers[()]
        os.kill(server.pid, signal.SIGKILL)
        server._process.wait()  # holds the event loop up, so that it cannot see the end
        await run_job(sandbox, "good")
        assert sandbox.fork_servers._servers[()] is not server

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

async def main():
    async with Sandbox(resolver="tests.unit.sandbox_fakes:load", preload=()) as sandbox:
        async with sandbox.job("compile-breed", b'{"e": {"shots": 1}}', job_id="j", limits=Limits()) as job:
            program = json.loads((await job.call("compile", seed=1))["program"])
            print(json.dumps([sandbox.fork_servers._servers[()].pid, program["pid"], *program["did"]]), flush=True)
            await asyncio.sleep(3600)

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
            server = sandbox.fork_servers._servers[()].pid
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

        assert await asyncio.gather(*[work() for _ in range(320)]) == [7] * 320

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


@only_linux
def test_fifty_jobs_leave_nothing_behind(with_sandbox: Runs) -> None:
    """Fifty jobs one after the other leave no zombie and no open file, here or in the fork server."""

    async def test(sandbox: Sandbox) -> None:
        await run_job(sandbox, "good")
        server = sandbox.fork_servers._servers[()].pid

        def open_files() -> int:
            return len(os.listdir("/proc/self/fd"))

        before = open_files()
        for _ in range(50):
            await run_job(sandbox, "good")
        assert open_files() == before
        assert children_of(server) == []
        assert sandbox.fork_servers._servers[()].pid == server
        assert children_of(os.getpid()).count(str(server)) == 1

    with_sandbox(test)


def test_backends_with_needs_of_their_own_share_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules that one backend needs are imported by a server of its own, which its first job starts."""
    monkeypatch.setattr("tests.unit.sandbox_fakes.needs", lambda name: ("colorsys",) * (name == "heavy"), raising=False)

    async def both() -> set[tuple[str, ...]]:
        async with Sandbox(resolver=RESOLVER, preload=()) as sandbox:
            light, heavy = await sandbox.fork_servers.get(), await sandbox.fork_servers.get("heavy")
            assert light is not heavy
            assert await sandbox.fork_servers.get("other") is light
            assert await sandbox.fork_servers.get("heavy") is heavy
            return set(sandbox.fork_servers._servers)

    assert asyncio.run(both()) == {(), ("colorsys",)}
