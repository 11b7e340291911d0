"""Documents checked many at once: each is answered, and one that harms its process harms nobody else."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from models.errors import BackendFailed, ChildDied, JobRejected, LimitExceeded, SandboxError
from models.settings import Settings
from tasks.jobs import checking
from tasks.jobs.checking import MAX_BATCH, Checked, Checker, Verdict
from tasks.sandbox.batches import Validated, validate_all
from tasks.sandbox.job_process import Sandbox
from tasks.sandbox.rlimits import Limits
from tasks.services import Services
from tests.unit.sandbox_jobs import only_linux, wait_until_gone

pytestmark = pytest.mark.slow

LIMITS = Limits(cpu_seconds=1, wall_seconds=3, memory_mb=300, answer_mb=1)
GOOD = b'{"do": "nothing"}'


def do(action: str, times: int = 1) -> bytes:
    """Return a document whose validation does this."""
    return json.dumps({"do": action, "times": times}).encode()


Run = Callable[[Callable[[Sandbox], Coroutine[Any, Any, None]]], None]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Runs a test on a sandbox that serves all of them, as a laboratory's serves all documents."""
    with asyncio.Runner() as runner:
        ends = contextlib.AsyncExitStack()
        sandbox = runner.run(ends.enter_async_context(Sandbox(resolver="tests.unit.batch_fakes:load", preload=())))
        yield lambda test: runner.run(test(sandbox))
        runner.run(ends.aclose())


def pids(answers: list[Validated]) -> list[int]:
    """Return which process validated each document, 0 where none could."""
    return [answer["shots"] // answer["experiments"] if isinstance(answer, dict) else 0 for answer in answers]


def test_a_batch_is_validated_by_one_process_that_is_kept(run: Run) -> None:
    """Each document has an answer of its own, in their order; those that are rejected cost no process."""

    async def test(sandbox: Sandbox) -> None:
        documents = [do("nothing", 2), do("reject_as_peer"), b"nope", GOOD, b""]
        first = await validate_all(sandbox, "any", documents, LIMITS)
        second = await validate_all(sandbox, "any", documents, LIMITS)
        assert [type(answer) for answer in first] == [dict, JobRejected, JobRejected, dict, JobRejected]
        assert isinstance(first[0], dict)
        assert (first[0]["experiments"], first[0]["cost"]) == (2, 14)
        assert isinstance(first[1], JobRejected)
        assert [fault.message for fault in first[1].faults] == ["no such gate", "not a Fault"]
        assert len({*pids(first), *pids(second)} - {0}) == 1

    run(test)


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("kill_itself", ChildDied),
        ("exit", ChildDied),
        ("loop", LimitExceeded),
        ("sleep", LimitExceeded),
        ("talk_nonsense", BackendFailed),
        ("promise_a_long_header", BackendFailed),
        ("close_channel", (LimitExceeded, ChildDied)),
    ],
)
def test_a_document_that_harms_its_process_harms_only_itself(run: Run, action: str, kind: type[SandboxError]) -> None:
    """Those before it keep their answers, those behind it are validated in another process."""

    async def test(sandbox: Sandbox) -> None:
        answers = await validate_all(sandbox, "any", [GOOD, GOOD, do(action), GOOD, GOOD], LIMITS)
        assert isinstance(answers[2], kind), answers[2]
        found = pids(answers)
        assert found[0] == found[1] != 0
        assert found[3] == found[4] != 0
        assert found[3] != found[0]
        await asyncio.to_thread(wait_until_gone, found[0])

    run(test)


@only_linux
def test_a_process_whose_document_failed_is_not_kept(run: Run) -> None:
    """A bug of the backend, or too little memory, is answered; who knows what it has left behind."""

    async def test(sandbox: Sandbox) -> None:
        for action, kind in (("break_down", BackendFailed), ("memory_bomb", LimitExceeded)):
            answers = await validate_all(sandbox, "any", [do(action), GOOD], LIMITS)
            assert isinstance(answers[0], kind), answers[0]
            (again,) = await validate_all(sandbox, "any", [GOOD], LIMITS)
            assert pids([again]) != pids(answers[1:])

    run(test)


def test_each_document_has_all_that_a_job_may_use(run: Run) -> None:
    """Several that take most of the CPU time of one job come through in one batch, on a busy machine too."""
    patient = LIMITS.model_copy(update={"wall_seconds": 60})

    async def test(sandbox: Sandbox) -> None:
        answers = await validate_all(sandbox, "any", [do("burn")] * 4, patient)
        assert len({*pids(answers)}) == 1
        assert pids(answers)[0] != 0

    run(test)


