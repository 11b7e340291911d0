"""Who waits for a job to change is told, with one look for all."""

import asyncio
from collections.abc import Collection

from deployments.api.changes import Changes


def test_one_look_serves_all_who_wait_and_none_is_made_for_nobody() -> None:
    """The log is asked for all jobs at once."""
    seqs = {"a": 3, "b": 7}
    looks: list[list[str]] = []

    def look(job_ids: Collection[str]) -> dict[str, int]:
        looks.append(sorted(job_ids))
        return {job_id: seqs[job_id] for job_id in job_ids if job_id in seqs}

    async def run() -> list[bool]:
        changes = Changes(look, look_seconds=0.01)
        looking = asyncio.create_task(changes.run())
        await asyncio.sleep(0.05)
        assert looks == []
        waits = [
            changes.wait("a", 2, 5),
            changes.wait("a", 3, 0.1),
            changes.wait("b", 7, 5),
            changes.wait("gone", 0, 0.1),
        ]
        tasks = [asyncio.create_task(each) for each in waits]
        await tasks[0]
        seqs["b"] = 8
        found = list(await asyncio.gather(*tasks))
        count = len(looks)
        await asyncio.sleep(0.05)
        assert len(looks) <= count + 1
        looking.cancel()
        return found

    assert asyncio.run(run()) == [True, False, True, False]
    assert looks[0] == ["a", "b", "gone"]


def test_a_log_that_does_not_answer_is_asked_again() -> None:
    """Whoever waits is not lost."""
    answers = iter([OSError("down"), {"a": 1}])

    def look(_job_ids: Collection[str]) -> dict[str, int]:
        found = next(answers)
        if isinstance(found, OSError):
            raise found
        return found

    async def run() -> bool:
        changes = Changes(look, look_seconds=0.01)
        looking = asyncio.create_task(changes.run())
        woken = await changes.wait("a", 0, 5)
        looking.cancel()
        return woken

    assert asyncio.run(run())
