"""A child process that has done its job may get the next one, if nothing of the first can be told from it."""

import asyncio
import json
import os
import signal
import sys
from typing import Any

import pytest

from models.errors import ChildDied, JobRejected, LimitExceeded
from tasks.backends.registry import BUILT_IN, lasting
from tasks.sandbox import child_pool
from tasks.sandbox.job_process import Sandbox
from tasks.sandbox.rlimits import Limits
from tests.unit.sandbox_jobs import DOCUMENT, WIDE, Runs, Test, server_of, wait_until_gone, with_own_sandbox

pytestmark = pytest.mark.slow

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel does not limit memory elsewhere")


@pytest.fixture(autouse=True)
def all_but_some_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of all backends of the tests are kept, but not those of `fresh`."""
    monkeypatch.setattr("tests.unit.sandbox_fakes.lasting", lambda name: name != "fresh", raising=False)


@pytest.fixture
def run(with_sandbox: Runs) -> Runs:
    """Run a test on the sandbox of this file, in which no process waits yet."""

    def on_none(test: Test) -> None:
        async def whole(sandbox: Sandbox) -> None:
            sandbox.kept.close()
            sandbox.kept = child_pool.ChildPool()
            await test(sandbox)

        with_sandbox(whole)

    return on_none


async def executed(sandbox: Sandbox, backend: str = "good", limits: Limits = WIDE) -> tuple[int, dict[str, Any]]:
    """Run a job; return its process and its answer."""
    async with sandbox.job(backend, DOCUMENT, job_id="job-1", limits=limits) as job:
        pid = json.loads((await job.call("compile", seed=1))["program"])["pid"]
        return pid, await job.call("execute")


def test_ours_last_and_those_that_read_programs_do_not() -> None:
    """What parses a user's text gets a process of its own for each job."""
    assert all(lasting(name) for name in BUILT_IN)
    assert not lasting("qubits")
    assert not lasting("somebody_elses")


def test_a_child_that_is_done_gets_the_next_job(run: Runs) -> None:
    """Jobs one after the other share a process, of whatever backend they are; jobs at once do not."""

    async def test(sandbox: Sandbox) -> None:
        pids = {(await executed(sandbox, name))[0] for name in ("good", "execute-nap", "good")}
        assert len(pids) == 1
        together = await asyncio.gather(*[executed(sandbox, "execute-nap") for _ in range(3)])
        assert len({pid for pid, _ in together}) == 3
        fresh, _ = await executed(sandbox, "fresh")
        assert fresh not in {pid for pid, _ in together}

    run(test)


def test_a_job_has_its_own_name_document_and_use(run: Runs) -> None:
    """A second job in a process answers for itself: its id, its experiments, its CPU time."""

    async def test(sandbox: Sandbox) -> None:
        await executed(sandbox, "execute-burn")
        async with sandbox.job("good", b'{"other": {"shots": 1}}', job_id="job-2", limits=WIDE) as job:
            answer = await job.call("execute", seed=2)
        document = json.loads(answer["document"])
        assert (document["job_id"], [each["name"] for each in document["results"]]) == ("job-2", ["other"])
        assert answer["cpu_seconds"] < 0.5

    run(test)


def test_a_job_without_a_document_does_not_get_that_of_another(run: Runs) -> None:
    """An empty document is empty, whatever the process has read before."""

    async def test(sandbox: Sandbox) -> None:
        await executed(sandbox)
        async with sandbox.job("good", b"", job_id="job-2", limits=WIDE) as job:
            with pytest.raises(JobRejected):
                await job.call("validate")

    run(test)


@pytest.mark.parametrize("spoiling", ["validate-reject", "execute-break_down", "execute-kill_itself", "execute-sleep"])
def test_a_child_whose_job_was_not_done_is_not_kept(run: Runs, spoiling: str) -> None:
    """A job that was rejected, failed, died or was stopped takes its process with it."""

    async def test(sandbox: Sandbox) -> None:
        pid, _ = await executed(sandbox)
        async with sandbox.job(spoiling, DOCUMENT, job_id="job-2", limits=WIDE) as job:
            call = asyncio.create_task(job.call("execute", seed=1))
            await asyncio.wait([call], timeout=0.5)
            call.cancel()
        assert (await asyncio.gather(call, return_exceptions=True))[0] is not None
        await asyncio.to_thread(wait_until_gone, pid)
        assert (await executed(sandbox))[0] != pid

    run(test)


