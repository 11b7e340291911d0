"""A process that sends what no backend sends: the fault is the backend's, and nobody waits for it to end."""

import asyncio
import json
import time
from typing import Any, Self

import pytest

from models.errors import BackendFailed
from tasks.sandbox.job_process import Sandbox
from tasks.sandbox.protocol import BadAnswer, Words, clean, read_answer, read_header
from tasks.sandbox.rlimits import Limits
from tests.unit.sandbox_jobs import RESOLVER, WIDE, error_of

HEX = "0" * 64
EXECUTED = {
    "seconds": 0.1, "cpu_seconds": 0.1, "max_rss_mb": 50.0, "is_small": True,
    "versions": {"python": "3.11.7"}, "backend_config_sha256": HEX,
    "calibration_sha256": HEX,
}  # fmt: skip

MAX_STANDSTILL = 0.5
"""So long may the loop of a drain stand still, in seconds."""


class Beat:
    """Measures how long the event loop stands still at most.

    Attributes:
        longest: in seconds in which this process was at work; the time of other processes does not count.
        wall: the same by the clock.
    """

    def __init__(self) -> None:
        self.longest = self.wall = 0.0

    async def __aenter__(self) -> Self:
        self._beaten = asyncio.Event()
        self._task = asyncio.create_task(self._beat())
        await self._next()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._next()  # what stood still until now is measured too
        self._task.cancel()

    async def _next(self) -> None:
        self._beaten.clear()
        await self._beaten.wait()

    def __str__(self) -> str:
        return f"the loop stood still for {self.longest:.2f} s of work at most ({self.wall:.2f} s by the clock)"

    async def _beat(self) -> None:
        while True:
            clock, work = time.monotonic(), time.process_time()
            await asyncio.sleep(0.02)
            waited = time.monotonic() - clock - 0.02
            self.wall = max(self.wall, waited)
            self.longest = max(self.longest, min(waited, time.process_time() - work))
            self._beaten.set()


@pytest.mark.slow
@pytest.mark.parametrize(
    "action",
    [
        "talk_nonsense",
        "tell_without_end",
        "tell_nonsense",
        "tell_much",
        "answer_nonsense",
        "answer_deep",
        "promise_much",
        "promise_a_long_header",
    ],
)
def test_a_process_that_babbles_is_ended(action: str) -> None:
    """Whatever it sends, the job ends as the backend's fault, the loop goes on, and the next job works."""

    async def test() -> None:
        async with Sandbox(resolver=RESOLVER, preload=()) as sandbox:
            await sandbox.fork_servers.get("good")
            async with Beat() as beat:
                error = await error_of(sandbox, f"execute-{action}", WIDE)
            print(f"{action}: {beat}")  # noqa: T201 - the figure
            assert isinstance(error, BadAnswer)
            assert isinstance(error, BackendFailed)
            assert not error.retryable
            assert beat.longest < MAX_STANDSTILL
            async with sandbox.job("good", b"{}", job_id="next") as job:
                assert (await job.call("validate"))["experiments"] == 0

    asyncio.run(test())


@pytest.mark.slow
def test_a_large_answer_lets_the_loop_go_on() -> None:
    """An answer of a hundred megabytes is received beside everything else."""

    async def test() -> None:
        limits = Limits(cpu_seconds=30, wall_seconds=60, memory_mb=2000, answer_mb=200)
        async with (
            Sandbox(resolver=RESOLVER, preload=()) as sandbox,
            Beat() as beat,
            sandbox.job("compile-much", b"{}", job_id="large", limits=limits) as job,
        ):
            answer = await job.call("compile", seed=1)
        print(f"100 MB: {beat}")  # noqa: T201 - the figure
        assert len(answer["program"]) > 100_000_000
        assert beat.longest < MAX_STANDSTILL

    asyncio.run(test())


def test_progress_may_be_told_now_and_then() -> None:
    """Ten words a second go through for ever; the fortieth at once does not."""
    words = Words(0.0)
    header = {"progress": {"done": 1, "of": 2}}
    assert {words.progress(header, 50, second / 10) for second in range(1000)} == {(1, 2)}
    hasty = Words(0.0)
    for _ in range(35):
        hasty.progress(header, 50, 0.5)
    with pytest.raises(BadAnswer, match="without end"):
        hasty.progress(header, 50, 0.5)


@pytest.mark.parametrize(
    "progress",
    [{"done": 3, "of": 2}, {"done": -1, "of": 2}, {"done": 10**30, "of": 10**31}, {"done": 0.5, "of": 1}, {}, [], None],
)
def test_progress_is_two_counts(progress: object) -> None:
    """Anything else is no word about progress."""
    with pytest.raises(BadAnswer):
        Words(0.0).progress({"progress": progress}, 50, 1.0)


@pytest.mark.parametrize("text", [b"", b"[]", b"1", b"{", b"\xff", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"])
def test_a_header_is_one_json_object(text: bytes) -> None:
    """Anything else cannot be read."""
    with pytest.raises(BadAnswer):
        read_header(text)


@pytest.mark.parametrize(
    ("step", "header"),
    [
        ("validate", {}),
        ("validate", {"experiments": -1, "shots": 1}),
        ("validate", {"experiments": 1, "shots": 2**70}),
        ("validate", {"experiments": 1, "shots": 1, "cost": float("nan")}),
        ("compile", {"program_sha256": "no hash", "seed": 1}),
        ("execute", EXECUTED | {"seconds": float("inf")}),
        ("execute", EXECUTED | {"versions": {"python": "\ud800"}}),
        ("execute", EXECUTED | {"versions": {str(n): "" for n in range(51)}}),
        ("execute", EXECUTED | {"backend_config_sha256": 1}),
    ],
)
def test_an_answer_has_the_shape_of_its_step(step: str, header: dict[str, Any]) -> None:
    """What is missing, too large or of another kind makes it none."""
    with pytest.raises(BadAnswer):
        read_answer(step, header)


def test_an_answer_holds_nothing_beside() -> None:
    """What a step does not answer is left out."""
    assert read_answer("execute", EXECUTED | {"claimed": True}) == EXECUTED
    assert json.dumps(read_answer("validate", {"experiments": 2, "shots": 7, "cost": 14}))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot open /home/lab/secret.json", "cannot open …"),
        ("[Errno 2] No such file: '/tmp/x'", "[Errno 2] No such file: '…'"),
        (r"C:\Users\lab\key.pem is gone", "C:… is gone"),
        ("in lab/keys/new.json and ~/x", "in … and …"),
        ("3/4 of 1/2, m/s, and - or +", "3/4 of 1/2, m/s, and - or +"),
        ("two\nlines\x00\ud800", "two lines"),
        ("a" * 500, "a" * 199 + "…"),
    ],
)
def test_a_backends_words_are_shown_without_paths(text: str, shown: str) -> None:
    """On one line of at most 200 characters."""
    assert clean(text) == shown