def test_all_faults_are_told_however_many(run: Run) -> None:
    """A document whose faults would make the answers of its batch too long is asked for alone."""

    async def test(sandbox: Sandbox) -> None:
        answers = await validate_all(sandbox, "any", [GOOD, do("reject"), do("reject"), GOOD], LIMITS)
        for answer in answers[1:3]:
            assert isinstance(answer, JobRejected)
            assert len(answer.faults) == 3000
        assert 0 not in (pids(answers)[0], pids(answers)[3])

    run(test)


def test_where_processes_are_not_kept_each_document_has_its_own(run: Run) -> None:
    """As for backends that read a user's program."""

    async def test(sandbox: Sandbox) -> None:
        answers = await validate_all(sandbox, "fresh", [GOOD, do("kill_itself"), GOOD, b"nope"], LIMITS)
        assert [type(answer) for answer in answers] == [dict, ChildDied, dict, JobRejected]
        assert len({*pids(answers)}) == 3

    run(test)


def test_a_sandbox_that_was_closed_answers_all() -> None:
    """Nobody waits for a process that does not come."""

    async def test() -> None:
        async with Sandbox(resolver="tests.unit.batch_fakes:load", preload=()) as sandbox:
            await sandbox.close()
            answers = await validate_all(sandbox, "any", [GOOD] * 3, LIMITS)
        assert [str(answer) for answer in answers] == ["the sandbox has been closed"] * 3

    asyncio.run(test())


def cold_atoms(shots: int, *instructions: object) -> bytes:
    """Return a job document of one experiment."""
    steps = [["load", [0], [50]], *instructions, ["measure", [0], []]]
    return json.dumps({"experiment_0": {"instructions": steps, "num_wires": 1, "shots": shots}}).encode()


def with_checker(home: Path, test: Callable[[Checker], Awaitable[None]], at_once: int = 1) -> None:
    """Run a test on a checker of its own, for the real backends."""

    async def whole() -> None:
        async with Checker(Services(Settings(home=home)), at_once) as checker:
            await test(checker)

    asyncio.run(whole())


def asked_for(checker: Checker, number: int) -> "asyncio.Task[list[Verdict]]":
    """Have so many good documents checked, meanwhile."""
    return asyncio.create_task(checker.check_all([("singlequdit", cold_atoms(9)) for _ in range(number)]))


def test_documents_of_several_backends_are_answered_in_their_order(tmp_path: Path) -> None:
    """Good ones with what they hold, others with all of their faults, more than one batch of them."""

    async def test(checker: Checker) -> None:
        bad = cold_atoms(0, ["nope", [0], []])
        asked = [("singlequdit", cold_atoms(100 + nth)) for nth in range(MAX_BATCH + 5)]
        asked[3:3] = [("singlequdit", bad), ("rydberg", b"[1]"), ("fermions", b"x" * 2_000_000)]
        verdicts = await checker.check_all(asked)
        good = [verdict.shots for verdict in verdicts if isinstance(verdict, Checked)]
        assert good == [100 + nth for nth in range(MAX_BATCH + 5)]
        faults = verdicts[3]
        assert isinstance(faults, JobRejected)
        assert [fault.field for fault in faults.faults] == ["shots", "name"]
        assert [isinstance(verdict, JobRejected) for verdict in verdicts[4:6]] == [True, True]
        assert await checker.check_all([]) == []
        assert isinstance(await checker.check("singlequdit", cold_atoms(7)), Checked)

    with_checker(tmp_path, test)


def test_who_asks_for_little_does_not_wait_for_who_asks_for_much(tmp_path: Path) -> None:
    """Callers take turns, also where one child does it all."""

    async def test(checker: Checker) -> None:
        much = asked_for(checker, 20 * MAX_BATCH)
        await asyncio.sleep(0)
        little = await asyncio.gather(*(checker.check("rydberg", b"nope") for _ in range(3)))
        assert [type(verdict) for verdict in little] == [JobRejected] * 3
        assert not much.done()
        assert all(isinstance(verdict, Checked) for verdict in await much)

    with_checker(tmp_path, test)


def test_users_take_turns_however_often_each_of_them_calls(tmp_path: Path) -> None:
    """One who calls once is served next, not after all calls of another."""

    async def test(checker: Checker) -> None:
        documents = [("singlequdit", cold_atoms(9))] * MAX_BATCH
        often = [asyncio.create_task(checker.check_all(documents, "ann")) for _ in range(12)]
        await asyncio.sleep(0)
        (verdict,) = await checker.check_all([("rydberg", b"nope")], "ben")
        assert isinstance(verdict, JobRejected)
        assert sum(call.done() for call in often) <= 2
        assert all(isinstance(each, Checked) for verdicts in await asyncio.gather(*often) for each in verdicts)

    with_checker(tmp_path, test)