def test_a_child_that_has_only_begun_a_job_is_not_kept(run: Runs) -> None:
    """A job that ends before its execution, as a cancelled one does, takes its process with it."""

    async def test(sandbox: Sandbox) -> None:
        async with sandbox.job("good", DOCUMENT, job_id="job-1", limits=WIDE) as job:
            pid = json.loads((await job.call("compile", seed=1))["program"])["pid"]
        assert (await executed(sandbox))[0] != pid

    run(test)


@only_linux
def test_a_child_that_has_grown_is_not_kept(run: Runs) -> None:
    """Each job has the memory that it may use: what an earlier one took is not missing."""

    async def test(sandbox: Sandbox) -> None:
        pid, _ = await executed(sandbox, "execute-hoard")
        assert (await executed(sandbox))[0] != pid

    run(test)


def test_limits_are_those_of_each_job(run: Runs) -> None:
    """CPU time is counted anew for each job; one that uses too much is stopped in a kept process as in a new one."""
    tight = WIDE.model_copy(update={"cpu_seconds": 1})

    async def test(sandbox: Sandbox) -> None:
        first = await executed(sandbox, "execute-burn", tight)
        for _ in range(2):
            pid, answer = await executed(sandbox, "execute-burn", tight)
            assert pid == first[0]
            assert 0.5 < answer["cpu_seconds"] < 1
        with pytest.raises(LimitExceeded, match="CPU"):
            await executed(sandbox, "execute-loop", tight)
        assert (await executed(sandbox, limits=tight))[0] != first[0]

    run(test)


def test_what_earlier_jobs_used_is_not_held_against_a_job(run: Runs) -> None:
    """A process that is killed in its third job was not over the limit because of the first two."""
    tight = WIDE.model_copy(update={"cpu_seconds": 1})

    async def test(sandbox: Sandbox) -> None:
        pids = {(await executed(sandbox, "execute-burn", tight))[0] for _ in range(2)}
        async with sandbox.job("execute-kill_itself", DOCUMENT, job_id="job-3", limits=tight) as job:
            pids.add(json.loads((await job.call("compile", seed=1))["program"])["pid"])
            with pytest.raises(ChildDied, match="was killed"):
                await job.call("execute")
        assert len(pids) == 1

    run(test)


def test_other_limits_need_another_child(run: Runs) -> None:
    """Limits that were lowered cannot be raised, so a process is kept for jobs of the same ones."""

    async def test(sandbox: Sandbox) -> None:
        pid, _ = await executed(sandbox)
        assert (await executed(sandbox, limits=WIDE.model_copy(update={"memory_mb": 400})))[0] != pid
        assert (await executed(sandbox))[0] == pid

    run(test)


def test_a_kept_child_that_dies_costs_no_job() -> None:
    """A process that is killed while it waits is passed over, and so are all when their fork server is."""

    async def test(sandbox: Sandbox) -> None:
        pid, _ = await executed(sandbox)
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        other, _ = await executed(sandbox)
        assert other != pid
        os.kill(server_of(sandbox).pid, signal.SIGKILL)
        wait_until_gone(other)
        assert (await executed(sandbox))[0] not in {pid, other}

    with_own_sandbox(test)


def test_a_child_does_not_last_for_ever(run: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many jobs a process ends, whatever it did."""
    monkeypatch.setattr(child_pool, "MAX_JOBS", 3)

    async def test(sandbox: Sandbox) -> None:
        pids = [(await executed(sandbox))[0] for _ in range(6)]
        assert (len(set(pids[:3])), len(set(pids[3:]))) == (1, 1)
        assert pids[0] != pids[3]

    run(test)


def test_kept_children_end_with_the_sandbox() -> None:
    """No process is left behind, and a job that was done later keeps none."""
    pids = []

    async def test(sandbox: Sandbox) -> None:
        pids.append((await executed(sandbox))[0])
        async with sandbox.job("good", DOCUMENT, job_id="job-1", limits=WIDE) as job:
            await job.call("execute", seed=1)
            await sandbox.__aexit__(None, None, None)
            with pytest.raises(ChildDied):
                await job.call("validate")

    with_own_sandbox(test)
    wait_until_gone(*pids)