def test_whose_documents_are_slow_leaves_a_process_to_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two documents that take as long as a job may would keep all others from handing in anything."""
    monkeypatch.setattr(checking, "SLOW_SECONDS", 0.0)

    async def test(checker: Checker) -> None:
        documents = [("singlequdit", cold_atoms(9))] * (3 * MAX_BATCH)
        await checker.check_all(documents[:1], "ann")
        slow = asyncio.create_task(checker.check_all(documents, "ann"))
        await asyncio.sleep(0)
        assert checker._working_for == {"ann": 1}
        other = asyncio.create_task(checker.check_all([("rydberg", b"nope")], "ben"))
        while not (slow.done() and other.done()):
            assert checker._working_for["ann"] <= 1
            await asyncio.sleep(0.001)
        assert isinstance(other.result()[0], JobRejected)
        await asyncio.gather(*checker._at_work)
        asked = asked_for(checker, 3 * MAX_BATCH)
        await asyncio.sleep(0)
        assert checker._working_for == {"": 2}
        await asked

    with_checker(tmp_path, test, at_once=2)


def test_what_nobody_waits_for_is_not_begun(tmp_path: Path) -> None:
    """A caller that goes away takes what has not begun with it, and the others are served."""

    async def test(checker: Checker) -> None:
        gone = asked_for(checker, 50 * MAX_BATCH)
        await asyncio.sleep(0.1)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        async with asyncio.timeout(20):
            assert isinstance(await checker.check("singlequdit", cold_atoms(5)), Checked)
        assert not checker._askers

    with_checker(tmp_path, test)


def test_what_nobody_waits_for_any_more_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that is at work is given up with its process; one that others wait for with it is not."""
    ended: list[int] = []
    begun_together, answered = asyncio.Event(), asyncio.Event()

    async def validated(_sandbox: object, _backend: str, documents: list[bytes], _limits: Limits) -> list[Validated]:
        try:
            if len(documents) == 1:
                await asyncio.Event().wait()
            begun_together.set()
            await answered.wait()
        finally:
            ended.append(len(documents))
        return [{"experiments": 1, "shots": 1, "cost": None}] * len(documents)

    monkeypatch.setattr(checking, "validate_all", validated)
    monkeypatch.setattr(checking, "SLOW_SECONDS", 0.0)

    async def test(checker: Checker) -> None:
        first = asyncio.create_task(checker.check_all([("singlequdit", b"1")], "ann"))
        await asyncio.sleep(0)
        others = [asyncio.create_task(checker.check_all([("singlequdit", b"2")], name)) for name in ("ann", "ben")]
        await asyncio.sleep(0)
        first.cancel()
        async with asyncio.timeout(20):
            await begun_together.wait()
            others[0].cancel()
            await asyncio.wait([others[0]])
            await asyncio.sleep(0)
            assert ended == [1]
            answered.set()
            assert isinstance((await others[1])[0], Checked)
        assert ended == [1, 2]
        assert "ann" in checker._slow_until

    with_checker(tmp_path, test)


def test_a_checker_that_ends_leaves_nobody_waiting(tmp_path: Path) -> None:
    """Whoever still waits is told, and no process is left."""

    async def whole() -> None:
        async with Checker(Services(Settings(home=tmp_path)), 1) as checker:
            asked = asked_for(checker, 5000)
            await asyncio.sleep(0.05)
            await asyncio.sleep(0)
            assert checker._at_work
        verdicts = await asked
        assert isinstance(verdicts[-1], SandboxError)
        assert not checker._at_work

    asyncio.run(whole())


def test_the_first_document_may_find_its_process_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is forked from what was begun before; a backend for which nothing can begin keeps no other one from it."""
    begun: list[str] = []

    class Servers:
        async def get(self, backend: str) -> None:
            begun.append(backend)
            if backend == "broken":
                raise ChildDied("the fork server does not start")

    async def test() -> None:
        async with Checker(Services(Settings())) as checker:
            monkeypatch.setattr(checker._sandbox, "fork_servers", Servers(), raising=True)
            await checker.warm(["broken", "singlequdit"])
            monkeypatch.undo()

    asyncio.run(test())
    assert begun == ["broken", "singlequdit"]
